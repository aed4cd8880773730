//! How a typed value becomes bytes, by name.

use std::{fmt, str::FromStr};

/// A serialisation format.
///
/// Direct links use [`Codec::Postcard`], guarded by a schema hash. What is stored or passes a broker is
/// [`Codec::Json`] unless chosen otherwise, so that other languages and later builds can read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Codec {
    /// Bytes as they are.
    Raw,
    /// JSON text.
    #[default]
    Json,
    /// Postcard: compact, not self-describing.
    Postcard,
    /// CBOR with named fields.
    Cbor,
    /// MessagePack with named fields.
    MessagePack,
}

impl Codec {
    /// Every codec, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Raw, Self::Json, Self::Postcard, Self::Cbor, Self::MessagePack];

    /// The name used in URLs and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Json => "json",
            Self::Postcard => "postcard",
            Self::Cbor => "cbor",
            Self::MessagePack => "msgpack",
        }
    }

    /// The value of the `Content-Type` header.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Raw => "application/octet-stream",
            Self::Json => "application/json",
            Self::Postcard => "application/vnd.postcard",
            Self::Cbor => "application/cbor",
            Self::MessagePack => "application/vnd.msgpack",
        }
    }

    /// The codec that a `Content-Type` header names, parameters ignored.
    pub fn from_content_type(value: &str) -> Option<Self> {
        let essence = value.split(';').next().unwrap_or_default().trim();
        Self::ALL.into_iter().find(|codec| codec.content_type().eq_ignore_ascii_case(essence))
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A codec name that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of raw, json, postcard, cbor, msgpack, found '{0}'")]
pub struct UnknownCodec(String);

impl FromStr for Codec {
    type Err = UnknownCodec;

    fn from_str(name: &str) -> Result<Self, UnknownCodec> {
        Self::ALL.into_iter().find(|codec| codec.name() == name).ok_or_else(|| UnknownCodec(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_is_found_by_its_name_and_by_its_content_type() {
        for codec in Codec::ALL {
            assert_eq!(codec.name().parse(), Ok(codec));
            assert_eq!(Codec::from_content_type(&format!("{}; charset=utf-8", codec.content_type())), Some(codec));
        }
        assert!("yaml".parse::<Codec>().is_err());
        assert_eq!(Codec::from_content_type("text/plain"), None);
    }
}
