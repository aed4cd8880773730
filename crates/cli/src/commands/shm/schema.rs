//! The schema of a segment read back, and bytes shown by it: `cents [i64;4] @0 +32` and 32 bytes are `[1, 2, 3, 4]`.

use serde_json::{Value, json};

/// A type as a schema writes it.
#[derive(Clone, Debug, PartialEq)]
enum Type {
    /// `u8` to `u128` and `i8` to `i128`, by its bytes.
    Unsigned(usize),
    Signed(usize),
    /// `f32` or `f64`.
    Float(usize),
    List(Box<Self>, usize),
    Struct(Vec<Field>),
}

/// One field: what it is called, and where it is in what it is part of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    name: String,
    pub(super) at: u64,
    pub(super) len: u64,
    of: Type,
}

/// Types within types, before a schema is taken for damaged.
const DEEPEST: usize = 32;
/// Elements of a list that people are shown.
const SHOWN: usize = 8;

/// The fields that a schema names, as far as it can be read: one that was cut ends with `…`, and a line of a later version may be no field.
pub(super) fn fields(schema: &str) -> Vec<Field> {
    let lines = schema.lines().skip(1);
    lines.map_while(|line| field(line).filter(|(_, rest)| rest.is_empty()).map(|(field, _)| field)).collect()
}

/// Bytes by their fields, for programs.
pub(super) fn values(fields: &[Field], bytes: &[u8]) -> Value {
    let each = fields
        .iter()
        .map(|field| (field.name.clone(), field.part(bytes).map_or(Value::Null, |part| field.of.json(part))));
    Value::Object(each.collect())
}

impl Field {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The field in the bytes of what it is part of, for people.
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        self.part(bytes).map_or_else(|| "beyond the bytes that there are".to_owned(), |part| self.of.text(part))
    }

    fn part<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let at = usize::try_from(self.at).ok()?;
        bytes.get(at..at.checked_add(usize::try_from(self.len).ok()?)?)
    }
}

impl Type {
    /// Its bytes; `None` if there are more than can be.
    fn size(&self) -> Option<usize> {
        match self {
            Self::Unsigned(size) | Self::Signed(size) | Self::Float(size) => Some(*size),
            Self::List(of, count) => of.size()?.checked_mul(*count),
            // Trailing reserved space has no field, so what contains it says how long it is.
            Self::Struct(_) => None,
        }
    }

    /// The elements of a list in its bytes.
    fn elements(bytes: &[u8], count: usize) -> impl Iterator<Item = &[u8]> {
        bytes.chunks((bytes.len() / count.max(1)).max(1)).take(count)
    }

    fn json(&self, bytes: &[u8]) -> Value {
        match self {
            // What other programs cannot read as a number is text.
            Self::Unsigned(16) | Self::Signed(16) => json!(self.text(bytes)),
            Self::Unsigned(_) => json!(u64::try_from(number(bytes)).unwrap_or(u64::MAX)),
            Self::Signed(_) => json!(i64::try_from(signed(bytes)).unwrap_or(i64::MAX)),
            Self::Float(_) => match float(bytes) {
                number if number.is_finite() => json!(number),
                _ => json!(self.text(bytes)),
            },
            Self::List(of, count) => Self::elements(bytes, *count).map(|element| of.json(element)).collect(),
            Self::Struct(fields) => values(fields, bytes),
        }
    }

    fn text(&self, bytes: &[u8]) -> String {
        match self {
            Self::Unsigned(_) => number(bytes).to_string(),
            Self::Signed(_) => signed(bytes).to_string(),
            Self::Float(4) => (float(bytes) as f32).to_string(),
            Self::Float(_) => float(bytes).to_string(),
            Self::List(of, _) if **of == Self::Unsigned(1) && readable(bytes).is_some() => {
                format!("{:?}", readable(bytes).unwrap_or_default())
            }
            Self::List(of, count) => {
                let mut shown: Vec<_> = Self::elements(bytes, *count).take(SHOWN).map(|one| of.text(one)).collect();
                if *count > SHOWN {
                    shown.push(format!("… {} more", count - SHOWN));
                }
                format!("[{}]", shown.join(", "))
            }
            Self::Struct(fields) => {
                let each: Vec<_> = fields.iter().map(|field| format!("{} {}", field.name, field.text(bytes))).collect();
                format!("{{{}}}", each.join(", "))
            }
        }
    }
}

/// Bytes that are plain text up to the first zero, with nothing but zeroes from there.
fn readable(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(end);
    let is_text = !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    std::str::from_utf8(text).ok().filter(|_| is_text && rest.iter().all(|byte| *byte == 0))
}

fn number(bytes: &[u8]) -> u128 {
    let mut all = [0; 16];
    let len = bytes.len().min(16);
    all[..len].copy_from_slice(&bytes[..len]);
    u128::from_le_bytes(all)
}

fn signed(bytes: &[u8]) -> i128 {
    let unused = 128 - 8 * bytes.len().clamp(1, 16);
    // The sign is in the highest bit that there is.
    ((number(bytes) << unused) as i128) >> unused
}

fn float(bytes: &[u8]) -> f64 {
    let bits = number(bytes);
    match bytes.len() {
        4 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits as u64),
    }
}

/// `name type @at +len`, and what comes after it.
fn field(text: &str) -> Option<(Field, &str)> {
    field_within(text, DEEPEST)
}

