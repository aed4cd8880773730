//! What follows from two hellos. Both ends work it out by the same rule, so nobody has to answer.

use crosstie_core::Codec;

use super::{Described, Hello};

/// What holds for one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// How payloads are written.
    pub codec: Codec,
    /// The receiver undoes zstd.
    pub may_compress: bool,
    /// The longest frame that the receiver takes.
    pub max_frame: usize,
}

/// What holds for a channel, from one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The version that both speak.
    pub version: u16,
    /// From here.
    pub sending: Direction,
    /// To here.
    pub receiving: Direction,
}

/// Why there is no channel, in words for both sides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Whether what a writer of the first type writes can be read as the second, and if not, the difference.
pub type CanRead<'a> = dyn Fn(&Described, &Described) -> Result<(), String> + 'a;

impl Terms {
    /// What follows from what this side and the other have said.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if they have no version or codec in common, or one's type cannot be read as the other's.
    pub fn agree(own: &Hello, other: &Hello, can_read: &CanRead<'_>) -> Result<Self, Refusal> {
        let version = own.versions.1.min(other.versions.1);
        if version < own.versions.0.max(other.versions.0) {
            let text = format!("versions {:?} here and {:?} there have none in common", own.versions, other.versions);
            return Err(Refusal(text));
        }
        match (direction(own, other, can_read), direction(other, own, can_read)) {
            (Ok(sending), Ok(receiving)) => Ok(Self { version, sending, receiving }),
            (sending, receiving) => {
                let told = [("sending", sending.err()), ("receiving", receiving.err())];
                let told = told.into_iter().filter_map(|(way, why)| Some(format!("{way}: {}", why?)));
                Err(Refusal(told.collect::<Vec<_>>().join("; ")))
            }
        }
    }
}

impl Direction {
    /// What follows for one way alone from what its sender writes and its receiver reads, by the same rule.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if they have no codec in common, or the type that is sent cannot be read as the one that is received.
    pub fn agree(sender: &Hello, receiver: &Hello, can_read: &CanRead<'_>) -> Result<Self, Refusal> {
        direction(sender, receiver, can_read).map_err(Refusal)
    }
}

fn direction(sender: &Hello, receiver: &Hello, can_read: &CanRead<'_>) -> Result<Direction, String> {
    let needs_names = match (&sender.sends, &receiver.receives) {
        (Some(written), Some(read)) if written.hash != read.hash => {
            can_read(written, read)?;
            true
        }
        _ => false,
    };
    let is_described = sender.sends.is_some() && receiver.receives.is_some();
    let fits = |codec: Codec| match codec {
        Codec::Postcard => is_described && !needs_names,
        Codec::Raw => !needs_names,
        _ => true,
    };
    let codec = sender.writes.iter().copied().find(|codec| fits(*codec) && receiver.reads.contains(codec));
    let Some(codec) = codec else { return Err(no_codec(sender, receiver, needs_names, is_described)) };
    Ok(Direction { codec, may_compress: receiver.zstd, max_frame: receiver.max_frame })
}

fn no_codec(sender: &Hello, receiver: &Hello, needs_names: bool, is_described: bool) -> String {
    let names = |codecs: &[Codec]| codecs.iter().map(|codec| codec.name()).collect::<Vec<_>>().join(", ");
    let why = if needs_names {
        "; their types differ, so it takes one that names its fields (cbor, msgpack, json)"
    } else if !is_described {
        "; postcard takes a type with a schema on both sides"
    } else {
        ""
    };
    format!(
        "no codec in common: the sender writes {}, the receiver reads {}{why}",
        names(&sender.writes),
        names(&receiver.reads)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: [Codec; 3] = [Codec::Postcard, Codec::Cbor, Codec::Json];

    fn hello(sends: u8, receives: u8, codecs: &[Codec]) -> Hello {
        let described = |hash| (hash > 0).then(|| Described { hash: [hash; 16], text: format!("type {hash}") });
        let codecs = codecs.to_vec();
        Hello {
            writes: codecs.clone(),
            reads: codecs,
            sends: described(sends),
            receives: described(receives),
            ..Hello::default()
        }
    }

    /// Types of one ten can be read as one another.
    fn tens(written: &Described, read: &Described) -> Result<(), String> {
        if written.hash[0] / 10 == read.hash[0] / 10 {
            Ok(())
        } else {
            Err(format!("{} is not {}", written.text, read.text))
        }
    }

    /// The codecs both ways, seen from the first side; the other side sees the same.
    fn codecs(a: &Hello, b: &Hello) -> Result<(Codec, Codec), String> {
        let (here, there) = (Terms::agree(a, b, &tens), Terms::agree(b, a, &tens));
        match (here, there) {
            (Ok(here), Ok(there)) => {
                assert_eq!((here.sending, here.receiving), (there.receiving, there.sending));
                Ok((here.sending.codec, here.receiving.codec))
            }
            (Err(here), Err(_)) => Err(here.0),
            (here, there) => panic!("one side agrees and the other does not: {here:?}, {there:?}"),
        }
    }

    #[test]
    fn equal_types_are_compact_and_readable_ones_name_their_fields() {
        let equal = codecs(&hello(11, 21, &DEFAULT), &hello(21, 11, &DEFAULT));
        assert_eq!(equal, Ok((Codec::Postcard, Codec::Postcard)));
        let one_way = codecs(&hello(11, 21, &DEFAULT), &hello(21, 12, &DEFAULT));
        assert_eq!(one_way, Ok((Codec::Cbor, Codec::Postcard)));
    }

    #[test]
    fn types_that_cannot_be_read_are_refused_at_both_ends_with_the_difference() {
        let refused = codecs(&hello(11, 21, &DEFAULT), &hello(21, 31, &DEFAULT)).unwrap_err();
        assert_eq!(refused, "sending: type 11 is not type 31");
    }

    #[test]
    fn without_a_schema_there_is_no_postcard() {
        assert_eq!(codecs(&hello(0, 0, &DEFAULT), &hello(0, 0, &DEFAULT)), Ok((Codec::Cbor, Codec::Cbor)));
        assert_eq!(codecs(&hello(11, 11, &DEFAULT), &hello(0, 0, &DEFAULT)), Ok((Codec::Cbor, Codec::Cbor)));
        let only = codecs(&hello(0, 0, &[Codec::Postcard]), &hello(0, 0, &DEFAULT)).unwrap_err();
        assert!(only.contains("postcard takes a type with a schema"), "{only}");
    }

    #[test]
    fn a_chosen_codec_is_taken_or_refused() {
        let json = [Codec::Json];
        assert_eq!(codecs(&hello(11, 11, &json), &hello(11, 11, &DEFAULT)), Ok((Codec::Json, Codec::Json)));
        assert!(
            codecs(&hello(11, 11, &json), &hello(11, 11, &[Codec::Cbor])).unwrap_err().contains("no codec in common")
        );
        let raw = codecs(&hello(11, 11, &[Codec::Postcard]), &hello(11, 12, &[Codec::Postcard])).unwrap_err();
        assert!(raw.contains("names its fields"), "{raw}");
    }

    #[test]
    fn the_highest_common_version_holds() {
        let with = |versions| Hello { versions, ..hello(0, 0, &DEFAULT) };
        assert_eq!(Terms::agree(&with((1, 3)), &with((2, 5)), &tens).map(|terms| terms.version), Ok(3));
        assert!(Terms::agree(&with((1, 1)), &with((2, 2)), &tens).is_err());
    }
}
