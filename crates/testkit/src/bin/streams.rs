//! `streams [--long] [NAME]`: the conformance suite for byte streams over every scheme, or those tests whose name contains NAME.

use std::process::ExitCode;

use crosstie_testkit::streams::{Sizes, play_if_asked, run};

fn main() -> ExitCode {
    if let Some(code) = play_if_asked() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_long = arguments.iter().any(|argument| argument == "--long");
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-')).map_or("", String::as_str);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let sizes = if is_long { Sizes::FULL } else { Sizes::SHORT };
    if run(folder.path(), &sizes, wanted) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
