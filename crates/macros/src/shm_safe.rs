//! `#[derive(ShmSafe)]`.

use proc_macro2::TokenStream;

pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let _ = input;
    TokenStream::new()
}
