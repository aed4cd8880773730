//! Secrets: read from the file or from a file of their own, never shown.

use crosstie_broker::Secret;

use super::quote::quote;
use crate::{
    settings::Settings,
    tree::{ConfigError, Node, read_file},
};

/// What is shown in the place of a secret. It is refused as a secret, so that nobody can log in with it.
const PLACEHOLDER: &str = "***redacted***";

/// The placeholder as TOML.
pub(super) fn hidden() -> String {
    quote(PLACEHOLDER)
}

/// Whether `printed` has a placeholder in it.
pub(super) fn is_hidden_in(printed: &str) -> bool {
    printed.contains(PLACEHOLDER)
}

/// The secret `text` of `key`, unless it is what somebody showed in its place: ours, or asterisks and nothing else.
pub(super) fn secret(node: &Node, key: &str, text: &str) -> Result<Secret, ConfigError> {
    let is_asterisks = !text.is_empty() && text.bytes().all(|byte| byte == b'*');
    if text == PLACEHOLDER || is_asterisks {
        return Err(node.refuse(format!(
            "{key}: expected a secret, found '{text}', which is printed in the place of one (--print-config): write the secret itself, \
             or name a file that holds it with '{key}_file'"
        )));
    }
    Ok(Secret::new(text))
}

/// The first line of the file that `node` names.
pub(super) fn first_line(node: &Node) -> Result<String, ConfigError> {
    let text = read_file(&node.path()?, &node.place)?;
    match text.lines().next().map(str::trim) {
        None | Some("") => Err(node.refuse("expected a secret in the first line of this file, found nothing")),
        Some(line) => Ok(line.to_owned()),
    }
}

pub(super) fn set_token(node: &Node, token: &str, settings: &mut Settings) -> Result<(), ConfigError> {
    if token.is_empty() {
        return Err(node.refuse("expected a token, found an empty text"));
    }
    settings.options.auth.token = Some(secret(node, "auth.token", token)?);
    Ok(())
}
