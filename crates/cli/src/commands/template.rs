//! A text with places to fill in. It stands alone, so that its fuzz target reads this very file.

/// The first `{{word}}` in a template that is none of the names. Braces around anything but a word, as in JSON, are just text.
pub(crate) fn unknown<'a>(template: &'a str, names: &[&str]) -> Option<&'a str> {
    let starts = template.char_indices().map(|(at, _)| &template[at..]).filter(|rest| rest.starts_with("{{"));
    let mut places = starts.filter_map(|rest| {
        let word = rest[2..].split("}}").next()?;
        let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (is_word && rest.len() >= word.len() + 4).then(|| &rest[..word.len() + 4])
    });
    places.find(|place| !names.contains(place))
}

/// Puts the values in the places of their names. A value is no template: what it holds is not filled in again. Bytes that are not text
/// are left alone.
pub(crate) fn fill(template: &[u8], values: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::with_capacity(template.len());
    let mut rest = template;
    while let Some(first) = rest.first() {
        match values.iter().find(|(name, _)| rest.starts_with(name.as_bytes())) {
            Some((name, value)) => {
                out.extend_from_slice(value);
                rest = &rest[name.len()..];
            }
            None => {
                out.push(*first);
                rest = &rest[1..];
            }
        }
    }
    out
}
