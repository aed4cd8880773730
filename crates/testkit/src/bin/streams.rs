//! `streams [--long | --far] [NAME]`: the conformance suites for byte streams and for datagrams over every scheme, or those tests whose name contains NAME.
//!
//! `--far` runs them over the schemes that reach other machines, between two network namespaces with a slow link. Where that is not allowed it ends with 77
//! and says why.

use std::process::ExitCode;

use crosstie_testkit::{datagrams, network::Network, streams};

/// It was not run.
const NOT_RUN: u8 = 77;

fn main() -> ExitCode {
    if let Some(code) = streams::play_if_asked().or_else(datagrams::play_if_asked) {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-')).map_or("", String::as_str);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = folder.path();
    let failed = if is_asked("--far") {
        match Network::separate() {
            Ok(network) => streams::run_far(folder, &network, wanted) + datagrams::run_far(folder, &network, wanted),
            Err(error) => {
                eprintln!("no two network namespaces with a link between them: {error}");
                return ExitCode::from(NOT_RUN);
            }
        }
    } else if is_asked("--long") {
        streams::run(folder, &streams::Sizes::FULL, wanted) + datagrams::run(folder, &datagrams::Sizes::FULL, wanted)
    } else {
        streams::run(folder, &streams::Sizes::SHORT, wanted) + datagrams::run(folder, &datagrams::Sizes::SHORT, wanted)
    };
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
