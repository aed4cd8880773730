//! Controls: what the harness must find wrong, and one thing that it must find whole.

mod ledger;
mod robust;
mod unrecovered;

use std::fmt::Display;
use std::time::Duration;

pub use {
    ledger::{Ledger, OneWord},
    robust::Robust,
    unrecovered::{Held, Unrecovered},
};

/// The file of a structure's page.
const PAGE: &str = "page";
/// How long a lock is waited for before it is called stuck.
const WAIT: Duration = Duration::from_secs(1);

fn in_words<E: Display>(doing: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{doing}: {error}")
}
