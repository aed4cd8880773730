//! What a channel carries, and how it becomes bytes.

use std::fmt;

use bytes::Bytes;
use crosstie_core::{Codec, Error, Kind, Result, Schema, SchemaText, schema};
use crosstie_proto::frame::Described;
use serde::{Serialize, de::DeserializeOwned};

/// A type that a channel can carry.
///
/// Any type of serde's with a [`Schema`] is one: the two ends compare their types when they connect. Without a schema it is carried as [`Untyped`],
/// in a codec that names its fields; bytes as they are as [`Raw`].
pub trait Payload: Sized {
    /// Its schema, for the other side to compare; none if it has none.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is beyond the limits of a schema.
    fn described() -> Result<Option<Described>>;

    /// The codecs it can be carried in, the favourite first.
    fn codecs() -> &'static [Codec];

    /// Appends it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the codec cannot carry this value.
    fn encode(&self, codec: Codec, out: &mut Vec<u8>) -> Result<()>;

    /// Reads it.
    ///
    /// # Errors
    ///
    /// `Protocol` if the bytes are none.
    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self>;
}

impl<T: Schema + Serialize + DeserializeOwned> Payload for T {
    fn described() -> Result<Option<Described>> {
        let schema = SchemaText::of::<T>().map_err(|why| Error::new(Kind::InvalidInput, why.to_string()))?;
        Ok(Some(Described { hash: schema.hash().to_bytes(), text: schema.as_str().to_owned() }))
    }

    fn codecs() -> &'static [Codec] {
        if schema::is_positional::<T>() {
            &[Codec::Postcard, Codec::Cbor, Codec::MessagePack, Codec::Json]
        } else {
            &[Codec::Cbor, Codec::MessagePack, Codec::Json]
        }
    }

    #[inline]
    fn encode(&self, codec: Codec, out: &mut Vec<u8>) -> Result<()> {
        encode(self, codec, out)
    }

    #[inline]
    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self> {
        decode(codec, bytes)
    }
}

/// Bytes as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw(pub Bytes);

impl Payload for Raw {
    fn described() -> Result<Option<Described>> {
        Ok(None)
    }

    fn codecs() -> &'static [Codec] {
        &[Codec::Raw]
    }

    #[inline]
    fn encode(&self, _: Codec, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.0);
        Ok(())
    }

    #[inline]
    fn decode(_: Codec, bytes: &[u8]) -> Result<Self> {
        Ok(Self(Bytes::copy_from_slice(bytes)))
    }
}

/// A type of serde's without a schema: nobody compares at connect what the two sides mean, and each message carries the names of its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Untyped<T>(pub T);

impl<T: Serialize + DeserializeOwned> Payload for Untyped<T> {
    fn described() -> Result<Option<Described>> {
        Ok(None)
    }

    fn codecs() -> &'static [Codec] {
        &[Codec::Cbor, Codec::MessagePack, Codec::Json]
    }

    fn encode(&self, codec: Codec, out: &mut Vec<u8>) -> Result<()> {
        encode(&self.0, codec, out)
    }

    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self> {
        decode(codec, bytes).map(Self)
    }
}

/// Appends what serde makes of `value` in `codec`.
///
/// # Errors
///
/// `InvalidInput` if the codec cannot carry this value, as JSON no map with keys that are no text; `Unsupported` for [`Codec::Raw`].
pub fn encode<T: Serialize>(value: &T, codec: Codec, out: &mut Vec<u8>) -> Result<()> {
    match codec {
        Codec::Postcard => postcard::serialize_with_flavor(value, Appending(out)).map_err(|why| unfit(codec, why)),
        Codec::Cbor => ciborium::into_writer(value, out).map_err(|why| unfit(codec, why)),
        Codec::MessagePack => {
            let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
            value.serialize(&mut serializer).map_err(|why| unfit(codec, why))
        }
        Codec::Json => serde_json::to_writer(out, value).map_err(|why| unfit(codec, why)),
        other => Err(Error::new(Kind::Unsupported, format!("the codec {other} carries bytes alone: use Raw"))),
    }
}

/// Postcard's way to what is there already.
struct Appending<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Appending<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// How deep a value may nest: as deep as serde_json has it. It is a stranger's message that is read.
const MAX_DEPTH: usize = 128;

/// Reads what serde makes of `bytes` in `codec`. All of them belong to the value.
///
/// # Errors
///
/// `Protocol` if they are none of this type; `Unsupported` for [`Codec::Raw`].
pub fn decode<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) -> Result<T> {
    let broken =
        |why: String| Error::new(Kind::Protocol, format!("a message is no valid {codec} of the type expected: {why}"));
    match codec {
        Codec::Postcard => {
            let (value, rest) = postcard::take_from_bytes(bytes).map_err(|why| broken(why.to_string()))?;
            if rest.is_empty() { Ok(value) } else { Err(broken(format!("{} bytes are left over", rest.len()))) }
        }
        Codec::Cbor => {
            let mut rest = bytes;
            let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH)
                .map_err(|why| broken(why.to_string()))?;
            if rest.is_empty() { Ok(value) } else { Err(broken(format!("{} bytes are left over", rest.len()))) }
        }
        Codec::MessagePack => {
            let mut rest = bytes;
            let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
            deserializer.set_max_depth(MAX_DEPTH);
            let value = T::deserialize(&mut deserializer).map_err(|why| broken(why.to_string()))?;
            if rest.is_empty() { Ok(value) } else { Err(broken(format!("{} bytes are left over", rest.len()))) }
        }
        Codec::Json => serde_json::from_slice(bytes).map_err(|why| broken(why.to_string())),
        other => Err(Error::new(Kind::Unsupported, format!("the codec {other} carries bytes alone: use Raw"))),
    }
}

