//! The derive macros of Crosstie.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;

mod shm_safe;

/// Makes a struct fit to lie in shared memory, and writes down what it looks like there. See `crosstie_shm::ShmSafe`.
///
/// `#[shm(crate = path)]` says where the crate is if not at `::crosstie_shm`.
#[proc_macro_derive(ShmSafe, attributes(shm))]
pub fn derive_shm_safe(input: TokenStream) -> TokenStream {
    shm_safe::derive(input.into()).into()
}
