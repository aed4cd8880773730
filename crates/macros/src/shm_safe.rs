//! `#[derive(ShmSafe)]`: checks that a struct may lie in shared memory, and writes its schema.
//!
//! What can be seen in the text is told by errors that point at it: the kind of type, its `repr`, its generics. What only the compiler knows
//! becomes an assertion beside the type: that every field is fit, that nothing is between the fields, that reserved space is at the end.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Data, DeriveInput, Error, Fields, Path, parse2, spanned::Spanned};

/// `home` is where the crate is, unless an attribute says otherwise.
pub(crate) fn derive(input: TokenStream, home: Path) -> TokenStream {
    match parse2(input).and_then(|input| expand(&input, home)) {
        Ok(tokens) => tokens,
        Err(error) => error.to_compile_error(),
    }
}

fn expand(input: &DeriveInput, home: Path) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let empty = Fields::Unit;
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(_) => {
            errors.add(
                input.ident.span(),
                "an enum cannot lie in shared memory: another process may write a number that is none of its variants; \
                 use an integer and constants, and convert when reading",
            );
            &empty
        }
        Data::Union(_) => {
            errors.add(
                input.ident.span(),
                "a union cannot lie in shared memory: nobody could say which of its fields is meant; use a struct",
            );
            &empty
        }
    };
    if !input.generics.params.is_empty() {
        let what = "a generic type has no one layout; derive `ShmSafe` for a struct without parameters";
        errors.add(input.generics.span(), what);
    }
    let options = Options::of(input, home, &mut errors);
    if !options.is_repr_c && matches!(input.data, Data::Struct(_)) {
        let what = "the layout is not fixed; add `#[repr(C)]`, or `#[repr(transparent)]` around a single field";
        errors.add(input.ident.span(), what);
    }
    errors.finish()?;
    Ok(implementation(input, fields, &options.path))
}

