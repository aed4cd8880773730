//! The difference of two types in words.

use crosstie_core::{SchemaText, schema};
use crosstie_proto::frame::Described;

/// Whether what a writer of the first type writes can be read as the second, and if not, the difference. One of the texts is a stranger's.
pub(crate) fn can_read(written: &Described, read: &Described) -> Result<(), String> {
    let parse = |schema: &Described, whose: &str| {
        schema.text.parse::<SchemaText>().map_err(|why| format!("the schema of the {whose} is not valid: {why}"))
    };
    let (written, read) = (parse(written, "sender")?, parse(read, "receiver")?);
    schema::can_read(&written, &read).map_err(|differences| {
        let told = differences.iter().take(MAX_TOLD).map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let more = differences.len().saturating_sub(MAX_TOLD);
        if more > 0 { format!("{told}; and {more} more") } else { told }
    })
}

/// How many differences of two types are told.
const MAX_TOLD: usize = 20;
