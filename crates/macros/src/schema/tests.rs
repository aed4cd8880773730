//! The derive, by the words of its refusals.

use quote::quote;

use super::*;

fn expanded(input: TokenStream) -> String {
    derive(input, parse_quote!(::crosstie_core::schema)).to_string()
}

#[test]
fn what_cannot_be_honoured_is_refused_in_words() {
    let field = |attribute: TokenStream| quote!(struct S { #attribute a: Option<u8> });
    let variant = |attribute: TokenStream| quote!(enum E { #attribute A, B });
    let on_type = |attribute: TokenStream| quote!(#attribute struct S { a: u8 });
    let cases = [
        (field(quote!(#[serde(with = "hex")])), "what `hex` writes nobody can know; say it beside"),
        (field(quote!(#[serde(serialize_with = "hex")])), "what `hex` writes nobody can know"),
        (field(quote!(#[serde(skip_serializing)])), "written otherwise than it is read"),
        (field(quote!(#[serde(skip_deserializing)])), "written otherwise than it is read"),
        (field(quote!(#[serde(rename(serialize = "x"))])), "one name to write and another to read"),
        (field(quote!(#[serde(flatten, default)])), "all or none"),
        (field(quote!(#[serde(getter = "x")])), "a getter belongs to a type of another crate"),
        (field(quote!(#[serde(sparkle)])), "`sparkle` may change what serde writes"),
        (field(quote!(#[schema(like = u8)])), "expected `as = Type`"),
        (variant(quote!(#[serde(untagged)])), "a variant without a name among others"),
        (variant(quote!(#[serde(with = "x")])), "what a function writes for a variant"),
        (on_type(quote!(#[serde(from = "u8", into = "u8")])), "it is written as another type"),
        (on_type(quote!(#[serde(remote = "Other")])), "`remote` may change what serde writes"),
        (on_type(quote!(#[serde(tag = "t")])), "`tag` on a struct has no place in a schema"),
        (on_type(quote!(#[serde(rename_all = "Title Case")])), "serde has no rule `Title Case`"),
        (on_type(quote!(#[schema(path = x)])), "expected `crate = path::of::schema`"),
        (quote!(union U { a: u8 }), "a union has no schema"),
        (
            quote!(
                struct S(u8, #[serde(skip_serializing_if = "x")] u8);
            ),
            "give the fields names",
        ),
        (
            quote!(
                struct S(#[serde(skip)] u8);
            ),
            "a newtype whose value is skipped",
        ),
        (
            quote!(
                #[serde(transparent)]
                struct S {
                    a: u8,
                    b: u8,
                }
            ),
            "`transparent` needs exactly one field",
        ),
        (
            quote!(
                #[serde(deny_unknown_fields)]
                struct S {
                    #[serde(flatten)]
                    a: T,
                }
            ),
            "`deny_unknown_fields` and `flatten` do not go together",
        ),
    ];
    for (input, words) in cases {
        let told = expanded(input);
        assert!(told.contains("compile_error") && told.contains(words), "expected {words:?}: {told}");
        assert!(!told.contains("impl"), "nothing is implemented beside an error: {told}");
    }
}

#[test]
fn what_says_what_it_is_written_as_is_not_refused() {
    let told = expanded(quote!(
        struct S {
            #[serde(with = "hex")]
            #[schema(as = String)]
            a: u8,
        }
    ));
    assert!(
        !told.contains("compile_error") && told.contains("String as :: crosstie_core :: schema :: Schema"),
        "{told}"
    );
    let told = expanded(quote!(
        #[schema(crate = here::schema)]
        struct S(u8);
    ));
    assert!(told.contains("here :: schema :: Schema") && !told.contains("crosstie_core"), "{told}");
}
