//! What a person at a command line can send and read: bytes as they are, or any value, which is shown as JSON.

use crosstie_core::{Codec, Error, Kind, Result};
use crosstie_link::{Payload, decode, encode};
use crosstie_proto::frame::Described;
use serde_json::Value;

/// Bytes, or the JSON of a value.
pub(super) struct Anything {
    pub(super) bytes: Vec<u8>,
    /// How it came.
    pub(super) codec: Codec,
}

impl Anything {
    pub(super) const fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, codec: Codec::Raw }
    }
}

impl Payload for Anything {
    fn described() -> Result<Option<Described>> {
        Ok(None)
    }

    fn codecs() -> &'static [Codec] {
        &[Codec::Raw, Codec::Json, Codec::Cbor, Codec::MessagePack]
    }

    fn encode(&self, codec: Codec, out: &mut Vec<u8>) -> Result<()> {
        if codec == Codec::Raw {
            out.extend_from_slice(&self.bytes);
            return Ok(());
        }
        let value: Value = serde_json::from_slice(&self.bytes).map_err(|why| {
            let text = format!("expected JSON, for the channel carries values (as {codec}) and no bytes: {why}");
            Error::new(Kind::InvalidInput, text)
        })?;
        encode(&value, codec, out)
    }

    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self> {
        if codec == Codec::Raw {
            return Ok(Self::new(bytes.to_vec()));
        }
        let value: Value = decode(codec, bytes)?;
        Ok(Self { bytes: value.to_string().into_bytes(), codec })
    }
}
