//! `crosstie shm show`.

use std::fmt::Write;

use crosstie::shm::{Directory, Keeper, ParticipantInfo, SectionKind, Segment};
use serde_json::json;

use super::{target::Target, text};
use crate::{exit::Failure, output::Output};

pub(super) fn run(directory: &Directory, target: &Target, output: &Output) -> Result<(), Failure> {
    let segment = target.open(directory)?;
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
    output.data(&value, || describe(&segment, &participants).into_bytes())
}

fn section_name(kind: u32) -> String {
    SectionKind::from_number(kind).map_or_else(|| format!("part {kind}"), |kind| kind.to_string())
}

fn describe(segment: &Segment, participants: &[ParticipantInfo]) -> String {
    let header = segment.header();
    let element = &header.element;
    let pair = |key: &str, value: String| vec![key.to_owned(), value];
    let mut all = text::table(&[
        pair("segment", format!("{} generation {}", segment.label(), header.generation)),
        pair("id", header.id.to_string()),
        pair("kind", header.kind.to_string()),
        pair("state", segment.state().to_string()),
        pair("layout", format!("{}.{}", header.layout.0, header.layout.1)),
        pair("size", text::size(header.len)),
        pair("created", format!("{} by user {}", text::when(header.created), header.uid)),
        pair("elements", format!("{} of {} bytes, alignment {}", header.elements, element.size, element.align)),
        pair("hash", format!("{:032x}", element.hash)),
    ]);
    let mut section = |heading: &str, body: &str| {
        write!(all, "\n{heading}\n{body}").expect("writing to a string succeeds");
    };
    if !element.schema.is_empty() {
        section("schema", &element.schema);
    }
    let mut parts = vec![["PART", "OFFSET", "BYTES", "ROW"].map(str::to_owned).to_vec()];
    parts.extend(
        header.sections.iter().map(|row| {
            vec![section_name(row.kind), row.offset.to_string(), row.len.to_string(), row.stride.to_string()]
        }),
    );
    section("parts", &text::table(&parts));
    let heading = format!("participants ({} of {} slots)", participants.len(), header.participants);
    let mut rows = vec![["SLOT", "LIFE", "PID", "NAME", "JOINED", "WAITS FOR", "ACTS"].map(str::to_owned).to_vec()];
    rows.extend(participants.iter().map(|info| {
        let waits_for = info.waits_for.map_or_else(String::new, |lock| format!("lock {lock}"));
        vec![
            info.id.to_string(),
            text::life(info).to_owned(),
            info.pid.to_string(),
            info.name.clone(),
            text::when(info.joined),
            waits_for,
            info.acts.to_string(),
        ]
    }));
    section(&heading, &text::table(&rows));
    all
}
