//! A text with places to fill in. It stands alone, so that its fuzz target reads this very file.

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
