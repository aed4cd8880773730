//! Text as TOML writes it.

pub(super) fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
