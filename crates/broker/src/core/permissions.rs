//! What one client may publish and subscribe to. Deny beats allow on every path.

use std::collections::HashMap;

use crosstie_core::{Mono, SubjectPattern, matches, pattern_covers};

use crate::options::{Permissions, Responses, Rule, Rules};

/// The rights of one connection, with the reply subjects it has earned.
pub(super) struct Rights {
    rules: Permissions,
    /// Subjects that were checked lately.
    checked: HashMap<Box<[u8]>, bool, foldhash::fast::RandomState>,
    /// Reply subjects of messages it has received: how often each may be published to, and until when.
    replies: HashMap<Box<[u8]>, Leave, foldhash::fast::RandomState>,
    /// At least the bytes of their subjects.
    reply_bytes: usize,
}

/// How often a reply subject may still be published to, and until when.
type Leave = (Option<u32>, Option<Mono>);

/// Whether a client may subscribe.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Subscribe {
    /// It may, but not see these subjects inside the pattern.
    Allowed { hidden: Vec<SubjectPattern> },
    /// It may not.
    Denied,
}

impl Rights {
    /// How many checks are remembered.
    const MAX_CHECKED: usize = 256;
    /// A subject longer than this is checked each time, so that nobody fills the memory with long ones.
    const LONGEST_CHECKED: usize = 128;
    /// How many unanswered requests are remembered. Beyond it those go that have run out, and if none has, all: the requesters of
    /// these get no answer.
    const MAX_REPLIES: usize = 4096;
    /// How many bytes their subjects may have together.
    const MAX_REPLY_BYTES: usize = 256 * 1024;

    pub(super) fn new(rules: Permissions) -> Self {
        Self { rules, checked: HashMap::default(), replies: HashMap::default(), reply_bytes: 0 }
    }

    /// What the rights come from.
    pub(super) const fn rules(&self) -> &Permissions {
        &self.rules
    }

    /// Other rules from now on. Answers that were earned may still be given, unless answering has changed.
    pub(super) fn change(&mut self, rules: Permissions) {
        if rules.responses != self.rules.responses {
            self.replies.clear();
        }
        self.checked.clear();
        self.rules = rules;
    }

    /// True if the client may publish to `subject` at `now`. Counts the use of a reply subject.
    pub(super) fn may_publish(&mut self, subject: &[u8], now: Mono) -> bool {
        let by_rule = match self.checked.get(subject) {
            Some(allowed) => *allowed,
            None => {
                if self.checked.len() >= Self::MAX_CHECKED {
                    self.checked.clear();
                }
                let allowed = may_publish(&self.rules.publish, subject);
                if subject.len() <= Self::LONGEST_CHECKED {
                    self.checked.insert(subject.into(), allowed);
                }
                allowed
            }
        };
        by_rule || (!is_denied(&self.rules.publish, subject) && self.use_reply(subject, now))
    }

    fn use_reply(&mut self, subject: &[u8], now: Mono) -> bool {
        let Some((left, until)) = self.replies.get_mut(subject) else {
            return false;
        };
        if until.is_some_and(|until| now >= until) || *left == Some(0) {
            self.replies.remove(subject);
            return false;
        }
        if let Some(left) = left {
            *left -= 1;
        }
        true
    }

    /// True if reply subjects of received messages have to be noted.
    pub(super) const fn notes_replies(&self) -> bool {
        self.rules.responses.is_some()
    }

    /// Notes that the client has received a request that is to be answered at `reply`.
    pub(super) fn note_reply(&mut self, reply: &[u8], now: Mono) {
        let Some(Responses { max, expires }) = self.rules.responses else {
            return;
        };
        if self.replies_are_full(reply.len()) {
            self.replies.retain(|_, (left, until)| *left != Some(0) && until.is_none_or(|until| now < until));
            self.reply_bytes = self.replies.keys().map(|reply| reply.len()).sum();
            if self.replies_are_full(reply.len()) {
                self.replies.clear();
                self.reply_bytes = 0;
            }
        }
        self.reply_bytes += reply.len();
        self.replies.insert(reply.into(), (max, expires.map(|expires| now + expires)));
    }

    fn replies_are_full(&self, more: usize) -> bool {
        self.replies.len() >= Self::MAX_REPLIES || self.reply_bytes + more > Self::MAX_REPLY_BYTES
    }

    pub(super) fn may_subscribe(&self, subject: &[u8], queue: Option<&[u8]>) -> Subscribe {
        may_subscribe(&self.rules.subscribe, subject, queue)
    }
}

