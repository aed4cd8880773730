//! The derive macros of Crosstie.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;
use syn::parse_quote;

mod shm_safe;

/// Makes a struct fit to lie in shared memory, and writes down what it looks like there. See `crosstie_shm::ShmSafe`.
///
/// `#[shm(crate = path)]` says where the crate is if not at `::crosstie_shm`, as where a dependency was given another name.
#[proc_macro_derive(ShmSafe, attributes(shm))]
pub fn derive_shm_safe(input: TokenStream) -> TokenStream {
    shm_safe::derive(input.into(), parse_quote!(::crosstie_shm)).into()
}

/// The same for those who depend on `crosstie` alone, which exports it as `crosstie::shm::ShmSafe`.
#[proc_macro_derive(ShmSafeThroughCrosstie, attributes(shm))]
pub fn derive_shm_safe_through_crosstie(input: TokenStream) -> TokenStream {
    shm_safe::derive(input.into(), parse_quote!(::crosstie::shm)).into()
}
