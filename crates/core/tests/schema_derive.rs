//! `#[derive(Schema)]`: the text of types with every serde attribute that it heeds.
#![allow(dead_code, reason = "the types are there for what they look like")]

use std::{borrow::Cow, collections::BTreeMap, marker::PhantomData};

use crosstie_core::schema::{Schema, SchemaText};
use crosstie_macros::Schema;
use serde::{Deserialize, Serialize};

fn text<T: Schema + ?Sized>() -> String {
    SchemaText::of::<T>().unwrap().to_string()
}

#[derive(Schema, Serialize, Deserialize)]
struct Order {
    id: u64,
    item: String,
    #[serde(default)]
    price: f64,
    note: Option<String>,
    lines: Vec<Line>,
}

#[derive(Schema, Serialize, Deserialize)]
struct Line {
    sku: String,
    count: u32,
}

#[derive(Schema, Serialize, Deserialize)]
enum Event {
    Opened,
    Closed(String),
    Moved { from: u32, to: u32 },
}

#[test]
fn the_examples_of_the_agreement_are_what_it_says() {
    assert_eq!(
        text::<Order>(),
        "struct Order { id: u64, item: text, price: f64 default, note: option<text>, lines: list<Line> }\n\
         struct Line { sku: text, count: u32 }\n"
    );
    assert_eq!(text::<Event>(), "enum Event { Opened, Closed(text), Moved { from: u32, to: u32 } }\n");
    assert_eq!(
        text::<Vec<Line>>(),
        "list<Line>\n\
         struct Line { sku: text, count: u32 }\n"
    );
}

#[test]
fn names_are_those_that_serde_writes() {
    #[derive(Schema, Serialize, Deserialize)]
    #[serde(rename = "the thing", rename_all = "camelCase", deny_unknown_fields, default)]
    #[derive(Default)]
    struct Thing {
        first_name: u8,
        #[serde(rename = "@id", alias = "id", alias = "key")]
        number: u8,
        #[serde(rename(serialize = "b", deserialize = "b"))]
        both: u8,
        r#type: u8,
        #[serde(skip)]
        cache: PhantomData<fn()>,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<u8>,
    }
    assert_eq!(
        text::<Thing>(),
        "struct \"the thing\" { firstName: u8 default, \"@id\": u8 default alias(id, key), b: u8 default, type: u8 default, \
         note: option<u8> default sometimes } strict\n"
    );

    #[derive(Schema, Serialize, Deserialize)]
    #[serde(rename_all = "SCREAMING-KEBAB-CASE", rename_all_fields = "PascalCase", tag = "kind")]
    enum Way {
        ToTheLeft {
            how_far: u8,
        },
        #[serde(rename_all = "kebab-case")]
        ToTheRight {
            how_far: u8,
        },
        #[serde(rename = "up", alias = "UP")]
        Up,
        #[serde(skip)]
        Secret(PhantomData<fn()>),
        #[serde(other)]
        Unknown,
    }
    assert_eq!(
        text::<Way>(),
        "enum Way tag(kind) { TO-THE-LEFT { HowFar: u8 }, TO-THE-RIGHT { how-far: u8 }, up alias(UP), UNKNOWN other }\n"
    );
}

/// What serde writes is asked, not remembered: each rule on a field and a variant.
#[test]
fn every_rule_for_names_is_serdes() {
    macro_rules! rule {
        ($($rule:literal)*) => {$({
            #[derive(Schema, Serialize, Deserialize)]
            #[serde(rename_all = $rule)]
            struct Fields { a_field_x2_of: u8, plain: u8 }
            #[derive(Schema, Serialize, Deserialize)]
            #[serde(rename_all = $rule)]
            enum Variants { AVariantX2Of, HtTp }
            let written = serde_json::to_value(Fields { a_field_x2_of: 1, plain: 2 }).unwrap();
            let names: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
            for name in names {
                assert!(text::<Fields>().contains(&format!(" {name}: u8")), "{}: {name}", $rule);
            }
            for variant in [Variants::AVariantX2Of, Variants::HtTp] {
                let written = serde_json::to_value(variant).unwrap();
                let name = written.as_str().unwrap();
                let text = text::<Variants>();
                assert!(text.contains(&format!(" {name},")) || text.contains(&format!(" {name} }}")), "{}: {name}", $rule);
            }
        })*};
    }
    rule!("lowercase" "UPPERCASE" "PascalCase" "camelCase" "snake_case" "SCREAMING_SNAKE_CASE" "kebab-case" "SCREAMING-KEBAB-CASE");
}

#[test]
fn a_newtype_is_what_it_holds() {
    #[derive(Schema, Serialize, Deserialize)]
    struct Id(u64);
    #[derive(Schema, Serialize, Deserialize)]
    struct Maybe(Option<u8>);
    #[derive(Schema, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Clear {
        value: Option<u8>,
        #[serde(skip)]
        rest: (),
    }
    #[derive(Schema, Serialize, Deserialize)]
    struct Point(f64, f64);
    #[derive(Schema, Serialize, Deserialize)]
    struct Nothing;
    #[derive(Schema, Serialize, Deserialize)]
    struct All {
        id: Id,
        maybe: Maybe,
        clear: Clear,
        boxed: Box<Option<u8>>,
        point: Point,
        nothing: Nothing,
    }
    assert_eq!(
        text::<All>(),
        "struct All { id: u64, maybe: option<u8> required, clear: option<u8>, boxed: option<u8>, point: tuple<f64, f64>, nothing: marker }\n"
    );
}

