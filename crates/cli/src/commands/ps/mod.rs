//! `crosstie ps`: who speaks Crosstie on this machine, where they listen, and who is connected to them.

mod processes;
mod sockets;
mod unix_peers;

use std::{collections::BTreeSet, net::IpAddr};

use clap::Args;
use crosstie::shm::{Directory, Expect, Keeper, Life, Segment};
use crosstie_core::{Endpoint, HostPort, Target, UnixAddress};
use serde_json::{Value, json};

use self::{
    processes::{Process, Processes},
    sockets::{Inet, Sockets},
};
use super::shm::{
    place::{Found, Place},
    table::{Column, Table},
    wide::{Wide, show_table},
};
use crate::{
    exit::Failure,
    output::{Output, printable},
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie ps
  crosstie ps --json | jq -r 'select(.peers != []).endpoint'

A listener of Crosstie keeps a small memory file open that says where it is, and
this command reads it in /proc/PID/fd: of your processes, and of all if you
are root. It is gone with its process, even if that is killed, and no file is
left anywhere. What it says is compared with the kernel's list of sockets: STATE
is 'listens', 'gone' if the process has no such socket, or '?' where that is not
to be seen, as in another network namespace.

Who is in a segment of shared memory is found as by 'crosstie shm show'.
PEERS are the processes at the other ends as far as the kernel tells: those of
connections over TCP, Unix sockets and shm: on this machine, those who send
datagrams over the last two, and the others in a segment; of your processes, and
of all if you are root. Programs that only connect are seen as such peers alone.")]
pub(crate) struct PsArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    wide: Wide,
}

const COLUMNS: [Column; 6] = [
    Column::new("PID"),
    Column::new("COMMAND").wrapped(8),
    Column::new("ENDPOINT").wrapped(16),
    Column::new("STATE"),
    Column::new("CONNS").spare(1),
    Column::new("PEERS").wrapped(8),
];

/// What is shown in one row.
struct Row {
    pid: u32,
    uid: Option<u32>,
    name: String,
    kind: String,
    endpoint: String,
    state: &'static str,
    connections: Option<usize>,
    peers: BTreeSet<u32>,
}

pub(crate) fn run(args: &PsArgs, output: &Output) -> Result<(), Failure> {
    let (processes, sockets) = (Processes::read()?, Sockets::read());
    let mut rows = Vec::new();
    for (pid, process) in &processes.all {
        for said in &process.endpoints {
            rows.push(listener(*pid, process, said, &processes, &sockets));
        }
    }
    if let Found::There(directory) = args.place.find()? {
        rows.extend(segments(&directory, &processes)?);
    }
    rows.sort_by(|one, other| (one.pid, &one.endpoint).cmp(&(other.pid, &other.endpoint)));
    if output.is_json() {
        return rows.iter().try_for_each(|row| output.data(&row.json(), Vec::new));
    }
    if rows.is_empty() {
        output.note("no process that speaks Crosstie is to be seen");
        return Ok(());
    }
    let mut table = Table::new(&COLUMNS);
    rows.iter().for_each(|row| table.row(row.cells()));
    show_table(&table, &args.wide, output)
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "pid": self.pid, "uid": self.uid, "command": self.name, "kind": self.kind, "endpoint": self.endpoint,
            "state": self.state, "connections": self.connections, "peers": self.peers,
        })
    }

    fn cells(&self) -> Vec<String> {
        let peers: Vec<_> = self.peers.iter().map(ToString::to_string).collect();
        vec![
            self.pid.to_string(),
            // A process calls itself and its endpoints what it likes.
            printable(self.name.as_bytes()),
            within(printable(self.endpoint.as_bytes())),
            self.state.to_owned(),
            self.connections.map_or_else(String::new, |count| count.to_string()),
            peers.join(" "),
        ]
    }
}

/// The most characters of an endpoint in a table, so that what one process says makes no row too long to read.
const SHOWN: usize = 300;

