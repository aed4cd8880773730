//! Who may come from other machines: nobody, unless it is known who comes, or that it is not is spelled out.

use std::fmt::Display;

use crosstie_core::{Error, HostPort, Kind};

/// Refuses an address beyond loopback. `unknown` says what nobody knows, `instead` what to do.
pub(crate) fn stay_here(at: &dyn Display, host: &HostPort, unknown: &str, instead: &str) -> Result<(), Error> {
    if host.is_loopback() {
        return Ok(());
    }
    Err(Error::new(Kind::Denied, format!("'{at}' can be reached from other machines, and {unknown}: {instead}")))
}
