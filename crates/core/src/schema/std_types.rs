//! What the types of the standard library look like, as serde writes them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque},
    marker::PhantomData,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use super::{
    definitions::Definitions,
    of_type::Schema,
    shape::{Body, Content, Field, Integer, Shape, Tagging, Variant},
};

macro_rules! plain {
    ($($ty:ty => $shape:expr),* $(,)?) => {
        $(impl Schema for $ty {
            fn shape(_: &mut Definitions) -> Shape {
                $shape
            }
        })*
    };
}

plain! {
    u8 => Shape::Integer(Integer::U8),
    u16 => Shape::Integer(Integer::U16),
    u32 => Shape::Integer(Integer::U32),
    u64 => Shape::Integer(Integer::U64),
    u128 => Shape::Integer(Integer::U128),
    usize => Shape::Integer(Integer::U64),
    i8 => Shape::Integer(Integer::I8),
    i16 => Shape::Integer(Integer::I16),
    i32 => Shape::Integer(Integer::I32),
    i64 => Shape::Integer(Integer::I64),
    i128 => Shape::Integer(Integer::I128),
    isize => Shape::Integer(Integer::I64),
    f32 => Shape::F32,
    f64 => Shape::F64,
    bool => Shape::Bool,
    char => Shape::Char,
    str => Shape::Text,
    String => Shape::Text,
    Path => Shape::Text,
    PathBuf => Shape::Text,
    Bytes => Shape::Bytes,
    () => Shape::Unit,
}

impl<T: ?Sized> Schema for PhantomData<T> {
    fn shape(_: &mut Definitions) -> Shape {
        Shape::Marker
    }
}

impl<T: Schema> Schema for Option<T> {
    const MAY_BE_ABSENT: bool = true;

    fn shape(definitions: &mut Definitions) -> Shape {
        Shape::Option(Box::new(T::shape(definitions)))
    }
}

macro_rules! same_as_inside {
    ($($ty:ty),* $(,)?) => {
        $(impl<T: Schema + ?Sized> Schema for $ty {
            const MAY_BE_ABSENT: bool = T::MAY_BE_ABSENT;

            fn shape(definitions: &mut Definitions) -> Shape {
                T::shape(definitions)
            }
        })*
    };
}

same_as_inside!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

impl<T: Schema + ToOwned + ?Sized> Schema for Cow<'_, T> {
    const MAY_BE_ABSENT: bool = T::MAY_BE_ABSENT;

    fn shape(definitions: &mut Definitions) -> Shape {
        T::shape(definitions)
    }
}

macro_rules! several {
    ($kind:ident: $($ty:ty $(, $hasher:ident)?);* $(;)?) => {
        $(impl<T: Schema $(, $hasher)?> Schema for $ty {
            fn shape(definitions: &mut Definitions) -> Shape {
                Shape::$kind(Box::new(T::shape(definitions)))
            }
        })*
    };
}

several!(List: [T]; Vec<T>; VecDeque<T>; LinkedList<T>; BinaryHeap<T>);
several!(Set: BTreeSet<T>; HashSet<T, S>, S);

impl<T: Schema, const N: usize> Schema for [T; N] {
    fn shape(definitions: &mut Definitions) -> Shape {
        Shape::Array(Box::new(T::shape(definitions)), N as u64)
    }
}

impl<K: Schema, V: Schema> Schema for BTreeMap<K, V> {
    fn shape(definitions: &mut Definitions) -> Shape {
        map::<K, V>(definitions)
    }
}

impl<K: Schema, V: Schema, S> Schema for HashMap<K, V, S> {
    fn shape(definitions: &mut Definitions) -> Shape {
        map::<K, V>(definitions)
    }
}

fn map<K: Schema, V: Schema>(definitions: &mut Definitions) -> Shape {
    let key = K::shape(definitions);
    Shape::Map(Box::new(key), Box::new(V::shape(definitions)))
}

macro_rules! tuples {
    ($($($name:ident)+;)*) => {
        $(impl<$($name: Schema),+> Schema for ($($name,)+) {
            fn shape(definitions: &mut Definitions) -> Shape {
                Shape::Tuple(vec![$($name::shape(definitions)),+])
            }
        })*
    };
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
    A B C D E F G H I J K;
    A B C D E F G H I J K L;
}

impl<T: Schema, E: Schema> Schema for Result<T, E> {
    fn shape(definitions: &mut Definitions) -> Shape {
        definitions.named::<Self>("", "Result", |definitions| {
            let mut variant = |name: &str, shape: fn(&mut Definitions) -> Shape| Variant {
                name: name.to_owned(),
                content: Content::Tuple(vec![shape(definitions)]),
                is_other: false,
                aliases: Vec::new(),
            };
            let variants = vec![variant("Ok", T::shape), variant("Err", E::shape)];
            Body::Enum { tagging: Tagging::External, variants }
        })
    }
}

impl Schema for Duration {
    fn shape(definitions: &mut Definitions) -> Shape {
        time::<Self>(definitions, "Duration", ["secs", "nanos"])
    }
}

impl Schema for SystemTime {
    fn shape(definitions: &mut Definitions) -> Shape {
        time::<Self>(definitions, "SystemTime", ["secs_since_epoch", "nanos_since_epoch"])
    }
}

/// Seconds and nanoseconds. Serde's own reader of both refuses unknown fields.
fn time<T>(definitions: &mut Definitions, name: &str, [seconds, nanoseconds]: [&str; 2]) -> Shape {
    definitions.named::<T>("", name, |_| Body::Struct {
        fields: vec![
            Field::new(seconds, Shape::Integer(Integer::U64)),
            Field::new(nanoseconds, Shape::Integer(Integer::U32)),
        ],
        is_strict: true,
    })
}
