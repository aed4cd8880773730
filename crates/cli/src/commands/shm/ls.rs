//! `crosstie shm ls`.

use crosstie::shm::{Directory, Error, Expect, Keeper, Life, Listed, Segment};
use serde_json::{Value, json};

use super::text;
use crate::{exit::Failure, output::Output};

pub(super) fn run(directory: &Directory, output: &Output) -> Result<(), Failure> {
    let heading = ["NAME", "GEN", "KIND", "SIZE", "STATE", "ALIVE", "DEAD", "LOCKS", "CREATED"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let mut values = Vec::new();
    for listed in directory.list()? {
        let (row, value) = match look(directory, &listed) {
            Ok(Some(both)) => both,
            // Removed since it was listed.
            Ok(None) => continue,
            Err(error) => refused(&listed, &error),
        };
        rows.push(row);
        values.push(value);
    }
    if output.is_json() {
        return values.iter().try_for_each(|value| output.data(value, Vec::new));
    }
    if values.is_empty() {
        output.note(&format!("no segments in {}", directory.path().display()));
        return Ok(());
    }
    output.data(&Value::Null, || text::table(&rows).into_bytes())
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
        text::when(header.created),
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
fn refused(listed: &Listed, error: &Error) -> (Vec<String>, Value) {
    let (name, message) = (listed.name.to_string(), error.to_string());
    let first = message.lines().next().unwrap_or_default().to_owned();
    let value = json!({ "name": name, "generation": listed.generation, "state": "refused", "reason": message });
    let blank = String::new;
    let row = vec![name, listed.generation.to_string(), blank(), blank(), first, blank(), blank(), blank(), blank()];
    (row, value)
}
