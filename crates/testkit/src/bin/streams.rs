//! `streams [--long] [NAME]`: the conformance suites for byte streams and for datagrams over every scheme, or those tests whose name contains NAME.

use std::process::ExitCode;

use crosstie_testkit::{datagrams, streams};

fn main() -> ExitCode {
    if let Some(code) = streams::play_if_asked().or_else(datagrams::play_if_asked) {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_long = arguments.iter().any(|argument| argument == "--long");
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-')).map_or("", String::as_str);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (bytes, letters) = if is_long {
        (streams::Sizes::FULL, datagrams::Sizes::FULL)
    } else {
        (streams::Sizes::SHORT, datagrams::Sizes::SHORT)
    };
    let failed = streams::run(folder.path(), &bytes, wanted) + datagrams::run(folder.path(), &letters, wanted);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
