//! Sizes and counts in decimal.

/// The number that `digits` spell: digits alone, at most nine of them significant, so that it always fits 32 bits.
///
/// A sign, a space or anything else is `None`, as is a number of a thousand million or more: nothing on this wire may
/// be that large.
pub fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0u32, |value, digit| match digit {
        b'0'..=b'9' => Some(value * 10 + u32::from(digit - b'0')),
        _ => None,
    })
}

/// The id that `digits` spell. Unlike a size, it may be as large as 64 bits hold: ids are never used twice.
pub(super) fn id(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// Appends `value` in decimal.
pub fn push_decimal(out: &mut Vec<u8>, value: usize) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_64_bits() {
        assert_eq!(id(b"1000000000"), Some(1_000_000_000));
        assert_eq!(id(u64::MAX.to_string().as_bytes()), Some(u64::MAX));
        for text in ["", "18446744073709551616", "-1", "1a"] {
            assert_eq!(id(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn only_digits_that_fit_are_a_number() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"999999999"), Some(999_999_999));
        for text in ["", "-1", "+1", "1x", "1000000000", " 1", "18446744073709551616"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for value in [0usize, 1, 9, 10, 1024, 999_999_999] {
            let mut out = Vec::new();
            push_decimal(&mut out, value);
            assert_eq!(decimal(&out), u32::try_from(value).ok());
        }
    }
}
