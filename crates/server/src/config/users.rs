//! The list of users in our own configuration.

use crosstie_broker::{Permissions, Responses, Rule, Secret, User};

use super::{quote::quote, secrets};
use crate::{
    settings::Settings,
    tree::{ConfigError, Node, Table, duration_text, kept, permissions_and_mistakes, unknown},
};

/// The form of the key that holds them.
pub(super) const FORM: &str = "list of tables";

pub(super) fn read(node: &Node, settings: &mut Settings) -> Result<(), ConfigError> {
    let mut mistakes = Vec::new();
    let users = users(node, &mut mistakes);
    match mistakes.into_iter().next() {
        Some(mistake) => Err(mistake),
        None => {
            settings.options.auth.users = users;
            Ok(())
        }
    }
}

/// Everything that is wrong with the users in `node`.
pub(super) fn mistakes(node: &Node) -> Vec<ConfigError> {
    let mut mistakes = Vec::new();
    users(node, &mut mistakes);
    mistakes
}

fn users(node: &Node, mistakes: &mut Vec<ConfigError>) -> Vec<User> {
    let (mut users, mut names): (Vec<User>, Vec<String>) = (Vec::new(), Vec::new());
    for item in kept(node.list(), mistakes).unwrap_or_default() {
        let name = item.table().ok().and_then(|table| table.get("name")?.word().ok());
        if let Some(name) = name {
            if names.contains(&name) {
                mistakes.push(item.refuse(format!("user '{name}' is there twice")));
            }
            names.push(name);
        }
        users.extend(user(item, mistakes));
    }
    users
}

/// One user; if there is anything wrong with it, nothing but the mistakes.
fn user(node: &Node, mistakes: &mut Vec<ConfigError>) -> Option<User> {
    let before = mistakes.len();
    let table = kept(node.table(), mistakes)?;
    mistakes.extend(unknown(table, &["name", "password", "password_file", "permissions"], "a user"));
    // What is missing is probably what was misspelt.
    let is_complete = mistakes.len() == before;
    let name = match table.get("name") {
        Some(name) => kept(name.word(), mistakes),
        None if is_complete => kept(Err(node.refuse("expected a 'name' for this user, found none")), mistakes),
        None => None,
    };
    let has_password = table.get("password").is_some() || table.get("password_file").is_some();
    let password = (has_password || is_complete)
        .then(|| kept(password(table, table.get("name").unwrap_or(node)), mistakes))
        .flatten();
    let permissions = table.get("permissions").map(|node| permissions_and_mistakes(node, mistakes)).unwrap_or_default();
    let user = User { name: name?, password: password?, permissions };
    (mistakes.len() == before).then_some(user)
}

fn password(table: &Table, blamed: &Node) -> Result<Secret, ConfigError> {
    let (written, password) = match (table.get("password"), table.get("password_file")) {
        (Some(password), None) => (password, password.word()?),
        (None, Some(file)) => (file, secrets::first_line(file)?),
        _ => return Err(blamed.refuse("expected either 'password' or 'password_file' for this user")),
    };
    secrets::secret(written, "password", &password)
}

/// The users as TOML, with their passwords hidden.
pub(super) fn show(settings: &Settings) -> Option<String> {
    let users = &settings.options.auth.users;
    let lines: Vec<_> = users
        .iter()
        .map(|user| {
            let permissions = show_permissions(&user.permissions);
            format!("    {{ name = {}, password = {}{permissions} }},\n", quote(&user.name), secrets::hidden())
        })
        .collect();
    (!lines.is_empty()).then(|| format!("[\n{}]", lines.concat()))
}

/// True if something differs that [`show`] hides.
pub(super) fn differ(one: &Settings, other: &Settings) -> bool {
    let passwords = |settings: &Settings| -> Vec<Secret> {
        settings.options.auth.users.iter().map(|user| user.password.clone()).collect()
    };
    passwords(one) != passwords(other)
}

fn show_permissions(permissions: &Permissions) -> String {
    if *permissions == Permissions::default() {
        return String::new();
    }
    let mut parts = Vec::new();
    for (name, rules) in [("publish", &permissions.publish), ("subscribe", &permissions.subscribe)] {
        let mut lists = Vec::new();
        if let Some(allow) = &rules.allow {
            lists.push(format!("allow = {}", show_rules(allow)));
        }
        if !rules.deny.is_empty() {
            lists.push(format!("deny = {}", show_rules(&rules.deny)));
        }
        if !lists.is_empty() {
            parts.push(format!("{name} = {{ {} }}", lists.join(", ")));
        }
    }
    if let Some(responses) = permissions.responses {
        parts.push(format!("allow_responses = {}", show_responses(responses)));
    }
    format!(", permissions = {{ {} }}", parts.join(", "))
}

fn show_rules(rules: &[Rule]) -> String {
    let items: Vec<_> = rules
        .iter()
        .map(|rule| match &rule.queue {
            Some(queue) => quote(&format!("{} {queue}", rule.subject)),
            None => quote(rule.subject.as_str()),
        })
        .collect();
    format!("[{}]", items.join(", "))
}

fn show_responses(responses: Responses) -> String {
    let max = responses.max.map_or(-1, i64::from);
    let expires = responses.expires.map_or_else(|| "-1".to_owned(), |expires| quote(&duration_text(expires)));
    format!("{{ max = {max}, expires = {expires} }}")
}
