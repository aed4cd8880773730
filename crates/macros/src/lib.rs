//! The derive macros of Crosstie.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;

mod shm_safe;

/// Makes a type fit to lie in shared memory.
#[proc_macro_derive(ShmSafe, attributes(shm))]
pub fn derive_shm_safe(input: TokenStream) -> TokenStream {
    shm_safe::derive(input.into()).into()
}