fn unfit(codec: Codec, why: impl fmt::Display) -> Error {
    Error::new(Kind::InvalidInput, format!("the codec {codec} cannot carry this value: {why}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Order {
        id: u64,
        lines: Vec<(String, i32)>,
        note: Option<String>,
        state: State,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum State {
        Open,
        Moved { from: u8, to: u8 },
        Closed(f64),
    }

    fn order(state: State) -> Order {
        Order { id: u64::MAX, lines: vec![("screw".into(), -3), (String::new(), 0)], note: None, state }
    }

    const TYPED: [Codec; 4] = [Codec::Postcard, Codec::Cbor, Codec::MessagePack, Codec::Json];

    #[test]
    fn every_codec_carries_what_serde_knows_after_whatever_is_there() {
        for codec in TYPED {
            for state in [State::Open, State::Moved { from: 1, to: 2 }, State::Closed(0.5)] {
                let mut out = b"before".to_vec();
                encode(&order(state.clone()), codec, &mut out).unwrap();
                assert_eq!(decode::<Order>(codec, &out[6..]).unwrap(), order(state.clone()), "{codec}");
            }
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused() {
        for codec in TYPED {
            let mut out = Vec::new();
            encode(&order(State::Open), codec, &mut out).unwrap();
            for cut in 0..out.len() {
                assert_eq!(decode::<Order>(codec, &out[..cut]).unwrap_err().kind(), Kind::Protocol, "{codec}");
            }
            out.push(b'1');
            assert_eq!(decode::<Order>(codec, &out).unwrap_err().kind(), Kind::Protocol, "{codec}");
        }
    }

    #[test]
    fn a_codec_that_names_fields_is_read_by_a_type_with_more_or_fewer() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Newer {
            id: u64,
            #[serde(default)]
            price: u32,
        }
        for codec in [Codec::Cbor, Codec::MessagePack, Codec::Json] {
            let mut out = Vec::new();
            encode(&order(State::Open), codec, &mut out).unwrap();
            assert_eq!(decode::<Newer>(codec, &out).unwrap(), Newer { id: u64::MAX, price: 0 }, "{codec}");
        }
    }

    #[derive(Debug, Serialize, Deserialize, crosstie_macros::Schema)]
    struct Tree(Vec<Self>);

    #[derive(Serialize, Deserialize, crosstie_macros::Schema)]
    struct Flattened {
        #[serde(flatten)]
        plain: Plain,
    }

    #[derive(Serialize, Deserialize, crosstie_macros::Schema)]
    struct Plain {
        at: u32,
    }

    #[derive(Serialize, Deserialize, crosstie_macros::Schema)]
    struct Sometimes {
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<u8>,
    }

    #[derive(Serialize, Deserialize, crosstie_macros::Schema)]
    #[serde(tag = "kind")]
    enum Tagged {
        Plain(Plain),
    }

    #[test]
    fn what_a_codec_without_names_cannot_carry_is_not_offered_in_it() {
        assert!(
            Plain::codecs().contains(&Codec::Postcard) && <Vec<(Plain, Plain)>>::codecs().contains(&Codec::Postcard)
        );
        let refused =
            [Tree::codecs(), Flattened::codecs(), Sometimes::codecs(), Tagged::codecs(), <Vec<Tagged>>::codecs()];
        assert!(refused.iter().all(|codecs| !codecs.contains(&Codec::Postcard)));
    }

    #[derive(Serialize, Deserialize, crosstie_macros::Schema)]
    struct Empty {
        nothing: ((), [(); 3]),
    }

    /// Without names ten bytes would say that 2^64 of them follow, and they would be read one after the other.
    #[test]
    fn a_list_of_what_takes_no_bytes_is_not_carried_without_names() {
        let refused = [<Vec<()>>::codecs(), <Vec<Empty>>::codecs(), <BTreeMap<(), ()>>::codecs()];
        assert!(refused.iter().all(|codecs| !codecs.contains(&Codec::Postcard)));
        let offered = [Empty::codecs(), <Vec<Option<Empty>>>::codecs(), <BTreeMap<u8, ()>>::codecs()];
        assert!(offered.iter().all(|codecs| codecs.contains(&Codec::Postcard)), "the control");
    }

    #[test]
    fn a_message_that_nests_for_ever_is_refused_and_overflows_nothing() {
        let nested = |open: u8| vec![open; 200_000];
        for (codec, bytes) in
            [(Codec::Cbor, nested(0x81)), (Codec::MessagePack, nested(0x91)), (Codec::Json, nested(b'['))]
        {
            assert_eq!(decode::<Tree>(codec, &bytes).unwrap_err().kind(), Kind::Protocol, "{codec}");
        }
    }

    #[test]
    fn a_value_that_a_codec_cannot_carry_is_told() {
        let map = BTreeMap::from([(vec![1], 1)]);
        assert_eq!(encode(&map, Codec::Json, &mut Vec::new()).unwrap_err().kind(), Kind::InvalidInput);
        assert_eq!(encode(&1, Codec::Raw, &mut Vec::new()).unwrap_err().kind(), Kind::Unsupported);
    }
}
