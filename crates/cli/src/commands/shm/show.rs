//! `crosstie shm show`.

use std::fmt::Write;

use clap::Args;
use crosstie::shm::{Directory, Keeper, Kind, ParticipantInfo, SectionKind, Segment, ValueSeen};
use serde_json::{Value, json};

use super::{
    schema,
    table::{Column, Table},
    target::Target,
    text,
    wide::Wide,
};
use crate::{
    exit::Failure,
    output::{Output, printable},
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie shm show ledger
  crosstie shm show ledger@1  a generation that is not the newest
  crosstie shm show ledger --json | jq .value.fields

The value is as it was at one moment, as its last commit or its writer left it.")]
pub(super) struct ShowArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    wide: Wide,
}

const PARTS: [Column; 4] = [Column::new("PART"), Column::new("OFFSET"), Column::new("BYTES"), Column::new("ROW")];
const PARTICIPANTS: [Column; 7] = [
    Column::new("SLOT"),
    Column::new("LIFE"),
    Column::new("PID"),
    Column::new("NAME").wrapped(10),
    Column::new("JOINED").spare(1),
    Column::new("WAITS FOR"),
    Column::new("ACTS").spare(2),
];

pub(super) fn run(directory: &Directory, args: &ShowArgs, output: &Output) -> Result<(), Failure> {
    let segment = args.target.open(directory)?;
    let width = args.wide.limit(output);
    let header = segment.header();
    let participants = Keeper::of(&segment)?.participants()?;
    let (element, seen) = (&header.element, segment.value_seen()?);
    let sections: Vec<_> = header
        .sections
        .iter()
        .map(|row| json!({ "name": section_name(row.kind), "offset": row.offset, "bytes": row.len, "stride": row.stride }))
        .collect();
    let value = json!({
        "name": header.name,
        "generation": header.generation,
        "id": header.id.to_string(),
        "kind": header.kind.to_string(),
        "state": segment.state().to_string(),
        "layout": format!("{}.{}", header.layout.0, header.layout.1),
        "bytes": header.len,
        "boot": header.boot.to_string(),
        "features": {
            "must": header.features.must,
            "must_to_write": header.features.must_to_write,
            "may_ignore": header.features.may_ignore,
        },
        "element": {
            "bytes": element.size,
            "align": element.align,
            "hash": format!("{:032x}", element.hash),
            "fields": element.schema.lines().collect::<Vec<_>>(),
        },
        "value": value_json(&segment, &seen),
        "elements": header.elements,
        "slots": header.participants,
        "locks": header.locks,
        "created": text::when(header.created),
        "creator_uid": header.uid,
        "sections": sections,
        "participants": participants.iter().map(text::participant_json).collect::<Vec<_>>(),
    });
    output.data(&value, || describe(&segment, &seen, &participants, width).into_bytes())
}

/// The value with its version; `null` if the segment has none, and no fields if it changed under every look.
fn value_json(segment: &Segment, seen: &ValueSeen) -> Value {
    match seen {
        ValueSeen::Whole { bytes, version } => {
            let fields = schema::fields(&segment.header().element.schema);
            json!({ "version": version, "fields": schema::values(&fields, bytes) })
        }
        ValueSeen::Changing => json!({ "version": null, "fields": null }),
        _ => Value::Null,
    }
}

fn value_text(segment: &Segment, seen: &ValueSeen, width: Option<usize>) -> Option<(String, String)> {
    match seen {
        ValueSeen::Whole { bytes, version } => {
            let fields = schema::fields(&segment.header().element.schema);
            // A bare number or list is its own only field.
            let is_bare = matches!(fields.as_slice(), [field] if field.name() == "0");
            let name = |field| if is_bare { "" } else { schema::Field::name(field) };
            let each: Vec<_> = fields.iter().map(|field| (name(field), field.text(bytes))).collect();
            let what = match segment.header().kind {
                Kind::Latest => "written",
                Kind::TxRegion => "taken",
                _ => "committed",
            };
            let times = if *version == 1 { "once".to_owned() } else { format!("{version} times") };
            Some((format!("value ({what} {times})"), printable(text::pairs(&each, width).trim_start().as_bytes())))
        }
        ValueSeen::Changing => {
            let body = "it is being changed in place: look again, or 'crosstie locks' tells by whom\n";
            Some(("value".to_owned(), body.to_owned()))
        }
        _ => None,
    }
}

fn section_name(kind: u32) -> String {
    SectionKind::from_number(kind).map_or_else(|| format!("part {kind}"), |kind| kind.to_string())
}

fn describe(segment: &Segment, seen: &ValueSeen, participants: &[ParticipantInfo], width: Option<usize>) -> String {
    let header = segment.header();
    let element = &header.element;
    let mut all = text::pairs(
        &[
            ("segment", format!("{} generation {}", segment.label(), header.generation)),
            ("id", header.id.to_string()),
            ("kind", header.kind.to_string()),
            ("state", segment.state().to_string()),
            ("layout", format!("{}.{}", header.layout.0, header.layout.1)),
            ("size", text::size(header.len)),
            ("created", format!("{} by user {}", text::when(header.created), header.uid)),
            ("elements", format!("{} of {} bytes, alignment {}", header.elements, element.size, element.align)),
            ("hash", format!("{:032x}", element.hash)),
        ],
        width,
    );
    let mut section = |heading: &str, body: &str| {
        write!(all, "\n{heading}\n{body}").expect("writing to a string succeeds");
    };
    if !element.schema.is_empty() {
        section("schema", &printable(element.schema.as_bytes()));
    }
    if let Some((heading, body)) = value_text(segment, seen, width) {
        section(&heading, &body);
    }
    let mut parts = Table::new(&PARTS);
    header.sections.iter().for_each(|row| {
        parts.row(vec![section_name(row.kind), row.offset.to_string(), row.len.to_string(), row.stride.to_string()]);
    });
    section("parts", &parts.text(width).0);
    let heading = format!("participants ({} of {} slots)", participants.len(), header.participants);
    let mut table = Table::new(&PARTICIPANTS);
    for info in participants {
        let waits_for = info.waits_for.map_or_else(String::new, |lock| format!("lock {lock}"));
        table.row(vec![
            info.id.to_string(),
            text::life(info).to_owned(),
            info.pid.to_string(),
            text::name(&info.name),
            text::when_short(info.joined),
            waits_for,
            info.acts.to_string(),
        ]);
    }
    section(&heading, &table.text(width).0);
    all
}
