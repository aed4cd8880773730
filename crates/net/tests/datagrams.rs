//! Datagrams of every scheme against the conformance suite. Its peers are processes of this very program, hence no usual harness.

use std::process::ExitCode;

use crosstie_testkit::datagrams::{Sizes, names, play_if_asked, run};

fn main() -> ExitCode {
    if let Some(code) = play_if_asked() {
        return code;
    }
    let folder = tempfile::tempdir().unwrap();
    if std::env::args().any(|argument| argument == "--list") {
        for name in names(folder.path()) {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    if run(folder.path(), &Sizes::SHORT, &wanted) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
