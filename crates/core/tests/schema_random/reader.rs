//! Reads a model as the code of serde's derive reads a type, and drops what it has read.

use std::fmt;

use crosstie_core::schema::Integer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess as _, Visitor,
};

use super::model::{Carried, Fields, Model, NAMES};

#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a Model);

impl Reader<'_> {
    pub(crate) fn of_cbor(self, bytes: &[u8]) -> Result<(), String> {
        READ_NOW.set(Some(self.0.clone()));
        ciborium::from_reader::<ReadNow, _>(bytes).map(drop).map_err(|error| error.to_string())
    }

    pub(crate) fn of_json(self, bytes: &[u8]) -> Result<(), String> {
        self.deserialize(&mut serde_json::Deserializer::from_slice(bytes)).map_err(|error| error.to_string())
    }

    pub(crate) fn of_msgpack(self, bytes: &[u8]) -> Result<(), String> {
        self.deserialize(&mut rmp_serde::Deserializer::from_read_ref(bytes)).map_err(|error| error.to_string())
    }
}

thread_local! {
    static READ_NOW: std::cell::RefCell<Option<Model>> = const { std::cell::RefCell::new(None) };
}

/// What is read by the model that the thread holds: ciborium takes types, and no seeds.
struct ReadNow;

impl<'de> Deserialize<'de> for ReadNow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let model = READ_NOW.take().expect("set before");
        Reader(&model).deserialize(deserializer).map(|()| Self)
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0 {
            Model::Integer(Integer::U8) => u8::deserialize(deserializer).map(drop),
            Model::Integer(Integer::U16) => u16::deserialize(deserializer).map(drop),
            Model::Integer(Integer::U32) => u32::deserialize(deserializer).map(drop),
            Model::Integer(Integer::U64) => u64::deserialize(deserializer).map(drop),
            Model::Integer(Integer::U128) => u128::deserialize(deserializer).map(drop),
            Model::Integer(Integer::I8) => i8::deserialize(deserializer).map(drop),
            Model::Integer(Integer::I16) => i16::deserialize(deserializer).map(drop),
            Model::Integer(Integer::I32) => i32::deserialize(deserializer).map(drop),
            Model::Integer(Integer::I64) => i64::deserialize(deserializer).map(drop),
            Model::Integer(_) => i128::deserialize(deserializer).map(drop),
            Model::F32 => f32::deserialize(deserializer).map(drop),
            Model::F64 => f64::deserialize(deserializer).map(drop),
            Model::Bool => bool::deserialize(deserializer).map(drop),
            Model::Char => char::deserialize(deserializer).map(drop),
            Model::Text => String::deserialize(deserializer).map(drop),
            Model::Bytes => serde_bytes::ByteBuf::deserialize(deserializer).map(drop),
            Model::Unit => <()>::deserialize(deserializer),
            Model::Marker => deserializer.deserialize_unit_struct("Marker", self),
            Model::Option(_) => deserializer.deserialize_option(self),
            Model::List(_) | Model::Set(_) => deserializer.deserialize_seq(self),
            Model::Array(_, count) => deserializer.deserialize_tuple(*count, self),
            Model::Tuple(items) => deserializer.deserialize_tuple(items.len(), self),
            Model::Map(_) => deserializer.deserialize_map(self),
            Model::Struct(_) => deserializer.deserialize_struct("T", &NAMES, self),
            Model::Enum(_) => deserializer.deserialize_enum("T", &NAMES, self),
        }
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Model::Option(item) = self.0 else { return Err(D::Error::custom("no option")) };
        Reader(item).deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        match self.0 {
            Model::List(item) | Model::Set(item) => {
                while values.next_element_seed(Reader(item))?.is_some() {}
                Ok(())
            }
            Model::Array(item, count) => Values(&vec![(**item).clone(); *count]).visit_seq(values),
            Model::Tuple(items) => Values(items).visit_seq(values),
            _ => Err(A::Error::custom("no list")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        match self.0 {
            Model::Map(value) => {
                while entries.next_key::<String>()?.is_some() {
                    entries.next_value_seed(Reader(value))?;
                }
                Ok(())
            }
            Model::Struct(fields) => Named(fields).visit_map(entries),
            _ => Err(A::Error::custom("no map")),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<(), A::Error> {
        let Model::Enum(choices) = self.0 else { return Err(A::Error::custom("no enum")) };
        let (name, content) = access.variant::<String>()?;
        let known = choices
            .iter()
            .find(|choice| choice.name == name || choice.aliases.contains(&name.as_str()))
            .or_else(|| choices.iter().find(|choice| choice.is_other));
        match known.map(|choice| &choice.carried) {
            None => Err(A::Error::custom(format!("unknown variant {name}"))),
            Some(Carried::Nothing) => content.unit_variant(),
            Some(Carried::Values(items)) => match items.as_slice() {
                [item] => content.newtype_variant_seed(Reader(item)),
                items => content.tuple_variant(items.len(), Values(items)),
            },
            Some(Carried::Fields(fields)) => content.struct_variant(&NAMES, Named(fields)),
        }
    }
}

/// A fixed number of values.
struct Values<'a>(&'a [Model]);

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.0.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        for (at, item) in self.0.iter().enumerate() {
            if values.next_element_seed(Reader(item))?.is_none() {
                return Err(A::Error::invalid_length(at, &self));
            }
        }
        Ok(())
    }
}

/// Fields by name, in whichever order.
struct Named<'a>(&'a Fields);

impl<'de> Visitor<'de> for Named<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let fields = &self.0.fields;
        let mut is_there = vec![false; fields.len()];
        while let Some(name) = entries.next_key::<String>()? {
            match fields.iter().position(|field| field.name == name || field.aliases.contains(&name.as_str())) {
                Some(at) if is_there[at] => return Err(A::Error::custom(format!("field {name} twice"))),
                Some(at) => {
                    is_there[at] = true;
                    entries.next_value_seed(Reader(&fields[at].model))?;
                }
                None if self.0.is_strict => return Err(A::Error::custom(format!("unknown field {name}"))),
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        match fields.iter().zip(is_there).find(|(field, is_there)| !is_there && !field.may_be_absent()) {
            Some((field, _)) => Err(A::Error::missing_field(field.name)),
            None => Ok(()),
        }
    }
}
