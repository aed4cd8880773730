//! Licence expressions (SPDX): whether a list of accepted licences satisfies one.

/// Whether the licences in `accepted` are enough for `expression`.
///
/// `OR`, `AND`, `WITH` and parentheses are understood, and the `/` of older manifests as `OR`. Anything else is not satisfied.
pub(super) fn is_satisfied(expression: &str, accepted: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let satisfied = any_of(&mut words, accepted);
    satisfied.is_some_and(|satisfied| satisfied && words.is_empty())
}

/// `term OR term …`; the words are a stack, next on top. Nothing if they do not make sense.
fn any_of(words: &mut Vec<&str>, accepted: &[String]) -> Option<bool> {
    let mut satisfied = all_of(words, accepted)?;
    while words.last() == Some(&"OR") {
        words.pop();
        satisfied |= all_of(words, accepted)?;
    }
    Some(satisfied)
}

fn all_of(words: &mut Vec<&str>, accepted: &[String]) -> Option<bool> {
    let mut satisfied = one(words, accepted)?;
    while words.last() == Some(&"AND") {
        words.pop();
        satisfied &= one(words, accepted)?;
    }
    Some(satisfied)
}

fn one(words: &mut Vec<&str>, accepted: &[String]) -> Option<bool> {
    let word = words.pop()?;
    if word == "(" {
        let satisfied = any_of(words, accepted)?;
        return (words.pop()? == ")").then_some(satisfied);
    }
    let mut name = word.to_owned();
    if words.last() == Some(&"WITH") {
        words.pop();
        name = format!("{name} WITH {}", words.pop()?);
    }
    Some(accepted.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_satisfied_by_enough_licences_only() {
        let accepted = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        for yes in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/Apache-2.0",
            "(MIT OR X) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR X",
        ] {
            assert!(is_satisfied(yes, &accepted), "{yes}");
        }
        for no in ["GPL-3.0", "MIT AND GPL-3.0", "", "MIT OR", "(MIT", "MIT MIT", "MIT WITH Odd-exception"] {
            assert!(!is_satisfied(no, &accepted), "{no}");
        }
    }
}
