//! The list of users in our own configuration.

use crosstie_broker::{Permissions, Responses, Rule, Secret, User};

use super::{quote::quote, secrets};
use crate::{
    settings::Settings,
    tree::{ConfigError, Node, duration_text, permissions, refuse_unknown},
};

/// The form of the key that holds them.
pub(super) const FORM: &str = "list of tables";

pub(super) fn read(node: &Node, settings: &mut Settings) -> Result<(), ConfigError> {
    let mut users: Vec<User> = Vec::new();
    for item in node.list()? {
        let user = user(item)?;
        if users.iter().any(|other| other.name == user.name) {
            return Err(item.refuse(format!("user '{}' is there twice", user.name)));
        }
        users.push(user);
    }
    settings.options.auth.users = users;
    Ok(())
}

fn user(node: &Node) -> Result<User, ConfigError> {
    let table = node.table()?;
    refuse_unknown(table, &["name", "password", "password_file", "permissions"], "a user")?;
    let name = table.get("name").ok_or_else(|| node.refuse("expected a 'name' for this user, found none"))?;
    let (written, password) = match (table.get("password"), table.get("password_file")) {
        (Some(password), None) => (password, password.word()?),
        (None, Some(file)) => (file, secrets::first_line(file)?),
        _ => return Err(name.refuse("expected either 'password' or 'password_file' for this user")),
    };
    Ok(User {
        name: name.word()?,
        password: secrets::secret(written, "password", &password)?,
        permissions: table.get("permissions").map(permissions).transpose()?.unwrap_or_default(),
    })
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
