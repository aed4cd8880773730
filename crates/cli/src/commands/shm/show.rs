//! `crosstie shm show`.

use std::fmt::Write;

use clap::Args;
use crosstie::shm::{Directory, Keeper, ParticipantInfo, SectionKind, Segment};
use serde_json::json;

use super::{
    table::{Column, Table},
    target::Target,
    text,
    wide::Wide,
};
use crate::{exit::Failure, output::Output};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie shm show ledger
  crosstie shm show ledger@1           a generation that is not the newest
  crosstie shm show ledger --json | jq .element.fields")]
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
    let element = &header.element;
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
        "elements": header.elements,
        "slots": header.participants,
        "locks": header.locks,
        "created": text::when(header.created),
        "creator_uid": header.uid,
        "sections": sections,
        "participants": participants.iter().map(text::participant_json).collect::<Vec<_>>(),
    });
    output.data(&value, || describe(&segment, &participants, width).into_bytes())
}

fn section_name(kind: u32) -> String {
    SectionKind::from_number(kind).map_or_else(|| format!("part {kind}"), |kind| kind.to_string())
}

fn describe(segment: &Segment, participants: &[ParticipantInfo], width: Option<usize>) -> String {
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
        section("schema", &element.schema);
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
            info.name.clone(),
            text::when_short(info.joined),
            waits_for,
            info.acts.to_string(),
        ]);
    }
    section(&heading, &table.text(width).0);
    all
}
