//! `certificates FOLDER`: an authority, and certificates of it for a server on loopback and for a client, for suites in other languages.

use std::{path::Path, process::ExitCode};

use crosstie_testkit::certificates::{Authority, Validity};

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("certificates: expected a folder");
        return ExitCode::FAILURE;
    };
    let authority = Authority::new(Path::new(&folder), "suite");
    authority.issue("server", &["127.0.0.1", "localhost"], Validity::Now);
    authority.issue("client", &[], Validity::Now);
    ExitCode::SUCCESS
}
