//! `crosstie check-config`.

use serde_json::json;

use crate::{args::CheckConfigArgs, exit::Failure, output::Output};

pub(crate) fn run(args: &CheckConfigArgs, output: &Output) -> Result<(), Failure> {
    let mistakes = crosstie_server::mistakes(&args.file);
    if !mistakes.is_empty() {
        return Err(Failure::Mistakes(mistakes));
    }
    let file = args.file.display().to_string();
    output.data(&json!({ "file": file, "valid": true }), || format!("{file}: valid\n").into_bytes())
}