fn field_within(text: &str, depth: usize) -> Option<(Field, &str)> {
    let (name, rest) = text.split_once(' ')?;
    let (of, rest) = type_within(rest, depth)?;
    let (at, rest) = digits(rest.strip_prefix(" @")?)?;
    let (len, rest) = digits(rest.strip_prefix(" +")?)?;
    let is_right = of.size().is_none_or(|size| size as u64 == len);
    is_right.then(|| (Field { name: name.to_owned(), at, len, of }, rest))
}

fn type_within(text: &str, depth: usize) -> Option<(Type, &str)> {
    let depth = depth.checked_sub(1)?;
    if let Some(rest) = text.strip_prefix('[') {
        let (of, rest) = type_within(rest, depth)?;
        let (count, rest) = digits(rest.strip_prefix(';')?)?;
        return Some((Type::List(Box::new(of), usize::try_from(count).ok()?), rest.strip_prefix(']')?));
    }
    let end = text.find([' ', ';', ']', '{', '}']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if let Some(rest) = rest.strip_prefix('{') {
        return struct_within(rest, depth);
    }
    let (kind, bits) = name.split_at_checked(1)?;
    let size = bits.parse::<usize>().ok().filter(|bits| bits.is_power_of_two())? / 8;
    let of = match (kind, size) {
        ("u", 1 | 2 | 4 | 8 | 16) => Type::Unsigned(size),
        ("i", 1 | 2 | 4 | 8 | 16) => Type::Signed(size),
        ("f", 4 | 8) => Type::Float(size),
        _ => return None,
    };
    Some((of, rest))
}

/// The fields of a struct, from behind its opening brace.
fn struct_within(mut text: &str, depth: usize) -> Option<(Type, &str)> {
    let mut fields = Vec::new();
    loop {
        if let Some(rest) = text.strip_prefix('}') {
            return Some((Type::Struct(fields), rest));
        }
        let (field, rest) = field_within(text, depth)?;
        fields.push(field);
        text = rest.strip_prefix("; ").unwrap_or(rest);
    }
}

fn digits(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use crosstie::shm::{Reserved, ShmSafe};

    use super::*;

    #[derive(Clone, Copy, ShmSafe)]
    #[shm(crate = crosstie::shm)]
    #[repr(C)]
    struct Account {
        cents: i64,
        rate: f64,
        reserved: Reserved<16>,
    }

    #[derive(Clone, Copy, ShmSafe)]
    #[shm(crate = crosstie::shm)]
    #[repr(C)]
    struct Bank {
        accounts: [Account; 2],
        total: u128,
        grid: [[i16; 2]; 2],
        name: [u8; 16],
        many: [u32; 10],
    }

    #[test]
    fn a_value_is_shown_by_its_schema() {
        let mut bytes = Vec::new();
        for (cents, rate) in [(-5_i64, 0.25_f64), (7, f64::NAN)] {
            bytes.extend(cents.to_le_bytes());
            bytes.extend(rate.to_le_bytes());
            bytes.extend([0; 16]);
        }
        bytes.extend(u128::MAX.to_le_bytes());
        [1_i16, -2, 3, -4].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.extend(b"first bank\0\0\0\0\0\0");
        (0..10_u32).for_each(|number| bytes.extend(number.to_le_bytes()));
        let fields = fields(&Bank::element().schema);
        let text: Vec<_> = fields.iter().map(|field| format!("{} {}", field.name, field.text(&bytes))).collect();
        assert_eq!(
            text,
            [
                "accounts [{cents -5, rate 0.25}, {cents 7, rate NaN}]",
                "total 340282366920938463463374607431768211455",
                "grid [[1, -2], [3, -4]]",
                "name \"first bank\"",
                "many [0, 1, 2, 3, 4, 5, 6, 7, … 2 more]",
            ]
        );
        let value = values(&fields, &bytes);
        assert_eq!(value["accounts"][0], json!({ "cents": -5, "rate": 0.25 }));
        assert_eq!((&value["accounts"][1]["rate"], &value["grid"][1][1]), (&json!("NaN"), &json!(-4)));
        assert_eq!(value["many"].as_array().map(Vec::len), Some(10));
        assert_eq!(value["total"], u128::MAX.to_string());
    }

    #[test]
    fn a_bare_number_and_a_list_have_one_field() {
        let number = fields(&u64::element().schema);
        assert_eq!((number[0].name.as_str(), number[0].text(&9_u64.to_le_bytes()).as_str()), ("0", "9"));
        assert_eq!(fields(&<[i8; 3]>::element().schema)[0].text(&[255, 0, 1]), "[-1, 0, 1]");
    }

    #[test]
    fn what_cannot_be_read_ends_the_fields_and_breaks_nothing() {
        let cut = "T size=16 align=8\na u64 @0 +8\n…\n";
        assert_eq!(fields(cut).len(), 1);
        assert_eq!(fields(cut)[0].text(&[1, 2]), "beyond the bytes that there are");
        let deep = format!("T size=8 align=8\na {}u8{} @0 +1\n", "[".repeat(100_000), ";1]".repeat(100_000));
        for schema in [
            "",
            "T",
            &deep,
            "T\na u64 @0 +9",
            "T\na u7 @0 +1",
            "T\na é @0 +1",
            "T\na A{b u8 @0 +1",
            "T\na [u64;99999999999999999999] @0 +8",
        ] {
            assert_eq!(fields(schema), [], "{:.40}", schema);
        }
        // A list that claims more than there is.
        let long = "T\na [u64;2305843009213693951] @0 +18446744073709551608";
        fields(long).iter().for_each(|field| assert_eq!(field.text(&[0; 8]), "beyond the bytes that there are"));
        let empty = "T\na [A{};1000000000000] @0 +0";
        assert!(fields(empty).iter().all(|field| field.text(&[]).len() < 200));
    }
}
