//! Schemas of standard types: their texts and hashes as released, what a text may be, and what can read what, in words.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crosstie_core::schema::{DifferenceKind, SCHEMA_TEXT_MAX, Schema, SchemaHash, SchemaText, can_read};

fn text<T: Schema + ?Sized>() -> String {
    SchemaText::of::<T>().unwrap().to_string()
}

fn parsed(text: &str) -> SchemaText {
    text.parse().unwrap_or_else(|error| panic!("{text}{error}"))
}

fn refusal(text: &str) -> String {
    text.parse::<SchemaText>().expect_err(text).to_string()
}

/// All differences, a line each.
fn differences(writer: &str, reader: &str) -> String {
    match can_read(&parsed(writer), &parsed(reader)) {
        Ok(()) => String::new(),
        Err(differences) => differences.iter().map(|difference| format!("{difference}\n")).collect(),
    }
}

#[test]
fn standard_types_have_the_texts_of_the_table() {
    assert_eq!(text::<u8>(), "u8\n");
    assert_eq!(text::<(usize, isize, i128, f32)>(), "tuple<u64, i64, i128, f32>\n");
    assert_eq!(text::<&str>(), "text\n");
    assert_eq!(text::<Cow<'_, [char]>>(), "list<char>\n");
    assert_eq!(text::<Box<Rc<Arc<bool>>>>(), "bool\n");
    assert_eq!(text::<Option<()>>(), "option<unit>\n");
    assert_eq!(text::<[Vec<String>; 3]>(), "array<list<text>, 3>\n");
    assert_eq!(text::<BTreeMap<String, HashSet<i8>>>(), "map<text, set<i8>>\n");
    assert_eq!(text::<bytes::Bytes>(), "bytes\n");
    assert_eq!(text::<Duration>(), "struct Duration { secs: u64, nanos: u32 } strict\n");
    assert_eq!(
        text::<HashMap<u8, Result<SystemTime, Result<SystemTime, ()>>>>(),
        "map<u8, Result>\n\
         enum Result { Ok(SystemTime), Err(Result~2) }\n\
         struct SystemTime { secs_since_epoch: u64, nanos_since_epoch: u32 } strict\n\
         enum Result~2 { Ok(SystemTime), Err(unit) }\n"
    );
    let twelve = text::<(u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8)>();
    assert_eq!(twelve, "tuple<u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8>\n");
}

const EXAMPLE: &str = "struct Order { id: u64, item: text, price: f64 default, note: option<text>, lines: list<Line> }\n\
                       struct Line { sku: text, count: u32 }\n";

/// Computed by Python's xxhash of the same bytes: `xxhash.xxh3_128_hexdigest`.
#[test]
fn a_hash_is_the_one_that_others_compute() {
    assert_eq!(parsed(EXAMPLE).hash().to_string(), "f185951390e2b674a2118e484ce772c2");
    assert_eq!(parsed("u8\n").hash().to_string(), "851dc710cee49cf3cef1508d6efaadcd");
}

#[test]
fn control_another_letter_is_another_hash() {
    assert_ne!(parsed(EXAMPLE).hash(), parsed(&EXAMPLE.replace("price", "Price")).hash());
    assert_ne!(parsed("u8\n").hash(), parsed("i8\n").hash());
}

#[test]
fn a_hash_is_read_as_it_is_written() {
    let hash = parsed(EXAMPLE).hash();
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert_eq!(SchemaHash::from_bytes(hash.to_bytes()), hash);
    assert!("+123456789012345678901234567890a".parse::<SchemaHash>().is_err());
    assert!("12".parse::<SchemaHash>().is_err());
}

#[test]
fn every_word_of_the_text_is_read_and_written() {
    let all = "struct \"text\" { \"a b\": u8 default sometimes alias(c, \"\\\"\\\\\\u{a}\"), e: option<\"text\"> required, f: Event, g: Never } strict\n\
               enum Event tag(kind, \"the content\") { Opened alias(opened), Closed(text), Pair(u8, Tree), None(), Moved { from: u32 } strict, Rest other }\n\
               enum Never { }\n\
               type Tree = list<tuple<Tree, Loose, Inner>>\n\
               enum Loose untagged { A(unit), B }\n\
               enum Inner tag(t) { A { } }\n";
    assert_eq!(parsed(all).as_str(), all);
    assert_eq!(parsed("tuple<>\n").as_str(), "tuple<>\n");
}

#[test]
fn a_text_that_is_none_is_refused_with_its_place() {
    let cases = [
        ("", "this is no schema: expected a line feed at its end"),
        ("\n", "line 1, column 1: expected a name, found the end of the line"),
        ("u8", "expected a line feed at its end"),
        ("u9\n", "line 1, column 1: \"u9\" is no kind and has no definition"),
        ("list<u8\n", "line 1, column 8: expected `>`, found the end of the line"),
        ("list<u8>x\n", "line 1, column 9: expected the end of the line, found \"x\""),
        ("u8\r\n", "line 2: nothing above mentions it"),
        ("struct A { a: B }\n", "line 1, column 15: \"B\" is no kind and has no definition"),
        ("struct A { a: u8 }\nstruct A { }\n", "line 2, column 9: this name has a definition already"),
        ("struct A { a: u8, a: u8 }\n", "line 1: two fields or variants of one type answer to \"a\""),
        ("struct A { a: u8, b: u8 alias(a) }\n", "two fields or variants of one type answer to \"a\""),
        ("struct A { a: u8 }\nstruct B { }\n", "line 2: nothing above mentions it"),
        ("struct A { b: B, c: C }\nstruct C { }\nstruct B { }\n", "line 2: expected it written as `struct B { }`"),
        ("struct A { a: u8 required }\n", "line 1: expected it written as `struct A { a: u8 }`"),
        ("struct text { }\n", "line 1, column 8: `text` is a kind; a type of that name is written in quotes"),
        ("struct \"A\" { }\n", "line 1: expected it written as `struct A { }`"),
        ("struct A { \"\u{202e}\": u8 }\n", "'\\u{202e}' is written as \\u{202e}"),
        ("type A = A\n", "a type stands for nothing but itself"),
        ("type A = B\ntype B = A\n", "a type stands for nothing but itself"),
        ("\"struct\"\nstruct \"struct\" { }\n", "a message that is a struct or enum begins with its definition"),
        ("array<u8, 99999999999999999999>\n", "expected a number"),
        ("array<u8, 03>\n", "line 1: expected it written as `array<u8, 3>`"),
    ];
    for (text, expected) in cases {
        let told = refusal(text);
        assert!(told.contains(expected), "{text:?}: {told}");
    }
}

#[test]
fn a_text_is_read_within_limits() {
    let deep = |depth: usize| format!("{}u8{}\n", "list<".repeat(depth), ">".repeat(depth));
    assert!(deep(32).parse::<SchemaText>().is_ok());
    assert!(refusal(&deep(33)).contains("more than 32 deep"));
    assert!(refusal(&deep(10_000)).contains("more than 32 deep"));
    let named = |length: usize| format!("struct {} {{ }}\n", "n".repeat(length));
    assert!(named(255).parse::<SchemaText>().is_ok());
    assert!(refusal(&named(256)).contains("a name of 256 bytes, and 255 are the most"));
    let chain = |count: usize| -> String {
        let line = |at: usize| format!("type T{at} = list<T{}>\n", (at + 1) % count);
        (0..count).map(line).collect()
    };
    assert!(chain(1024).parse::<SchemaText>().is_ok());
    assert!(refusal(&chain(1025)).contains("more than 1024 definitions"));
    let long = format!("tuple<{}u8>\n", "u8, ".repeat(SCHEMA_TEXT_MAX / 4));
    assert!(refusal(&long).contains("65536 are the most"));
}

#[test]
fn what_can_be_read_is() {
    let cases = [
        ("u8\n", "u16\n"),
        ("u8\n", "i16\n"),
        ("i8\n", "i128\n"),
        ("f32\n", "f64\n"),
        ("u8\n", "option<u64>\n"),
        ("option<u8>\n", "option<u64>\n"),
        ("array<u8, 3>\n", "set<u16>\n"),
        ("set<u8>\n", "list<u8>\n"),
        ("array<u8, 3>\n", "array<u16, 3>\n"),
        ("map<u8, f32>\n", "map<i16, option<f64>>\n"),
        ("tuple<u8, text>\n", "tuple<u16, text>\n"),
        ("struct A { a: u8, b: u8 }\n", "struct Z { c: option<u8>, d: u8 default, a: u8 }\n"),
        ("struct A { old: u8 }\n", "struct A { new: u8 alias(old) } strict\n"),
        ("struct A { a: option<u8> sometimes }\n", "struct A { a: option<u8> }\n"),
        ("enum E { A, B(u8) }\n", "enum F { C, B(u16), A }\n"),
        ("enum E { A, Z }\n", "enum E { A, Rest other }\n"),
        ("enum E tag(t) { A, Z { a: u8 } }\n", "enum E tag(t) { A, Rest other }\n"),
        ("enum E { Old { a: u8 } }\n", "enum E { New { a: u8 } alias(Old) }\n"),
        ("type T = list<T>\n", "type U = set<V>\ntype V = list<U>\n"),
        ("struct T { left: option<T>, right: option<T> }\n", "struct U { right: option<U>, extra: option<text> }\n"),
    ];
    for (writer, reader) in cases {
        assert_eq!(differences(writer, reader), "", "{writer}{reader}");
    }
}

#[test]
fn what_cannot_be_read_is_told_in_words() {
    let cases = [
        ("i8\n", "u8\n", "message: the sender writes i8, the receiver reads u8\n"),
        ("u64\n", "i64\n", "message: the sender writes u64, the receiver reads i64\n"),
        ("f64\n", "f32\n", "message: the sender writes f64, the receiver reads f32\n"),
        ("u8\n", "f64\n", "message: the sender writes u8, the receiver reads f64\n"),
        ("option<u8>\n", "u8\n", "message: the sender writes option<u8>, the receiver reads u8\n"),
        ("list<u8>\n", "bytes\n", "message: the sender writes list<u8>, the receiver reads bytes\n"),
        ("array<u8, 3>\n", "array<u8, 1>\n", "message: the sender writes 3 values, the receiver reads 1\n"),
        ("tuple<u8>\n", "tuple<u8, u8>\n", "message: the sender writes 1 value, the receiver reads 2\n"),
        (
            "map<text, list<text>>\n",
            "map<u8, list<u8>>\n",
            "message[key]: the sender writes text, the receiver reads u8\n\
             message[value][]: the sender writes text, the receiver reads u8\n",
        ),
        (
            EXAMPLE,
            "struct Order { item: bool, price: text default, lines: list<Line>, paid: bool } strict\n\
             struct Line { sku: u8, count: u16 }\n",
            "Order.paid: the sender does not write it, the receiver needs it\n\
             Order.id: the sender writes it, the receiver refuses unknown fields\n\
             Order.note: the sender writes it, the receiver refuses unknown fields\n\
             Order.item: the sender writes text, the receiver reads bool\n\
             Order.price: the sender writes f64, the receiver reads text\n\
             Order.lines[].sku: the sender writes text, the receiver reads u8\n\
             Order.lines[].count: the sender writes u32, the receiver reads u16\n",
        ),
        (
            "struct A { a: u8 sometimes, b: u8, old: u8 }\n",
            "struct A { a: u8, b: u8 alias(old), c: option<u8> required }\n",
            "A.a: the sender may leave it out, the receiver needs it\n\
             A.b: the sender writes b and old, one field of the receiver\n\
             A.c: the sender does not write it, the receiver needs it\n",
        ),
        (
            "enum E { A, B(u8), C(u8), D { x: u8 }, F(u8, u8) }\n",
            "enum E { A(u8), B(text), D { y: u8 }, F(u8) }\n",
            "E.A: the sender writes A, the receiver reads A(u8)\n\
             E.C: the sender may write it, the receiver has no such variant\n\
             E.D.y: the sender does not write it, the receiver needs it\n\
             E.F: the sender writes 2 values, the receiver reads 1\n\
             E.B: the sender writes u8, the receiver reads text\n",
        ),
        (
            "enum E { A(u8) }\n",
            "enum E { Rest other }\n",
            "E.A: the sender may write it with a content, the receiver takes unknown variants without one only\n",
        ),
        (
            "enum E tag(kind) { A }\n",
            "enum E { A }\n",
            "E: the sender writes an enum tag(kind), the receiver reads one tagged from outside\n",
        ),
        (
            "enum E untagged { A(u8) }\n",
            "enum E untagged { A(u16) }\n",
            "E: an untagged enum must be the same on both sides, and the sender's is another\n",
        ),
        ("struct A { }\n", "enum A { }\n", "A: the sender writes struct A, the receiver reads enum A\n"),
        (
            "struct A { \"\\u{1b}\": u8 }\n",
            "struct A { } strict\n",
            "A.\"\\u{1b}\": the sender writes it, the receiver refuses unknown fields\n",
        ),
    ];
    for (writer, reader, expected) in cases {
        assert_eq!(differences(writer, reader), expected, "{writer}{reader}");
    }
}

/// Two rings of types whose lengths have no divisor in common: every pair of them is met.
#[test]
fn what_a_peer_can_make_of_it_is_bounded() {
    let ring = |count: usize, end: &str| -> String {
        let line = |at: usize| format!("struct T{at} {{ next: option<T{}>{end} }}\n", (at + 1) % count);
        (0..count).map(line).collect()
    };
    let (writer, reader) = (parsed(&ring(1009, "")), parsed(&ring(1013, "")));
    let told = can_read(&writer, &reader).unwrap_err();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind(), DifferenceKind::TooMuch);
    assert!(told[0].to_string().len() < 300, "{}", told[0]);
    let told = can_read(&writer, &parsed(&ring(1013, ", a: u8"))).unwrap_err();
    assert_eq!(told.len(), 64);
    assert!(told[63].path().contains(".next.….next"), "{}", told[63]);
    // Rings of one length meet themselves at once.
    assert_eq!(can_read(&writer, &parsed(&ring(1009, ", a: u8 default"))), Ok(()));
}