#[test]
fn bytes_and_functions_are_what_is_said() {
    #[derive(Schema, Serialize, Deserialize)]
    struct Parts {
        #[serde(with = "serde_bytes")]
        raw: Vec<u8>,
        #[serde(with = "serde_bytes")]
        rare: Option<Vec<u8>>,
        #[schema(as = String)]
        #[serde(with = "as_text")]
        number: u64,
    }
    mod as_text {
        pub(super) fn serialize<S: serde::Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(value)
        }
        pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
            let text: String = serde::Deserialize::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        }
    }
    assert_eq!(text::<Parts>(), "struct Parts { raw: bytes, rare: option<bytes> required, number: text }\n");

    #[derive(Schema, Serialize, Deserialize, Clone)]
    #[serde(from = "String", into = "String")]
    #[schema(as = String)]
    struct Name(String);
    impl From<String> for Name {
        fn from(text: String) -> Self {
            Self(text)
        }
    }
    impl From<Name> for String {
        fn from(name: Name) -> Self {
            name.0
        }
    }
    assert_eq!(text::<Name>(), "text\n");
}

#[test]
fn what_contains_itself_has_a_name() {
    #[derive(Schema, Serialize, Deserialize)]
    struct Tree(Vec<Self>);
    #[derive(Schema, Serialize, Deserialize)]
    struct Forest<'a, T> {
        trees: Vec<Node<'a, T>>,
        wild: Tree,
    }
    #[derive(Schema, Serialize, Deserialize)]
    struct Node<'a, T> {
        value: T,
        name: Cow<'a, str>,
        children: Vec<Self>,
    }
    assert_eq!(text::<Tree>(), "type Tree = list<Tree>\n");
    assert_eq!(
        text::<Forest<'_, u8>>(),
        "struct Forest { trees: list<Node>, wild: Tree }\n\
         struct Node { value: u8, name: text, children: list<Node> }\n\
         type Tree = list<Tree>\n"
    );
}

#[test]
fn types_of_one_name_are_told_apart() {
    mod inner {
        #[derive(super::Schema, serde::Serialize, serde::Deserialize)]
        pub(super) struct Line {
            text: String,
        }
    }
    let first = {
        #[derive(Schema, Serialize, Deserialize)]
        struct Both {
            one: Page<u8>,
            two: Page<String>,
            line: Line,
            other: inner::Line,
            again: Page<u8>,
        }
        text::<Both>()
    };
    assert_eq!(
        first,
        "struct Both { one: Page, two: Page~2, line: Line, other: Line~2, again: Page }\n\
         struct Page { items: list<u8> }\n\
         struct Page~2 { items: list<text> }\n\
         struct Line { sku: text, count: u32 }\n\
         struct Line~2 { text: text }\n"
    );
}

#[derive(Schema, Serialize, Deserialize)]
struct Page<T> {
    items: Vec<T>,
}

#[test]
fn flattened_fields_stand_among_the_others() {
    #[derive(Schema, Serialize, Deserialize)]
    struct Outer<T> {
        first: u8,
        #[serde(flatten)]
        line: Box<Line>,
        #[serde(flatten)]
        any: T,
        last: u8,
    }
    assert_eq!(
        text::<Outer<Page<u8>>>(),
        "struct Outer { first: u8, sku: text, count: u32, items: list<u8>, last: u8 }\n"
    );
    #[derive(Schema, Serialize, Deserialize)]
    struct Twice {
        count: u8,
        #[serde(flatten)]
        line: Line,
    }
    let told = SchemaText::of::<Twice>().unwrap_err().to_string();
    assert!(told.contains("two fields or variants of one type answer to \"count\""), "{told}");
}

#[test]
fn enums_say_how_they_are_tagged() {
    #[derive(Schema, Serialize, Deserialize)]
    #[serde(tag = "t", content = "c")]
    enum Apart {
        A(u8),
        B(u8, Box<str>),
        C(#[serde(skip)] PhantomData<fn()>),
    }
    #[derive(Schema, Serialize, Deserialize)]
    #[serde(untagged, deny_unknown_fields)]
    enum Loose {
        A { a: BTreeMap<String, Apart> },
        B(()),
    }
    assert_eq!(
        text::<Loose>(),
        "enum Loose untagged { A { a: map<text, Apart> } strict, B(unit) }\n\
         enum Apart tag(t, c) { A(u8), B(u8, text), C }\n"
    );
}

#[test]
fn bounds_are_those_of_the_parameters_that_are_written() {
    struct NoSchema;
    #[derive(Schema)]
    struct Marked<T, U, const N: usize = 2> {
        kept: [T; N],
        mark: PhantomData<U>,
    }
    assert_eq!(text::<Marked<u8, NoSchema>>(), "struct Marked { kept: array<u8, 2>, mark: marker }\n");

    #[derive(Schema)]
    #[schema(bound = "I: Iterator, I::Item: Schema")]
    struct Items<I: Iterator> {
        items: Vec<I::Item>,
    }
    assert_eq!(text::<Items<std::ops::Range<u8>>>(), "struct Items { items: list<u8> }\n");
}
