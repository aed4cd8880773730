//! What a user may do, as both grammars write it.

use crosstie_broker::{Permissions, Responses, Rule, Rules};
use crosstie_core::SubjectPattern;

use super::{
    ConfigError, Node, Value,
    read::{kept, refuse_unknown, unknown},
};

const KEYS: &[&str] = &["publish", "pub", "subscribe", "sub", "allow_responses", "allow_response", "responses"];

/// The permissions in `node`: `publish` and `subscribe`, each one subject, a list of them, or `allow` and `deny`; and
/// `allow_responses`.
pub(crate) fn permissions(node: &Node) -> Result<Permissions, ConfigError> {
    let mut mistakes = Vec::new();
    let permissions = permissions_and_mistakes(node, &mut mistakes);
    mistakes.into_iter().next().map_or(Ok(permissions), Err)
}

/// As [`permissions`], with everything that is wrong with them.
pub(crate) fn permissions_and_mistakes(node: &Node, mistakes: &mut Vec<ConfigError>) -> Permissions {
    let mut permissions = Permissions::default();
    let Some(table) = kept(node.table(), mistakes) else { return permissions };
    mistakes.extend(unknown(table, KEYS, "permissions"));
    for entry in &table.entries {
        match entry.key.as_str() {
            "publish" | "pub" => permissions.publish = rules(&entry.node, false, mistakes),
            "subscribe" | "sub" => permissions.subscribe = rules(&entry.node, true, mistakes),
            key if KEYS.contains(&key) => {
                permissions.responses = kept(responses(&entry.node), mistakes).flatten();
            }
            _ => {}
        }
    }
    // Leave to answer means: to answer only. nats-server has it so, and a wider reading would grant what nobody asked for.
    if permissions.responses.is_some() && permissions.publish.allow.is_none() {
        permissions.publish.allow = Some(Vec::new());
    }
    permissions
}

fn rules(node: &Node, queues: bool, mistakes: &mut Vec<ConfigError>) -> Rules {
    let Value::Table(table) = &node.value else {
        return Rules { allow: Some(subjects(node, queues, mistakes)), deny: Vec::new() };
    };
    mistakes.extend(unknown(table, &["allow", "deny"], "a permission"));
    Rules {
        allow: table.get("allow").map(|node| subjects(node, queues, mistakes)),
        deny: table.get("deny").map(|node| subjects(node, queues, mistakes)).unwrap_or_default(),
    }
}

fn subjects(node: &Node, queues: bool, mistakes: &mut Vec<ConfigError>) -> Vec<Rule> {
    node.one_or_many().iter().filter_map(|item| kept(rule(item, queues), mistakes)).collect()
}

/// `subject`, or `subject queue` where queue groups are meant.
fn rule(node: &Node, queues: bool) -> Result<Rule, ConfigError> {
    let text = node.text()?;
    let mut words = text.split_ascii_whitespace();
    let (subject, queue) = (words.next().unwrap_or(""), words.next());
    if words.next().is_some() {
        return Err(node.refuse(format!("expected 'subject' or 'subject queue', found '{text}'")));
    }
    if queue.is_some() && !queues {
        return Err(
            node.refuse(format!("expected one subject, found '{text}': a queue group can only be named for subscribe"))
        );
    }
    Ok(Rule { subject: pattern(node, subject)?, queue: queue.map(|queue| pattern(node, queue)).transpose()? })
}

fn pattern(node: &Node, text: &str) -> Result<SubjectPattern, ConfigError> {
    text.parse().map_err(|error| node.refuse(format!("'{text}' is not a subject: {error}")))
}

fn responses(node: &Node) -> Result<Option<Responses>, ConfigError> {
    let Value::Table(table) = &node.value else {
        return Ok(node.bool()?.then(Responses::default));
    };
    refuse_unknown(table, &["max", "max_msgs", "expires", "expiration", "ttl"], "allow_responses")?;
    let mut responses = Responses::default();
    for entry in &table.entries {
        let is_max = matches!(entry.key.as_str(), "max" | "max_msgs");
        if is_max {
            // As in nats-server: below zero there is no limit, and zero is the default.
            match entry.node.integer()? {
                number if number < 0 => responses.max = None,
                0 => {}
                _ => responses.max = Some(entry.node.count()?),
            }
        } else if entry.node.value == Value::Integer(-1) {
            responses.expires = None;
        } else {
            let expires = entry.node.seconds()?;
            if !expires.is_zero() {
                responses.expires = Some(expires);
            }
        }
    }
    Ok(Some(responses))
}
