//! Payloads compressed with zstd, where that makes them shorter, and undone within a bound that was known before.

use crosstie_core::{Error, Kind, Result};

/// Whether this build has it.
pub(crate) const IS_THERE: bool = cfg!(feature = "zstd");

/// Shorter payloads stay as they are: the head of a zstd frame and the length before compression take some twenty bytes, and the work is for nothing.
#[cfg(feature = "zstd")]
const SHORTEST: usize = 256;
/// zstd's own choice between time and space.
#[cfg(feature = "zstd")]
const LEVEL: i32 = zstd::DEFAULT_COMPRESSION_LEVEL;
/// What is kept of a buffer between messages.
const KEPT: usize = 1 << 20;

/// Compresses what is sent.
#[derive(Default)]
pub(crate) struct Packer {
    #[cfg(feature = "zstd")]
    context: Option<zstd::bulk::Compressor<'static>>,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

/// A payload as it goes.
pub(crate) enum Packed<'a> {
    Plain(&'a [u8]),
    /// And its length before.
    Zstd(&'a [u8], u32),
}

impl Packer {
    /// What `write` appends, compressed if that is worth it. More than `longest` bytes are refused, since the receiver would not undo it.
    pub(crate) fn pack(
        &mut self,
        longest: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<Packed<'_>> {
        forget(&mut self.plain);
        forget(&mut self.packed);
        write(&mut self.plain)?;
        let len = self.plain.len();
        if len > longest {
            let text = format!(
                "the message has {len} bytes, the other side takes {longest}: split it, or raise max_frame there"
            );
            return Err(Error::new(Kind::TooLarge, text));
        }
        match u32::try_from(len) {
            Ok(before) if self.shorter() => Ok(Packed::Zstd(&self.packed, before)),
            _ => Ok(Packed::Plain(&self.plain)),
        }
    }

    /// True if what is packed now is shorter than it was, the length before compression included.
    #[cfg(feature = "zstd")]
    fn shorter(&mut self) -> bool {
        if self.plain.len() < SHORTEST {
            return false;
        }
        let context = match &mut self.context {
            Some(context) => context,
            None => match zstd::bulk::Compressor::new(LEVEL) {
                Ok(context) => self.context.insert(context),
                Err(_) => return false,
            },
        };
        // No more room than would be worth it: what does not fit goes as it is.
        self.packed.reserve(self.plain.len() - size_of::<u32>());
        context.compress_to_buffer(&self.plain, &mut self.packed).is_ok()
            && self.packed.len() + size_of::<u32>() < self.plain.len()
    }

    #[cfg(not(feature = "zstd"))]
    #[expect(clippy::unused_self, reason = "the other build has a context")]
    const fn shorter(&mut self) -> bool {
        false
    }
}

fn forget(buf: &mut Vec<u8>) {
    buf.clear();
    if buf.capacity() > KEPT {
        *buf = Vec::new();
    }
}

/// Undoes the compression of what comes.
#[derive(Default)]
pub(crate) struct Unpacker {
    #[cfg(feature = "zstd")]
    context: Option<zstd::bulk::Decompressor<'static>>,
    plain: Vec<u8>,
}

impl Unpacker {
    /// The `len` bytes that `packed` was. The caller has checked that so many may be: no more memory than that is taken, whatever `packed` says.
    ///
    /// # Errors
    ///
    /// `Protocol` if they are more, fewer, or no zstd frame.
    #[cfg(feature = "zstd")]
    pub(crate) fn unpack(&mut self, packed: &[u8], len: usize) -> Result<&[u8]> {
        let broken = |why: String| Error::new(Kind::Protocol, format!("a compressed message is not valid: {why}"));
        forget(&mut self.plain);
        match zstd::zstd_safe::find_frame_compressed_size(packed) {
            Ok(size) if size == packed.len() => {}
            Ok(size) => return Err(broken(format!("{} bytes follow it", packed.len() - size))),
            Err(code) => return Err(broken(zstd::zstd_safe::get_error_name(code).to_owned())),
        }
        let context = match &mut self.context {
            Some(context) => context,
            None => self.context.insert(zstd::bulk::Decompressor::new()?),
        };
        self.plain.reserve_exact(len);
        // The buffer may have more room than was asked for, so the length is compared.
        match context.decompress_to_buffer(packed, &mut self.plain) {
            Ok(found) if found == len => Ok(&self.plain),
            Ok(found) => Err(broken(format!("it says that it has {len} bytes, and has {found}"))),
            Err(error) => Err(broken(format!("it says that it has {len} bytes: {error}"))),
        }
    }

    #[cfg(not(feature = "zstd"))]
    pub(crate) fn unpack(&mut self, _: &[u8], _: usize) -> Result<&[u8]> {
        let _ = &self.plain;
        Err(Error::new(Kind::Protocol, "a compressed message came, and this build has said that it undoes none"))
    }
}

#[cfg(all(test, feature = "zstd"))]
mod tests {
    use super::*;

    fn packed(bytes: &[u8]) -> (Vec<u8>, Option<u32>) {
        let mut packer = Packer::default();
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        match packer.pack(1 << 20, write).unwrap() {
            Packed::Plain(bytes) => (bytes.to_vec(), None),
            Packed::Zstd(bytes, before) => (bytes.to_vec(), Some(before)),
        }
    }

    #[test]
    fn what_gets_shorter_is_compressed_and_comes_back_and_the_rest_stays() {
        let text = b"the same again and ".repeat(100);
        let (short, before) = packed(&text);
        assert!(short.len() < text.len() / 5 && before == Some(1900));
        let mut unpacker = Unpacker::default();
        for _ in 0..3 {
            assert_eq!(unpacker.unpack(&short, 1900).unwrap(), text);
        }
        // Too short to be worth it, and what has no order.
        assert_eq!(packed(&text[..100]), (text[..100].to_vec(), None));
        let mut random = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as u8
        })
        .take(5000)
        .collect();
        assert_eq!(packed(&noise), (noise.clone(), None));
    }

    #[test]
    fn a_bomb_takes_no_more_memory_than_it_says_it_has() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
        assert!(bomb.len() < 10_000, "it is a bomb");
        let mut unpacker = Unpacker::default();
        for len in [0, 1, 100, 1 << 16] {
            assert_eq!(unpacker.unpack(&bomb, len).unwrap_err().kind(), Kind::Protocol);
            assert!(unpacker.plain.capacity() <= KEPT, "{} bytes for {len}", unpacker.plain.capacity());
        }
        // The control: whoever allows it gets it.
        assert_eq!(unpacker.unpack(&bomb, 64 << 20).unwrap().len(), 64 << 20);
    }

    #[test]
    fn what_is_no_frame_or_has_another_length_is_refused() {
        let (short, before) = packed(&b"words and ".repeat(100));
        let len = before.unwrap() as usize;
        let mut unpacker = Unpacker::default();
        let mut refused = |bytes: &[u8], len| unpacker.unpack(bytes, len).unwrap_err().kind() == Kind::Protocol;
        assert!(refused(&short, len - 1) && refused(&short, len + 1));
        assert!(refused(b"", 0) && refused(b"no frame at all", 15));
        assert!((0..short.len()).all(|cut| refused(&short[..cut], len)));
        assert!(refused(&[&short[..], &short].concat(), 2 * len), "one frame, and no more");
        assert!(unpacker.unpack(&short, len).is_ok(), "the control: as it was, it is taken");
    }
}
