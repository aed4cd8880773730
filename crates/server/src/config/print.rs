//! The configuration as a file with comments, and the reference in the documentation.

use std::fmt::Write as _;

use super::{KEYS, Key, Layers, Loaded, secrets};

/// The configuration in force as a TOML file: every key with its meaning and the origin of its value. Secrets are hidden.
pub fn commented(loaded: &Loaded) -> String {
    let mut text = String::new();
    let mut table = "";
    if KEYS.iter().filter_map(|key| key.shown(&loaded.settings)).any(|value| secrets::is_hidden_in(&value)) {
        let _ = writeln!(text, "# {REDACTED}\n");
    }
    for key in KEYS {
        let (inside, name) = parts(key);
        if inside != table {
            table = inside;
            let _ = writeln!(text, "[{table}]\n");
        }
        let _ = writeln!(text, "# {}", key.doc);
        let _ = match key.shown(&loaded.settings) {
            Some(value) => writeln!(text, "# Origin: {}\n{name} = {value}\n", loaded.origin(key)),
            None => writeln!(text, "# Not set ({})\n# {name} =\n", key.form),
        };
    }
    text
}

/// The configuration in force: the path of every key, its value in TOML if it has one, and the origin of that. Secrets are hidden.
pub fn values(loaded: &Loaded) -> Vec<(&'static str, Option<String>, String)> {
    KEYS.iter().map(|key| (key.path, key.shown(&loaded.settings), loaded.origin(key).to_string())).collect()
}

fn parts(key: &Key) -> (&'static str, &'static str) {
    key.path.split_once('.').unwrap_or(("", key.path))
}

/// The reference of all keys in Markdown: the text of `docs/configuration.md`.
pub fn reference() -> String {
    let defaults = Layers::default().load().expect("the defaults are valid");
    let mut text = HEAD.to_owned();
    for key in KEYS {
        let default = key.shown(&defaults.settings).unwrap_or_else(|| "not set".to_owned());
        let _ = writeln!(text, "\n### `{}`\n\n{}\n", key.path, key.doc);
        let _ = writeln!(text, "- Value: {}; default: `{default}`", key.form);
        if let Some(flag) = key.flag() {
            let _ = writeln!(text, "- Flag: `--{flag}`");
        }
        let _ = writeln!(text, "- Environment: `{}`", key.variable());
        if key.reloads {
            let _ = writeln!(text, "- A reload (SIGHUP) puts a new value in force.");
        }
    }
    text + TAIL
}

/// Stands at the top of what is printed with a placeholder in it.
const REDACTED: &str =
    "Secrets are redacted: write them in, or name their files; a server refuses this file as it stands.";

const HEAD: &str = "\
# Configuration

`crosstie serve` reads one TOML file (`--config FILE`). A flag beats an environment variable, that beats the file, and that beats the
default; `--print-config` shows every value with its origin, and `crosstie check-config FILE` names line and column of everything that is wrong.
Unknown keys are refused. Times carry a unit (`250ms`, `2m`), sizes may (`64MiB`). Secrets have no flag, because other users of the
machine see the flags of a process; `--print-config` shows `***redacted***` in their place, which is refused as a secret.

This page is generated from the table that the server itself reads its configuration with.

## Keys
";

const TAIL: &str = "
## Example

```toml
listen = [\"tcp://127.0.0.1:4222\", \"unix:/run/crosstie/nats.sock\"]
http = \"127.0.0.1:8222\"

[limits]
max_payload = \"1MiB\"

[[auth.users]]
name = \"clock\"
password_file = \"/etc/crosstie/clock.password\"
permissions = { publish = \"time.>\", subscribe = { deny = \">\" } }
```
";
