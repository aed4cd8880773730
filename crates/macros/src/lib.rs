//! The derive macros of Crosstie.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;
use syn::parse_quote;

mod schema;
mod shm_safe;

/// Makes a struct fit to lie in shared memory, and writes down what it looks like there. See `crosstie_shm::ShmSafe`.
///
/// `#[shm(crate = path)]` says where the crate is if not at `::crosstie_shm`, as where a dependency was given another name and the compiler finds no
/// `crosstie_shm` (or `crosstie`) *in the list of imported crates*.
#[proc_macro_derive(ShmSafe, attributes(shm))]
pub fn derive_shm_safe(input: TokenStream) -> TokenStream {
    shm_safe::derive(input.into(), parse_quote!(::crosstie_shm)).into()
}

/// The same for those who depend on `crosstie` alone, which exports it as `crosstie::shm::ShmSafe`.
#[proc_macro_derive(ShmSafeThroughCrosstie, attributes(shm))]
pub fn derive_shm_safe_through_crosstie(input: TokenStream) -> TokenStream {
    shm_safe::derive(input.into(), parse_quote!(::crosstie::shm)).into()
}

/// Tells what a type looks like to others, as serde writes it. See `crosstie_core::schema::Schema`.
///
/// It stands beside `Serialize` and `Deserialize` and heeds their attributes, or refuses what a schema cannot say. `#[schema(as = Type)]` on a field or
/// type says what it is written as where a function writes it. `#[schema(crate = path)]` says where the module `schema` is if not at
/// `::crosstie_core::schema`; `#[schema(bound = "T: Trait")]` replaces the bounds of its own.
#[proc_macro_derive(Schema, attributes(schema, serde))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    schema::derive(input.into(), parse_quote!(::crosstie_core::schema)).into()
}

/// The same for those who depend on `crosstie` alone, which exports it as `crosstie::Schema`.
#[proc_macro_derive(SchemaThroughCrosstie, attributes(schema, serde))]
pub fn derive_schema_through_crosstie(input: TokenStream) -> TokenStream {
    schema::derive(input.into(), parse_quote!(::crosstie::schema)).into()
}
