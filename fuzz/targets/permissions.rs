//! Permissions: who may publish, subscribe and see what, against a plain model; deny beats allow on every way.

#![no_main]

use arbitrary::Arbitrary;
use crosstie_broker::{Rule, Rules, fuzzing};
use libfuzzer_sys::fuzz_target;

/// Few words, so that patterns meet.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Word {
    A,
    B,
    Star,
    Rest,
}

#[derive(Arbitrary, Debug)]
struct Given {
    allow: Option<Vec<Pattern>>,
    deny: Vec<Pattern>,
    wanted: Vec<Word>,
    queue: Option<bool>,
    subject: Vec<Word>,
}

#[derive(Arbitrary, Debug)]
struct Pattern {
    words: Vec<Word>,
    queue: Option<bool>,
}

fuzz_target!(|given: Given| {
    let (Some(subject), Some(wanted)) = (text(&given.subject, false), text(&given.wanted, true)) else { return };
    let (allow, deny) = (given.allow.as_deref().map(read), read(&given.deny));
    let rules = Rules {
        allow: allow.as_ref().map(|patterns| patterns.iter().map(rule).collect()),
        deny: deny.iter().map(rule).collect(),
    };
    let covered = |patterns: &[(String, Option<&str>)], queue: Option<&str>| {
        patterns.iter().any(|(pattern, of)| (of.is_none() || *of == queue) && hit(pattern, &subject))
    };
    let anywhere = |patterns: &[(String, Option<&str>)]| patterns.iter().any(|(pattern, _)| hit(pattern, &subject));

    let may = allow.as_ref().is_none_or(|allow| anywhere(allow)) && !anywhere(&deny);
    assert_eq!(fuzzing::publishes(&rules, subject.as_bytes()), may, "{rules:?} {subject}");

    let queue = given.queue.map(group);
    let queue_bytes = queue.map(str::as_bytes);
    if hit(&wanted, &subject) && fuzzing::shows(&rules, wanted.as_bytes(), queue_bytes, subject.as_bytes()) {
        assert!(fuzzing::subscribes(&rules, wanted.as_bytes(), queue_bytes));
        assert!(!covered(&deny, queue), "{rules:?} shows {subject} to {wanted} {queue:?}");
        assert!(
            allow.as_ref().is_none_or(|allow| covered(allow, queue)),
            "{rules:?} shows {subject} to {wanted} {queue:?}"
        );
    }
    // What is asked for word by word is shown exactly if it may be, groups aside.
    if queue.is_none() && allow.iter().flatten().chain(&deny).all(|(_, of)| of.is_none()) {
        let shown = fuzzing::shows(&rules, subject.as_bytes(), None, subject.as_bytes());
        assert_eq!(shown, may, "{rules:?} {subject}");
    }
});

const fn group(first: bool) -> &'static str {
    if first { "g" } else { "h" }
}

fn read(patterns: &[Pattern]) -> Vec<(String, Option<&'static str>)> {
    patterns.iter().filter_map(|one| Some((text(&one.words, true)?, one.queue.map(group)))).collect()
}

fn rule((pattern, queue): &(String, Option<&str>)) -> Rule {
    Rule {
        subject: pattern.parse().expect("a pattern by its making"),
        queue: queue.map(|queue| queue.parse().expect("a word is a pattern")),
    }
}

/// The words as a pattern, or as a subject; `None` if there is none of them, or too many.
fn text(words: &[Word], wild: bool) -> Option<String> {
    let mut tokens = Vec::new();
    for (at, word) in words.iter().enumerate() {
        tokens.push(match word {
            Word::A => "a",
            Word::B => "b",
            _ if !wild => "c",
            Word::Rest if at + 1 == words.len() => ">",
            Word::Star | Word::Rest => "*",
        });
    }
    (1..=6).contains(&tokens.len()).then(|| tokens.join("."))
}

fn hit(pattern: &str, subject: &str) -> bool {
    let (p, s): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), subject.split('.').collect());
    let wide = p.last() == Some(&">");
    let fixed = if wide { &p[..p.len() - 1] } else { &p[..] };
    (if wide { s.len() > fixed.len() } else { s.len() == fixed.len() })
        && fixed.iter().zip(&s).all(|(a, b)| *a == "*" || a == b)
}
