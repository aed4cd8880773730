//! The broker: the server of `crosstie serve`, at one Unix socket and one TCP port.

use std::path::Path;

use crosstie_server::{Layers, main_serve};

use super::wire::{port, socket};
use crate::exit::Failure;

pub(super) fn run(directory: &Path) -> Result<(), Failure> {
    let listen = format!("unix:{},tcp://127.0.0.1:{}", socket(directory).display(), port(directory)?);
    // The environment is meant for brokers of the user's own.
    Ok(main_serve(Layers { flags: vec![("listen".to_owned(), listen)], ..Layers::default() })?)
}