fn implementation(input: &DeriveInput, fields: &Fields, shm: &Path) -> TokenStream {
    let name = &input.ident;
    let text = name.to_string();
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let members: Vec<_> = fields.members().collect();
    let labels: Vec<_> = members
        .iter()
        .map(|member| match member {
            syn::Member::Named(name) => name.to_string().trim_start_matches("r#").to_owned(),
            syn::Member::Unnamed(index) => index.index.to_string(),
        })
        .collect();
    let padding = format!(
        "`{text}` has padding: bytes that belong to no field, which another process could read uninitialised; order the fields from \
         large to small, or fill the gap with a `Reserved<N>` at the end or a `[u8; N]` field"
    );
    let not_last = format!("`Reserved<N>` must be the last field of `{text}`: later fields go there");
    let fit = types.iter().enumerate().map(|(at, ty)| {
        let check = format_ident!("field_{at}");
        quote_spanned! {ty.span()=> fn #check() { fit::<#ty>(); } }
    });
    let before_last = types.len().saturating_sub(1);
    let inner = &types[..before_last];
    quote! {
        #[automatically_derived]
        // SAFETY: the assertions below are compiled with it: fixed layout, fit fields, nothing between them.
        unsafe impl #shm::ShmSafe for #name {
            fn describe(text: &mut ::std::string::String) {
                use ::core::fmt::Write as _;
                text.push_str(#text);
                text.push('{');
                let mut is_first = true;
                #(
                    if !<#types as #shm::ShmSafe>::IS_RESERVED {
                        if !::core::mem::replace(&mut is_first, false) {
                            text.push_str("; ");
                        }
                        text.push_str(#labels);
                        text.push(' ');
                        <#types as #shm::ShmSafe>::describe(text);
                        let _ = ::core::write!(
                            text, " @{} +{}", ::core::mem::offset_of!(#name, #members), ::core::mem::size_of::<#types>()
                        );
                    }
                )*
                text.push('}');
            }

            fn describe_fields(text: &mut ::std::string::String) {
                use ::core::fmt::Write as _;
                #(
                    if !<#types as #shm::ShmSafe>::IS_RESERVED {
                        text.push_str(#labels);
                        text.push(' ');
                        <#types as #shm::ShmSafe>::describe(text);
                        let _ = ::core::writeln!(
                            text, " @{} +{}", ::core::mem::offset_of!(#name, #members), ::core::mem::size_of::<#types>()
                        );
                    }
                )*
            }

            fn type_name() -> ::std::string::String {
                ::std::string::String::from(#text)
            }
        }

        const _: () = {
            const fn fit<T: #shm::ShmSafe>() {}
            #( #[allow(dead_code)] #fit )*
            assert!(
                ::core::mem::size_of::<#name>() == 0 #( + ::core::mem::size_of::<#types>() )*,
                #padding
            );
            #( assert!(!<#inner as #shm::ShmSafe>::IS_RESERVED, #not_last); )*
        };
    }
}

/// What the attributes say.
struct Options {
    is_repr_c: bool,
    /// Where the crate is: `#[shm(crate = crosstie::shm)]`.
    path: Path,
}

impl Options {
    fn of(input: &DeriveInput, home: Path, errors: &mut Errors) -> Self {
        let mut options = Self { is_repr_c: false, path: home };
        for attribute in &input.attrs {
            let outcome = if attribute.path().is_ident("repr") {
                attribute.parse_nested_meta(|meta| {
                    if meta.path.is_ident("C") || meta.path.is_ident("transparent") {
                        options.is_repr_c = true;
                    } else if meta.path.is_ident("packed") {
                        return Err(meta.error(
                            "fields of a packed type cannot be referred to; order them so that no padding is needed",
                        ));
                    } else if meta.input.peek(syn::token::Paren) {
                        // `align(64)` stays: if it makes padding, that is told.
                        let inner;
                        syn::parenthesized!(inner in meta.input);
                        inner.parse::<syn::LitInt>()?;
                    }
                    Ok(())
                })
            } else if attribute.path().is_ident("shm") {
                attribute.parse_nested_meta(|meta| {
                    if meta.path.is_ident("crate") {
                        options.path = meta.value()?.parse()?;
                        Ok(())
                    } else {
                        Err(meta.error("expected `crate = path::of::crosstie_shm`"))
                    }
                })
            } else {
                Ok(())
            };
            if let Err(error) = outcome {
                errors.0.push(error);
            }
        }
        options
    }
}

/// All that is wrong, told at once.
#[derive(Default)]
struct Errors(Vec<Error>);

impl Errors {
    fn add(&mut self, at: Span, what: &str) {
        self.0.push(Error::new(at, what));
    }

    fn finish(self) -> syn::Result<()> {
        let all = self.0.into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        });
        all.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn expanded(input: TokenStream) -> String {
        derive(input, parse_quote!(::crosstie_shm)).to_string()
    }

    #[test]
    fn what_the_text_shows_is_told_in_words() {
        let cases = [
            (
                quote!(
                    enum Colour {
                        Red,
                    }
                ),
                "an enum cannot lie in shared memory",
            ),
            (quote!(#[repr(C)] union Either { a: u32, b: f32 }), "a union cannot lie in shared memory"),
            (
                quote!(
                    struct Loose {
                        a: u32,
                    }
                ),
                "the layout is not fixed; add `#[repr(C)]`",
            ),
            (
                quote!(
                    #[repr(C)]
                    struct Any<T> {
                        a: T,
                    }
                ),
                "a generic type has no one layout",
            ),
            (
                quote!(
                    #[repr(C, packed)]
                    struct Tight {
                        a: u8,
                        b: u32,
                    }
                ),
                "fields of a packed type cannot be referred to",
            ),
            (
                quote!(
                    #[repr(C)]
                    #[shm(path = a)]
                    struct Odd {
                        a: u8,
                    }
                ),
                "expected `crate = path::of::crosstie_shm`",
            ),
        ];
        for (input, text) in cases {
            let told = expanded(input);
            assert!(told.contains("compile_error") && told.contains(text), "{told}");
            assert!(!told.contains("unsafe"), "nothing is implemented beside an error: {told}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let told = expanded(quote!(
            struct Loose<T> {
                a: T,
            }
        ));
        assert_eq!(told.matches("compile_error").count(), 2, "{told}");
    }

    #[test]
    fn what_only_the_compiler_knows_becomes_an_assertion_with_words() {
        let told = expanded(quote!(
            #[repr(C)]
            struct Gap {
                a: u8,
                b: u32,
            }
        ));
        assert!(told.contains("`Gap` has padding"), "{told}");
        assert!(told.contains("`Reserved<N>` must be the last field of `Gap`"), "{told}");
        assert!(told.contains(":: crosstie_shm :: ShmSafe"), "{told}");
        let told = expanded(quote!(
            #[repr(C)]
            #[shm(crate = crosstie::shm)]
            struct Elsewhere(u8);
        ));
        assert!(told.contains("crosstie :: shm :: ShmSafe") && !told.contains(":: crosstie_shm"), "{told}");
        let input = quote!(
            #[repr(C)]
            struct Home(u8);
        );
        let told = derive(input, parse_quote!(::crosstie::shm)).to_string();
        assert!(told.contains(":: crosstie :: shm :: ShmSafe") && !told.contains("crosstie_shm"), "{told}");
    }
}
