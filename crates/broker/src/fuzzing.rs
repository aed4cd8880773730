//! Ways in for the fuzz targets: the permission checks, without a client around them.

use crate::{
    core::{Subscribe, may_publish, may_subscribe},
    options::Rules,
};

/// True if the rules let one publish to `subject`.
pub fn publishes(rules: &Rules, subject: &[u8]) -> bool {
    may_publish(rules, subject)
}

/// True if the rules let one subscribe to `pattern`, in the group `queue` or alone.
pub fn subscribes(rules: &Rules, pattern: &[u8], queue: Option<&[u8]>) -> bool {
    may_subscribe(rules, pattern, queue) != Subscribe::Denied
}

/// True if a subscription to `pattern` that the rules allow shows `subject`, which the pattern matches.
pub fn shows(rules: &Rules, pattern: &[u8], queue: Option<&[u8]>, subject: &[u8]) -> bool {
    match may_subscribe(rules, pattern, queue) {
        Subscribe::Denied => false,
        Subscribe::Allowed { hidden } => {
            !hidden.iter().any(|hidden| crosstie_core::matches(hidden.as_bytes(), subject))
        }
    }
}
