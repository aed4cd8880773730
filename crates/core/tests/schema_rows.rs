//! Every row of "what can read what", sent for real: CBOR, JSON and MessagePack with named fields.
//!
//! What `can_read` allows must decode to what is meant. What it forbids is forbidden in the words expected; where the codecs refuse too, that shows
//! that the refusal was needed.
#![allow(dead_code, reason = "some types are only written, or only read")]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Debug,
    marker::PhantomData,
    time::{Duration, SystemTime},
};

use crosstie_core::schema::{Schema, SchemaText, can_read};
use crosstie_macros::Schema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What each codec makes of it on the other side. Another value follows, for a codec may be content to leave what it does not need.
fn sent<W: Serialize, R: DeserializeOwned>(value: &W) -> [(&'static str, Result<R, String>); 3] {
    let value = &(value, "the end");
    let mut cbor = Vec::new();
    ciborium::into_writer(value, &mut cbor).unwrap();
    let json = serde_json::to_vec(value).unwrap();
    let msgpack = rmp_serde::to_vec_named(value).unwrap();
    [
        ("CBOR", ended(ciborium::from_reader(&cbor[..]))),
        ("JSON", ended(serde_json::from_slice(&json))),
        ("MessagePack", ended(rmp_serde::from_slice(&msgpack))),
    ]
}

fn ended<R, E: ToString>(read: Result<(R, String), E>) -> Result<R, String> {
    match read {
        Ok((value, end)) if end == "the end" => Ok(value),
        Ok((_, end)) => Err(format!("what follows is read as {end:?}")),
        Err(error) => Err(error.to_string()),
    }
}

fn differences<W: Schema, R: Schema>() -> String {
    let (writer, reader) = (SchemaText::of::<W>().unwrap(), SchemaText::of::<R>().unwrap());
    match can_read(&writer, &reader) {
        Ok(()) => String::new(),
        Err(differences) => differences.iter().map(|difference| format!("{difference}\n")).collect(),
    }
}

#[track_caller]
fn is_read<W: Serialize + Schema, R: DeserializeOwned + Schema + Debug + PartialEq>(value: W, expected: R) {
    assert_eq!(differences::<W, R>(), "");
    for (codec, read) in sent::<W, R>(&value) {
        assert_eq!(read.as_ref(), Ok(&expected), "{codec}");
    }
}

/// Refused by the rules, and by every codec if it is sent nevertheless.
#[track_caller]
fn is_refused<W: Serialize + Schema, R: DeserializeOwned + Schema + Debug>(value: W, words: &str) {
    assert_eq!(differences::<W, R>(), format!("{words}\n"));
    for (codec, read) in sent::<W, R>(&value) {
        assert!(read.is_err(), "{codec} read {read:?}");
    }
}

#[test]
fn integers_widen() {
    macro_rules! widen {
        ($($from:ty => $($to:ty)*;)*) => {$($(
            is_read(<$from>::MAX, <$to>::from(<$from>::MAX));
            is_read(<$from>::MIN, <$to>::from(<$from>::MIN));
        )*)*};
    }
    widen! {
        u8 => u8 u16 u32 u64 i16 i32 i64;
        u16 => u32 u64 i32 i64;
        u32 => u64 i64;
        u64 => u64;
        i8 => i8 i16 i32 i64;
        i16 => i32 i64;
        i32 => i64;
        i64 => i64;
        u128 => u128;
        i128 => i128;
    }
    is_refused::<u16, u8>(256, "message: the sender writes u16, the receiver reads u8");
    is_refused::<i8, u64>(-1, "message: the sender writes i8, the receiver reads u64");
    is_refused::<u64, i64>(u64::MAX, "message: the sender writes u64, the receiver reads i64");
    is_refused::<u8, String>(1, "message: the sender writes u8, the receiver reads text");
}

#[test]
fn wide_integers_take_narrow_ones() {
    is_read(u64::MAX, u128::from(u64::MAX));
    is_read(i64::MIN, i128::from(i64::MIN));
    is_read(u8::MAX, i128::from(u8::MAX));
}

#[test]
fn floats_widen() {
    is_read(1.5_f32, 1.5_f64);
    is_read(f64::MAX, f64::MAX);
    is_read(f32::MIN, f32::MIN);
    is_refused::<f64, bool>(0.5, "message: the sender writes f64, the receiver reads bool");
    assert_eq!(differences::<f64, f32>(), "message: the sender writes f64, the receiver reads f32\n");
    assert_eq!(differences::<u8, f32>(), "message: the sender writes u8, the receiver reads f32\n");
}

#[test]
fn what_is_there_can_become_what_may_be() {
    is_read(7_u8, Some(7_u16));
    is_read(Some(7_u8), Some(7_u16));
    is_read(None::<u8>, None::<u16>);
    is_read(7_u8, Some(Some(7_u8)));
    is_refused::<Option<u8>, u8>(None, "message: the sender writes option<u8>, the receiver reads u8");
}

#[test]
fn several_are_several() {
    is_read(vec![1_u8, 2, 2], vec![1_u16, 2, 2]);
    is_read(vec![1_u8, 2, 2], BTreeSet::from([1_u64, 2]));
    is_read(BTreeSet::from([1_u8, 2]), VecDeque::from([1_i16, 2]));
    is_read([1_u8, 2], vec![1_u8, 2]);
    is_read([1_u8, 2], [1_i32, 2]);
    is_read((1_u8, "a"), (1_u16, "a".to_owned()));
    is_read((1_u8,), (1_u8,));
    is_read(BTreeMap::from([(1_u8, "a")]), BTreeMap::from([(1_u32, Some("a".to_owned()))]));
    is_read(BTreeMap::from([("k", 1.5_f32)]), BTreeMap::from([("k".to_owned(), 1.5_f64)]));
    is_refused::<[u8; 2], [u8; 3]>([1, 2], "message: the sender writes 2 values, the receiver reads 3");
    is_refused::<(u8, u8), (u8, u8, u8)>((1, 2), "message: the sender writes 2 values, the receiver reads 3");
    is_refused::<Vec<u8>, [u8; 2]>(vec![1], "message: the sender writes list<u8>, the receiver reads array<u8, 2>");
    is_refused::<Vec<String>, Vec<u8>>(vec!["a".into()], "message[]: the sender writes text, the receiver reads u8");
    let keys = BTreeMap::from([("k".to_owned(), 1_u8)]);
    is_refused::<BTreeMap<String, u8>, BTreeMap<u8, u8>>(
        keys,
        "message[key]: the sender writes text, the receiver reads u8",
    );
}

#[test]
fn anything_else_is_the_same() {
    is_read(true, true);
    is_read('x', 'x');
    is_read("x", "x".to_owned());
    is_read((), ());
    is_read(serde_as_bytes(b"ab"), serde_as_bytes(b"ab"));
    is_read(Ok::<u8, ()>(1), Ok::<u16, ()>(1));
    is_read(Duration::from_millis(1), Duration::from_millis(1));
    is_read(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH);
    is_refused::<bool, u8>(true, "message: the sender writes bool, the receiver reads u8");
    is_refused::<String, char>("xy".into(), "message: the sender writes text, the receiver reads char");
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
struct Raw(#[serde(with = "serde_bytes")] Vec<u8>);

fn serde_as_bytes(bytes: &[u8]) -> Raw {
    Raw(bytes.to_owned())
}

#[test]
fn a_unit_struct_is_no_unit() {
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct Marker;
    is_read(Marker, Marker);
    is_read(PhantomData::<u8>, Marker);
    // MessagePack writes the one as an empty list, the other as nil.
    assert_eq!(differences::<Marker, ()>(), "message: the sender writes marker, the receiver reads unit\n");
    assert!(sent::<Marker, ()>(&Marker)[2].1.is_err());
    assert_eq!(differences::<(), Marker>(), "message: the sender writes unit, the receiver reads marker\n");
}

mod old {
    use super::*;

    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    pub(super) struct Order {
        pub(super) id: u32,
        pub(super) item: String,
        pub(super) price: f32,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) note: Option<String>,
    }

    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    pub(super) enum Event {
        Opened,
        Closed(u8),
        Pair(u8, bool),
        Moved { from: u8, to: u8 },
    }
}

fn order() -> old::Order {
    old::Order { id: 1, item: "tea".into(), price: 2.5, note: None }
}

#[test]
fn a_struct_may_widen_gain_lose_rename_and_reorder() {
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct Order {
        #[serde(default)]
        paid: bool,
        remark: Option<String>,
        note: Option<String>,
        #[serde(alias = "item", alias = "thing")]
        what: String,
        id: u64,
        boxed: Box<Option<u8>>,
    }
    let read = Order { paid: false, remark: None, note: None, what: "tea".into(), id: 1, boxed: Box::new(None) };
    is_read(order(), read);
    // The way back: the old side needs what the new one has dropped.
    let words = "Order.item: the sender does not write it, the receiver needs it\n\
                 Order.price: the sender does not write it, the receiver needs it\n\
                 Order.id: the sender writes u64, the receiver reads u32";
    let new = Order { paid: true, remark: None, note: None, what: "tea".into(), id: 1 << 40, boxed: Box::new(None) };
    is_refused::<Order, old::Order>(new, words);
}

#[test]
fn a_field_that_is_needed_and_not_there_is_told() {
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct Needs {
        id: u32,
        paid: bool,
    }
    is_refused::<old::Order, Needs>(order(), "Needs.paid: the sender does not write it, the receiver needs it");
    #[derive(Schema, Serialize, Deserialize, Debug)]
    struct Around(Option<u8>);
    #[derive(Schema, Serialize, Deserialize, Debug)]
    struct NeedsOption {
        rest: Around,
    }
    is_refused::<old::Order, NeedsOption>(
        order(),
        "NeedsOption.rest: the sender does not write it, the receiver needs it",
    );
    #[derive(Schema, Serialize, Deserialize, Debug)]
    struct NeedsNote {
        note: Around,
    }
    assert_eq!(
        differences::<old::Order, NeedsNote>(),
        "NeedsNote.note: the sender may leave it out, the receiver needs it\n\
         NeedsNote.note: the sender writes text, the receiver reads u8\n"
    );
}

#[test]
fn a_field_that_is_sometimes_left_out_must_not_be_needed() {
    #[derive(Schema, Serialize, Deserialize, Debug)]
    struct Sparse {
        #[serde(skip_serializing_if = "is_zero", default)]
        count: u8,
    }
    fn is_zero(count: &u8) -> bool {
        *count == 0
    }
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct Dense {
        count: u8,
    }
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct Lenient {
        count: Option<u8>,
    }
    is_refused::<Sparse, Dense>(Sparse { count: 0 }, "Dense.count: the sender may leave it out, the receiver needs it");
    is_read(Sparse { count: 0 }, Lenient { count: None });
    is_read(Dense { count: 0 }, Lenient { count: Some(0) });
}

#[test]
fn a_strict_struct_knows_all_its_fields() {
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        id: u64,
        #[serde(default)]
        more: u8,
    }
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct Short {
        id: u8,
    }
    is_read(Short { id: 1 }, Strict { id: 1, more: 0 });
    let words = "Strict.item: the sender writes it, the receiver refuses unknown fields\n\
                 Strict.price: the sender writes it, the receiver refuses unknown fields\n\
                 Strict.note: the sender writes it, the receiver refuses unknown fields";
    is_refused::<old::Order, Strict>(order(), words);
}

#[test]
fn two_fields_that_are_one_to_the_reader_are_told() {
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct One {
        #[serde(alias = "item")]
        id: u32,
    }
    #[derive(Schema, Serialize, Deserialize, Debug)]
    struct Two {
        id: u32,
        item: u32,
    }
    is_refused::<Two, One>(Two { id: 1, item: 2 }, "One.id: the sender writes id and item, one field of the receiver");
}

#[test]
fn flattened_fields_are_fields() {
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct Base {
        id: u64,
        #[serde(default)]
        extra: Option<f64>,
        items: Vec<u16>,
    }
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct Flat {
        name: String,
        #[serde(flatten)]
        base: Base,
    }
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct Plain {
        items: BTreeSet<u8>,
        extra: f32,
        id: u32,
        name: String,
    }
    let flat = |extra| Flat { name: "n".into(), base: Base { id: 3, extra, items: vec![1] } };
    is_read(Plain { items: [1].into(), extra: 0.5, id: 3, name: "n".into() }, flat(Some(0.5)));
    is_refused::<old::Order, Flat>(
        order(),
        "Flat.name: the sender does not write it, the receiver needs it\n\
         Flat.items: the sender does not write it, the receiver needs it",
    );
}

#[test]
fn an_enum_may_gain_variants_at_the_reader() {
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    enum Event {
        New,
        #[serde(alias = "Opened")]
        Begun,
        Closed(Option<u16>),
        Pair(u16, bool),
        Moved {
            to: i16,
            from: u8,
            speed: Option<u8>,
        },
    }
    is_read(old::Event::Opened, Event::Begun);
    is_read(old::Event::Closed(1), Event::Closed(Some(1)));
    is_read(old::Event::Pair(1, true), Event::Pair(1, true));
    is_read(old::Event::Moved { from: 1, to: 2 }, Event::Moved { to: 2, from: 1, speed: None });
    let words = "Event.New: the sender may write it, the receiver has no such variant\n\
                 Event.Begun: the sender may write it, the receiver has no such variant\n\
                 Event.Closed: the sender writes option<u16>, the receiver reads u8\n\
                 Event.Pair.0: the sender writes u16, the receiver reads u8\n\
                 Event.Moved.to: the sender writes i16, the receiver reads u8";
    is_refused::<Event, old::Event>(Event::New, words);
    is_refused::<Event, old::Event>(Event::Closed(None), words);
    is_refused::<Event, old::Event>(Event::Moved { to: -1, from: 0, speed: None }, words);
}

#[test]
fn variants_of_another_form_are_told() {
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    enum Event {
        Opened(u8),
        Closed { code: u8 },
        Pair(u8, bool, u8),
        Moved,
    }
    let words = "Event.Opened: the sender writes Opened, the receiver reads Opened(u8)\n\
                 Event.Closed: the sender writes Closed(u8), the receiver reads Closed { code: u8 }\n\
                 Event.Pair: the sender writes 2 values, the receiver reads 3\n\
                 Event.Moved: the sender writes Moved { from: u8, to: u8 }, the receiver reads Moved";
    for event in
        [old::Event::Opened, old::Event::Closed(1), old::Event::Pair(1, true), old::Event::Moved { from: 1, to: 2 }]
    {
        is_refused::<old::Event, Event>(event, words);
    }
}

#[test]
fn an_enum_with_other_takes_unknown_variants() {
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    enum Sent {
        Known,
        New,
    }
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    enum Read {
        Known,
        #[serde(other)]
        Rest,
    }
    is_read(Sent::New, Read::Rest);
    is_read(Sent::Known, Read::Known);
    let words = "Read.Closed: the sender may write it with a content, the receiver takes unknown variants without one only\n\
                 Read.Pair: the sender may write it with a content, the receiver takes unknown variants without one only\n\
                 Read.Moved: the sender may write it with a content, the receiver takes unknown variants without one only";
    is_refused::<old::Event, Read>(old::Event::Closed(1), words);
}

#[test]
fn enums_that_are_tagged_inside_or_apart_are_read_too() {
    macro_rules! tagged {
        ($module:ident, $($tag:tt)*) => {
            mod $module {
                use super::*;
                #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
                #[serde($($tag)*)]
                pub(super) enum Sent { Known, Held(Body), Moved { from: u8 }, New, Newer { a: u8 } }
                #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
                #[serde($($tag)*)]
                pub(super) enum Read {
                    Known,
                    Held(super::Wide),
                    #[serde(alias = "Moved")]
                    Gone { from: i64, to: Option<u8> },
                    #[serde(other)]
                    Rest,
                }
            }
        };
    }
    tagged!(inside, tag = "kind");
    tagged!(apart, tag = "kind", content = "data");
    is_read(inside::Sent::Known, inside::Read::Known);
    is_read(inside::Sent::Held(Body { size: 1 }), inside::Read::Held(Wide { size: 1, more: None }));
    is_read(inside::Sent::Moved { from: 1 }, inside::Read::Gone { from: 1, to: None });
    is_read(inside::Sent::New, inside::Read::Rest);
    is_read(inside::Sent::Newer { a: 1 }, inside::Read::Rest);
    let words =
        "Read.Newer: the sender may write it with a content, the receiver takes unknown variants without one only";
    is_refused::<apart::Sent, apart::Read>(apart::Sent::Newer { a: 1 }, words);
    let words = "Read: the sender writes an enum tag(kind), the receiver reads one tag(kind, data)";
    is_refused::<inside::Sent, apart::Read>(inside::Sent::Held(Body { size: 1 }), words);
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
struct Body {
    size: u32,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
struct Wide {
    size: u64,
    more: Option<u8>,
}

#[test]
fn types_that_contain_themselves_are_compared_to_their_end() {
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct Tree {
        value: u8,
        children: Vec<Self>,
    }
    #[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
    struct Wood {
        value: u16,
        children: Vec<Self>,
        name: Option<String>,
    }
    let leaf = |value| Tree { value, children: Vec::new() };
    let wood = |value, children| Wood { value, children, name: None };
    is_read(Tree { value: 1, children: vec![leaf(2)] }, wood(1, vec![wood(2, Vec::new())]));
    is_refused::<Wood, Tree>(wood(256, Vec::new()), "Tree.value: the sender writes u16, the receiver reads u8");
}