/// True if the rules let one publish to `subject`.
pub(crate) fn may_publish(rules: &Rules, subject: &[u8]) -> bool {
    let covers = |rule: &Rule| matches(rule.subject.as_bytes(), subject);
    rules.allow.as_ref().is_none_or(|allow| allow.iter().any(covers)) && !is_denied(rules, subject)
}

fn is_denied(rules: &Rules, subject: &[u8]) -> bool {
    rules.deny.iter().any(|rule| matches(rule.subject.as_bytes(), subject))
}

/// Whether the rules let one subscribe to the pattern `subject`, in the group `queue` or alone.
pub(crate) fn may_subscribe(rules: &Rules, subject: &[u8], queue: Option<&[u8]>) -> Subscribe {
    let in_queue = |rule: &Rule| match (&rule.queue, queue) {
        (None, _) => true,
        (Some(pattern), Some(queue)) => matches(pattern.as_bytes(), queue),
        (Some(_), None) => false,
    };
    let denied = |rule: &&Rule| in_queue(rule);
    if rules.deny.iter().filter(denied).any(|rule| pattern_covers(rule.subject.as_bytes(), subject)) {
        return Subscribe::Denied;
    }
    if let Some(allow) = &rules.allow {
        let covering: Vec<&Rule> =
            allow.iter().filter(|rule| pattern_covers(rule.subject.as_bytes(), subject)).collect();
        // Where a rule names groups for this subject, those groups alone may be joined.
        let names_groups = queue.is_some() && covering.iter().any(|rule| rule.queue.is_some());
        let allowed = covering.iter().any(|rule| in_queue(rule) && (!names_groups || rule.queue.is_some()));
        if !allowed {
            return Subscribe::Denied;
        }
    }
    let has_wildcard = subject.split(|b| *b == b'.').any(|token| token == b"*" || token == b">");
    let hidden = if has_wildcard {
        rules.deny.iter().filter(denied).map(|rule| rule.subject.clone()).collect()
    } else {
        Vec::new()
    };
    Subscribe::Allowed { hidden }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crosstie_core::{Randomness, Seeded};

    use super::*;

    fn rule(text: &str) -> Rule {
        let (subject, queue) = text.split_once(' ').map_or((text, None), |(subject, queue)| (subject, Some(queue)));
        Rule { subject: subject.parse().unwrap(), queue: queue.map(|queue| queue.parse().unwrap()) }
    }

    fn rules(allow: Option<&[&str]>, deny: &[&str]) -> Rules {
        let read = |texts: &[&str]| texts.iter().map(|text| rule(text)).collect();
        Rules { allow: allow.map(read), deny: read(deny) }
    }

    #[test]
    fn deny_beats_allow_for_publishing_and_for_answers() {
        let rules = rules(Some(&["a.>"]), &["a.secret", "reply.x"]);
        assert!(may_publish(&rules, b"a.b") && !may_publish(&rules, b"a.secret") && !may_publish(&rules, b"b"));
        let mut rights = Rights::new(Permissions {
            publish: rules,
            responses: Some(Responses::default()),
            ..Permissions::default()
        });
        rights.note_reply(b"reply.x", Mono::ZERO);
        assert!(!rights.may_publish(b"reply.x", Mono::ZERO), "an answer does not get round a deny");
    }

    #[test]
    fn an_answer_may_be_given_once_and_in_time() {
        let responses = Some(Responses { max: Some(1), expires: Some(Duration::from_secs(1)) });
        let mut rights =
            Rights::new(Permissions { publish: rules(Some(&[]), &[]), responses, ..Permissions::default() });
        rights.note_reply(b"inbox.1", Mono::ZERO);
        assert!(rights.may_publish(b"inbox.1", Mono::ZERO) && !rights.may_publish(b"inbox.1", Mono::ZERO));
        rights.note_reply(b"inbox.2", Mono::ZERO);
        assert!(!rights.may_publish(b"inbox.2", Mono::ZERO + Duration::from_secs(1)));
    }

    #[test]
    fn a_wildcard_that_spans_a_denied_subject_does_not_show_it() {
        let Subscribe::Allowed { hidden } = may_subscribe(&rules(None, &["a.secret"]), b"a.*", None) else { panic!() };
        assert_eq!(hidden.len(), 1);
        assert_eq!(may_subscribe(&rules(None, &["a.>"]), b"a.*", None), Subscribe::Denied);
    }

    #[test]
    fn groups_are_allowed_and_denied_by_name() {
        let only_v = rules(Some(&["a", "a v*", "a v.>"]), &[]);
        assert!(matches!(may_subscribe(&only_v, b"a", Some(b"v.1")), Subscribe::Allowed { .. }));
        assert_eq!(may_subscribe(&only_v, b"a", Some(b"w")), Subscribe::Denied);
        assert!(matches!(may_subscribe(&only_v, b"a", None), Subscribe::Allowed { .. }));
        let no_w = rules(None, &["a w"]);
        assert_eq!(may_subscribe(&no_w, b"a", Some(b"w")), Subscribe::Denied);
        assert!(matches!(may_subscribe(&no_w, b"a", None), Subscribe::Allowed { .. }));
    }

    /// The permission check, written as plainly as possible: every subject over a small alphabet is tried.
    mod reference {
        pub(super) fn hit(pattern: &str, subject: &str) -> bool {
            let (p, s): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), subject.split('.').collect());
            let wide = p.last() == Some(&">");
            let fixed = if wide { &p[..p.len() - 1] } else { &p[..] };
            (if wide { s.len() > fixed.len() } else { s.len() == fixed.len() })
                && fixed.iter().zip(&s).all(|(a, b)| *a == "*" || a == b)
        }

        /// True if a client with these rules, subscribed to `wanted`, may be shown `subject`.
        pub(super) fn shown(allow: &Option<Vec<String>>, deny: &[String], subject: &str) -> bool {
            allow.as_ref().is_none_or(|allow| allow.iter().any(|p| hit(p, subject)))
                && !deny.iter().any(|p| hit(p, subject))
        }
    }

    fn pattern(random: &mut Seeded, wildcards: bool) -> String {
        let tokens = 1 + random.below(3);
        let mut text = Vec::new();
        for i in 0..tokens {
            let choice = random.below(if wildcards { 6 } else { 3 });
            text.push(match choice {
                0..=2 => ["a", "b", "c"][choice as usize],
                3 | 4 => "*",
                _ if i + 1 == tokens => ">",
                _ => "*",
            });
        }
        text.join(".")
    }

    /// How many of `cases` random checks disagree with the reference.
    fn disagreements(cases: u32, check: impl Fn(&Rules, &[u8]) -> bool) -> u32 {
        let mut random = Seeded::new(20);
        let mut wrong = 0;
        for _ in 0..cases {
            let mut list = |n: u64| (0..random.below(n)).map(|_| pattern(&mut random, true)).collect::<Vec<_>>();
            let (allow, deny) = (Some(list(3)), list(3));
            let allow = allow.filter(|_| random.chance(0.7));
            let parse = |texts: &[String]| texts.iter().map(|text| rule(text)).collect::<Vec<_>>();
            let rules = Rules { allow: allow.as_deref().map(parse), deny: parse(&deny) };
            let subject = pattern(&mut random, false);
            wrong += u32::from(check(&rules, subject.as_bytes()) != reference::shown(&allow, &deny, &subject));
        }
        wrong
    }

    #[test]
    fn publishing_agrees_with_the_reference() {
        assert_eq!(disagreements(100_000, may_publish), 0);
    }

    #[test]
    fn control_a_check_that_forgets_deny_disagrees_with_the_reference() {
        let forgetful =
            |rules: &Rules, subject: &[u8]| may_publish(&Rules { deny: Vec::new(), ..rules.clone() }, subject);
        assert!(disagreements(10_000, forgetful) > 0);
    }

    /// Whether a subscription shows a subject it must not show, over `cases` random rules, patterns and subjects.
    fn leaks(cases: u32, hide: bool) -> u32 {
        let mut random = Seeded::new(21);
        let mut leaks = 0;
        for _ in 0..cases {
            let mut list = |n: u64| (0..random.below(n)).map(|_| pattern(&mut random, true)).collect::<Vec<_>>();
            let (allow, deny) = (Some(list(3)), list(3));
            let allow = allow.filter(|_| random.chance(0.7));
            let parse = |texts: &[String]| texts.iter().map(|text| rule(text)).collect::<Vec<_>>();
            let rules = Rules { allow: allow.as_deref().map(parse), deny: parse(&deny) };
            let (wanted, subject) = (pattern(&mut random, true), pattern(&mut random, false));
            let Subscribe::Allowed { hidden } = may_subscribe(&rules, wanted.as_bytes(), None) else {
                continue;
            };
            let hidden = hide && hidden.iter().any(|pattern| matches(pattern.as_bytes(), subject.as_bytes()));
            let seen = matches(wanted.as_bytes(), subject.as_bytes()) && !hidden;
            leaks += u32::from(seen && !reference::shown(&allow, &deny, &subject));
        }
        leaks
    }

    #[test]
    fn no_subscription_shows_what_the_reference_forbids() {
        assert_eq!(leaks(100_000, true), 0);
    }

    #[test]
    fn control_without_hiding_a_wildcard_shows_denied_subjects() {
        assert!(leaks(100_000, false) > 0);
    }
}
