//! `crosstie shm ls`.

use clap::Args;
use crosstie::shm::{Directory, Error, Expect, Keeper, Life, Listed, Segment};
use serde_json::{Value, json};

use super::{
    failure::as_here,
    table::{Column, Table},
    text,
    wide::{Wide, show_table},
};
use crate::{
    exit::Failure,
    output::{Output, printable},
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie shm ls
  crosstie shm ls --dir /run/shop/crosstie
  crosstie shm ls --json | jq 'select(.dead > 0).name'")]
pub(super) struct LsArgs {
    #[command(flatten)]
    wide: Wide,
}

const COLUMNS: [Column; 9] = [
    Column::new("NAME").wrapped(12),
    Column::new("GEN"),
    Column::new("KIND"),
    Column::new("SIZE"),
    Column::new("STATE").wrapped(8),
    Column::new("ALIVE"),
    Column::new("DEAD"),
    Column::new("LOCKS").spare(1),
    Column::new("CREATED").spare(2),
];

pub(super) fn run(directory: &Directory, args: &LsArgs, output: &Output) -> Result<(), Failure> {
    let mut table = Table::new(&COLUMNS);
    let (mut values, mut reasons) = (Vec::new(), String::new());
    for listed in directory.list()? {
        match look(directory, &listed) {
            Ok(Some((row, value))) => {
                table.row(row);
                values.push(value);
            }
            // Removed since it was listed.
            Ok(None) => {}
            Err(error) => {
                let reason = as_here(&error.to_string());
                // A long reason is told below the table, which keeps its shape.
                reasons.push_str(&format!("\n{}: {reason}\n", listed.file()));
                values.push(refused(&listed, reason));
                table.row(refused_row(&listed));
            }
        }
    }
    if output.is_json() {
        return values.iter().try_for_each(|value| output.data(value, Vec::new));
    }
    if table.is_empty() {
        output.note(&format!("no segments in {}", directory.path().display()));
        return Ok(());
    }
    show_table(&table, &args.wide, output)?;
    output.data(&Value::Null, || printable(reasons.as_bytes()).into_bytes())
}

fn look(directory: &Directory, listed: &Listed) -> Result<Option<(Vec<String>, Value)>, Error> {
    let expect = Expect::any().looking_only().of_any_boot();
    let Some(segment) = Segment::open_listed(directory, listed, &expect)? else { return Ok(None) };
    let header = segment.header();
    let participants = Keeper::of(&segment)?.participants()?;
    let count = |life| participants.iter().filter(|info| info.life == life).count();
    let (alive, dead) = (count(Life::Alive), count(Life::Dead));
    let state = segment.state().to_string();
    let row = [
        listed.name.to_string(),
        listed.generation.to_string(),
        header.kind.to_string(),
        text::size(header.len),
        state.clone(),
        alive.to_string(),
        dead.to_string(),
        header.locks.to_string(),
        text::when_short(header.created),
    ];
    let value = json!({
        "name": listed.name.as_str(),
        "generation": listed.generation,
        "kind": header.kind.to_string(),
        "bytes": header.len,
        "state": state,
        "alive": alive,
        "dead": dead,
        "locks": header.locks,
        "created": text::when(header.created),
    });
    Ok(Some((row.to_vec(), value)))
}

/// One that cannot be read is listed all the same: it takes room, and its name is taken.
fn refused(listed: &Listed, reason: String) -> Value {
    json!({ "name": listed.name.as_str(), "generation": listed.generation, "state": "refused", "reason": reason })
}

fn refused_row(listed: &Listed) -> Vec<String> {
    let (name, generation) = (listed.name.to_string(), listed.generation.to_string());
    let mut row = vec![name, generation, String::new(), String::new(), "refused".to_owned()];
    row.resize(COLUMNS.len(), String::new());
    row
}
