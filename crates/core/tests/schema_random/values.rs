//! Values of a model, written as serde's derive writes them.

use crosstie_core::schema::Integer;
use fastrand::Rng;
use serde::ser::{
    Serialize, SerializeMap as _, SerializeStruct as _, SerializeStructVariant as _, SerializeTuple as _,
    SerializeTupleVariant as _, Serializer,
};

use super::model::{Carried, Fields, Model};

#[derive(Debug)]
pub(crate) enum Value {
    Unsigned(Integer, u128),
    Signed(Integer, i128),
    F32(f32),
    F64(f64),
    Bool(bool),
    Char(char),
    Text(&'static str),
    Unit,
    Marker,
    Bytes(Vec<u8>),
    None,
    Some(Box<Self>),
    List(Vec<Self>),
    Tuple(Vec<Self>),
    Map(Vec<(String, Self)>),
    Struct(Vec<(&'static str, Self)>),
    Variant(u32, &'static str, Payload),
}

#[derive(Debug)]
pub(crate) enum Payload {
    Nothing,
    Values(Vec<Value>),
    Fields(Vec<(&'static str, Value)>),
}

impl Value {
    pub(crate) fn random(model: &Model, rng: &mut Rng) -> Self {
        match model {
            Model::Integer(integer) => Self::integer(*integer, rng),
            Model::F32 => Self::F32(f32::from(rng.i16(..)) / 4.0),
            Model::F64 => Self::F64(f64::from(rng.i32(..)) / 4.0),
            Model::Bool => Self::Bool(rng.bool()),
            Model::Char => Self::Char(rng.char(..)),
            Model::Text => Self::Text(["", "a", "the end", "ö\n\"\0"][rng.usize(0..4)]),
            Model::Unit => Self::Unit,
            Model::Marker => Self::Marker,
            Model::Bytes => Self::Bytes((0..rng.u8(0..3)).collect()),
            Model::Option(_) if rng.bool() => Self::None,
            Model::Option(item) => Self::Some(Box::new(Self::random(item, rng))),
            Model::List(item) | Model::Set(item) => {
                Self::List((0..rng.usize(0..3)).map(|_| Self::random(item, rng)).collect())
            }
            Model::Array(item, count) => Self::Tuple((0..*count).map(|_| Self::random(item, rng)).collect()),
            Model::Tuple(items) => Self::Tuple(items.iter().map(|item| Self::random(item, rng)).collect()),
            Model::Map(item) => {
                Self::Map((0..rng.usize(0..3)).map(|key| (key.to_string(), Self::random(item, rng))).collect())
            }
            Model::Struct(fields) => Self::Struct(named(fields, rng)),
            Model::Enum(choices) => {
                let index = rng.usize(0..choices.len());
                let payload = match &choices[index].carried {
                    Carried::Nothing => Payload::Nothing,
                    Carried::Values(items) => {
                        Payload::Values(items.iter().map(|item| Self::random(item, rng)).collect())
                    }
                    Carried::Fields(fields) => Payload::Fields(named(fields, rng)),
                };
                Self::Variant(index as u32, choices[index].name, payload)
            }
        }
    }

    /// The ends of the range are as likely as what is between.
    fn integer(integer: Integer, rng: &mut Rng) -> Self {
        let pick = rng.u8(0..3);
        macro_rules! unsigned {
            ($ty:ty) => {
                Self::Unsigned(integer, u128::from([<$ty>::MAX, 0, rng.u128(..) as $ty][usize::from(pick)]))
            };
        }
        macro_rules! signed {
            ($ty:ty) => {
                Self::Signed(integer, i128::from([<$ty>::MAX, <$ty>::MIN, rng.i128(..) as $ty][usize::from(pick)]))
            };
        }
        match integer {
            Integer::U8 => unsigned!(u8),
            Integer::U16 => unsigned!(u16),
            Integer::U32 => unsigned!(u32),
            Integer::U64 => unsigned!(u64),
            Integer::U128 => unsigned!(u128),
            Integer::I8 => signed!(i8),
            Integer::I16 => signed!(i16),
            Integer::I32 => signed!(i32),
            Integer::I64 => signed!(i64),
            Integer::I128 => signed!(i128),
            other => panic!("{other:?} is new"),
        }
    }
}

fn named(fields: &Fields, rng: &mut Rng) -> Vec<(&'static str, Value)> {
    let mut values = Vec::new();
    for field in &fields.fields {
        if !(field.is_sometimes && rng.bool()) {
            values.push((field.name, Value::random(&field.model, rng)));
        }
    }
    values
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unsigned(Integer::U8, value) => serializer.serialize_u8(*value as u8),
            Self::Unsigned(Integer::U16, value) => serializer.serialize_u16(*value as u16),
            Self::Unsigned(Integer::U32, value) => serializer.serialize_u32(*value as u32),
            Self::Unsigned(Integer::U64, value) => serializer.serialize_u64(*value as u64),
            Self::Unsigned(_, value) => serializer.serialize_u128(*value),
            Self::Signed(Integer::I8, value) => serializer.serialize_i8(*value as i8),
            Self::Signed(Integer::I16, value) => serializer.serialize_i16(*value as i16),
            Self::Signed(Integer::I32, value) => serializer.serialize_i32(*value as i32),
            Self::Signed(Integer::I64, value) => serializer.serialize_i64(*value as i64),
            Self::Signed(_, value) => serializer.serialize_i128(*value),
            Self::F32(value) => serializer.serialize_f32(*value),
            Self::F64(value) => serializer.serialize_f64(*value),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Char(value) => serializer.serialize_char(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Unit => serializer.serialize_unit(),
            Self::Marker => serializer.serialize_unit_struct("Marker"),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::None => serializer.serialize_none(),
            Self::Some(value) => serializer.serialize_some(value),
            Self::List(values) => serializer.collect_seq(values),
            Self::Tuple(values) => {
                let mut tuple = serializer.serialize_tuple(values.len())?;
                values.iter().try_for_each(|value| tuple.serialize_element(value))?;
                tuple.end()
            }
            Self::Map(values) => {
                let mut map = serializer.serialize_map(Some(values.len()))?;
                values.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::Struct(fields) => {
                let mut written = serializer.serialize_struct("T", fields.len())?;
                fields.iter().try_for_each(|(name, value)| written.serialize_field(name, value))?;
                written.end()
            }
            Self::Variant(index, name, Payload::Nothing) => serializer.serialize_unit_variant("T", *index, name),
            Self::Variant(index, name, Payload::Values(values)) => {
                if let [value] = values.as_slice() {
                    return serializer.serialize_newtype_variant("T", *index, name, value);
                }
                let mut tuple = serializer.serialize_tuple_variant("T", *index, name, values.len())?;
                values.iter().try_for_each(|value| tuple.serialize_field(value))?;
                tuple.end()
            }
            Self::Variant(index, name, Payload::Fields(fields)) => {
                let mut written = serializer.serialize_struct_variant("T", *index, name, fields.len())?;
                fields.iter().try_for_each(|(name, value)| written.serialize_field(name, value))?;
                written.end()
            }
        }
    }
}
