//! Secrets: read from the file or from a file of their own, never shown.

use crosstie_broker::Secret;

use crate::{
    settings::Settings,
    tree::{ConfigError, Node, read_file},
};

/// What is shown in the place of a secret.
pub(super) const HIDDEN: &str = "\"***\"";

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
    settings.options.auth.token = Some(Secret::new(token));
    Ok(())
}
