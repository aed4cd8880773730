//! Which subject fits which pattern, by the plainest rule: what the broker finds in an index is compared with this.

/// True if `subject` fits `pattern`: token by token, `*` for one, `>` for one or more at the end.
pub(crate) fn fits(pattern: &str, subject: &str) -> bool {
    match (pattern.split_once('.'), subject.split_once('.')) {
        _ if pattern == ">" => true,
        (None, None) => pattern == "*" || pattern == subject,
        (Some((first, rest)), Some((token, others))) => (first == "*" || first == token) && fits(rest, others),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_tokens() {
        for (pattern, subject, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.*", "a", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("*.b", "a.b", true),
            (">", "a.b", true),
        ] {
            assert_eq!(fits(pattern, subject), expected, "{pattern} {subject}");
        }
    }
}