fn within(text: String) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// What is seen of a listener that a process says it has. Its endpoint is read as text, and never opened.
fn listener(
    pid: u32,
    process: &Process,
    said: &crosstie_net::Announced,
    processes: &Processes,
    sockets: &Sockets,
) -> Row {
    let mut row = Row {
        pid,
        uid: Some(process.uid),
        name: process.name.clone(),
        kind: said.what.clone(),
        endpoint: said.endpoint.clone(),
        state: "?",
        connections: None,
        peers: BTreeSet::new(),
    };
    let Ok(endpoint) = said.endpoint.parse::<Endpoint>() else { return row };
    if !process.is_in_reach {
        return row;
    }
    let is_stream = said.what == "stream";
    match endpoint.target() {
        Target::Tcp { host } => tcp(&mut row, process, processes, sockets, host),
        // A listener has one address.
        Target::Tls { servers, .. } if servers.len() == 1 => tcp(&mut row, process, processes, sockets, &servers[0]),
        Target::Udp { host } => {
            row.state = state(sockets.udp.iter().any(|it| process.has(it.inode) && is_at(it, host)));
        }
        Target::Unix { address } => {
            let name = match address {
                UnixAddress::Path(path) => path.display().to_string(),
                UnixAddress::Abstract(name) => format!("@{name}"),
            };
            unix(&mut row, process, (processes, sockets), is_stream, |it| it == name);
        }
        Target::Shm { name } => {
            let file = format!("/{name}.{}", if is_stream { "stream" } else { "letters" });
            unix(&mut row, process, (processes, sockets), true, |it| it.ends_with(&file));
        }
        _ => {}
    }
    row
}

fn tcp(row: &mut Row, process: &Process, processes: &Processes, sockets: &Sockets, host: &HostPort) {
    let is_ours = |it: &&Inet| process.has(it.inode) && it.local.port() == host.port;
    let listens = sockets.tcp.iter().filter(is_ours).any(|it| it.listens && is_at(it, host));
    let connected: Vec<_> = sockets.tcp.iter().filter(is_ours).filter(|it| it.is_connected).collect();
    row.connections = Some(connected.len());
    row.peers = connected.iter().filter_map(|it| processes.owner(sockets.other_end(it)?)).collect();
    row.state = state(listens);
}

fn unix(
    row: &mut Row,
    process: &Process,
    (processes, sockets): (&Processes, &Sockets),
    is_stream: bool,
    is_it: impl Fn(&str) -> bool,
) {
    let ours: Vec<_> = sockets.unix.iter().filter(|it| process.has(it.inode) && is_it(&it.name)).collect();
    row.state = state(ours.iter().any(|it| it.listens || !is_stream));
    row.connections = is_stream.then(|| ours.iter().filter(|it| it.is_connected).count());
    // Also who sends datagrams to a socket is connected to it.
    row.peers =
        ours.iter().flat_map(|it| sockets.unix_peers.of(it.inode)).filter_map(|it| processes.owner(it)).collect();
}

const fn state(listens: bool) -> &'static str {
    if listens { "listens" } else { "gone" }
}

/// True if a socket is at this address. A name of a host is taken on trust: the port is the process's own.
fn is_at(it: &Inet, host: &HostPort) -> bool {
    it.local.port() == host.port
        && host.host.parse::<IpAddr>().map_or(true, |ip| it.local.ip() == ip || it.local.ip() == ip.to_canonical())
}

/// Who is in the segments of shared memory.
fn segments(directory: &Directory, processes: &Processes) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for listed in directory.list()? {
        let expect = Expect::any().looking_only().of_any_boot();
        // What cannot be read is told by `crosstie shm ls`.
        let Ok(Some(segment)) = Segment::open_listed(directory, &listed, &expect) else { continue };
        let Ok(all) = Keeper::of(&segment).and_then(|keeper| keeper.participants()) else { continue };
        let alive: Vec<_> = all.into_iter().filter(|info| info.life == Life::Alive).collect();
        for info in &alive {
            let process = processes.all.get(&info.pid);
            rows.push(Row {
                pid: info.pid,
                uid: process.map(|process| process.uid),
                name: process.map_or_else(|| info.name.clone(), |process| process.name.clone()),
                kind: "segment".to_owned(),
                endpoint: format!("segment {}", listed.name),
                state: "in",
                connections: None,
                peers: alive.iter().filter(|other| other.id != info.id).map(|other| other.pid).collect(),
            });
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_process_says_widens_no_row_beyond_reading() {
        assert_eq!(within("ä".repeat(SHOWN)), "ä".repeat(SHOWN));
        assert_eq!(within("ä".repeat(8000)), format!("{}…", "ä".repeat(SHOWN)));
    }
}
