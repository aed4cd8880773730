//! The supervisor: starts every part, starts again what ends, and checks the books in the end.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crosstie::blocking::Subscription;
use serde_json::json;

use super::{
    ledger::Ledger,
    scratch::{Scratch, sweep},
    table::{Row, Table},
    wire::{STATUS, Status, connect},
};
use crate::{
    exit::{Code, Failure},
    output::Output,
};

/// How often a part that has ended is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const DRAW_EVERY: Duration = Duration::from_millis(250);
const KILL_EVERY: Duration = Duration::from_millis(500);
/// A part that ends this often in a row without living for a second has something wrong that no restart mends.
const MAX_QUICK_ENDS: u32 = 50;

struct Part {
    name: String,
    arguments: Vec<String>,
    child: Child,
    started: Instant,
    restarts: u32,
    quick_ends: u32,
}

struct Demo {
    scratch: Scratch,
    parts: Vec<Part>,
    log: fs::File,
}

impl Drop for Demo {
    fn drop(&mut self) {
        for part in &mut self.parts {
            // It may have ended by itself.
            let _ = part.child.kill();
            let _ = part.child.wait();
        }
    }
}

pub(super) fn run(seconds: Option<f64>, chaos: bool, output: &Output) -> Result<(), Failure> {
    if seconds.is_some_and(|seconds| !(seconds > 0.0 && seconds <= 86_400.0)) {
        return Err(Failure::usage("--seconds: expected more than 0 and at most 86400"));
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    // Before anything is started, so that whoever sees a part may end the demo. A terminal that is closed ends it, too.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let mut demo = Demo::start()?;
    let client = connect(demo.scratch.path(), "supervisor", false)?;
    let mut news = client.subscribe(format!("{STATUS}.*"))?;
    output.note("A broker, two banks, an auditor and a client. Kill any of them: kill -9 PID. Ctrl-C ends.\n");
    for part in &demo.parts {
        tell(part, "runs", output);
    }
    let begun = Instant::now();
    let end = seconds.map(|seconds| begun + Duration::from_secs_f64(seconds));
    let (mut table, mut statuses) = (Table::default(), HashMap::new());
    let (mut drawn, mut killed, mut victim) = (begun, begun, 0);
    while !interrupted.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
        demo.revive(output)?;
        listen(&mut news, &mut statuses);
        if chaos && killed.elapsed() >= KILL_EVERY {
            killed = Instant::now();
            let parts = demo.parts.len();
            // It may have ended just now; then there is nothing to kill.
            let _ = demo.parts[victim % parts].child.kill();
            victim += 1;
        }
        if output.is_watched() && drawn.elapsed() >= DRAW_EVERY {
            drawn = Instant::now();
            let footer = format!("{:.0} s; the books are checked at the end", begun.elapsed().as_secs_f64());
            table.draw(&demo.rows(), &statuses, &footer, output.has_colour_for_messages());
        }
        thread::sleep(LOOK_EVERY);
    }
    listen(&mut news, &mut statuses);
    demo.close(begun.elapsed(), output)
}

/// Names a process to whoever wants to kill it. On a terminal the table does.
fn tell(part: &Part, what: &str, output: &Output) {
    if !output.is_watched() {
        output.note(&format!("{} {what}, PID {}", part.name, part.child.id()));
    }
}

fn listen(news: &mut Subscription, statuses: &mut HashMap<String, Status>) {
    while let Some(message) = news.try_next() {
        let part = message.subject.as_str().rsplit('.').next().unwrap_or_default().to_owned();
        if let Ok(status) = serde_json::from_slice(&message.payload) {
            statuses.insert(part, status);
        }
    }
}

impl Demo {
    fn start() -> Result<Self, Failure> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let scratch = Scratch::new(&parent)?;
        let directory = scratch.path();
        let port = free_port()?;
        fs::write(directory.join("port"), port.to_string())?;
        let log = fs::File::create(directory.join("log"))?;
        let part = |kind: &str, index: usize| {
            let place = directory.display().to_string();
            ["demo", "--part", kind, "--directory", &place, "--index", &index.to_string()].map(str::to_owned).to_vec()
        };
        let plan = [
            ("broker", part("broker", 0)),
            ("bank-1", part("bank", 1)),
            ("bank-2", part("bank", 2)),
            ("auditor", part("auditor", 0)),
            ("client", part("client", 0)),
        ];
        let mut demo = Self { scratch, parts: Vec::new(), log };
        for (name, arguments) in plan {
            let child = demo.spawn(&arguments)?;
            demo.parts.push(Part {
                name: name.to_owned(),
                arguments,
                child,
                started: Instant::now(),
                restarts: 0,
                quick_ends: 0,
            });
        }
        Ok(demo)
    }

    fn spawn(&self, arguments: &[String]) -> io::Result<Child> {
        let log = self.log.try_clone()?;
        Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
    }

    /// Starts again every part that has ended.
    fn revive(&mut self, output: &Output) -> Result<(), Failure> {
        for index in 0..self.parts.len() {
            let part = &mut self.parts[index];
            if part.child.try_wait()?.is_none() {
                continue;
            }
            part.quick_ends = if part.started.elapsed() < Duration::from_secs(1) { part.quick_ends + 1 } else { 0 };
            if part.quick_ends > MAX_QUICK_ENDS {
                let log = fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                let text = format!("'{}' ends as soon as it is started; it said: {}", part.name, last.join(" | "));
                return Err(Failure::new(Code::Failure, "demo", text));
            }
            let arguments = part.arguments.clone();
            let child = self.spawn(&arguments)?;
            let part = &mut self.parts[index];
            (part.child, part.started, part.restarts) = (child, Instant::now(), part.restarts + 1);
            tell(part, "was started again", output);
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        let row = |part: &Part| Row { part: part.name.clone(), pid: part.child.id(), restarts: part.restarts };
        self.parts.iter().map(row).collect()
    }

    /// Stops every part and checks the books.
    fn close(mut self, ran: Duration, output: &Output) -> Result<(), Failure> {
        for part in &mut self.parts {
            let _ = part.child.kill();
            part.child.wait()?;
        }
        let mut ledger = Ledger::open(&self.scratch.path().join("ledger"))?;
        ledger.refresh()?;
        let answered = answered(self.scratch.path())?;
        let mut faults = ledger.faults(&answered);
        if ledger.len() == 0 {
            faults.push("not one transfer was made".to_owned());
        }
        let restarts: u32 = self.parts.iter().map(|part| part.restarts).sum();
        let value = json!({
            "seconds": ran.as_secs_f64(), "transfers": ledger.len(), "answered": answered.len(), "restarts": restarts,
            "balanced": faults.is_empty(), "faults": faults,
        });
        output.data(&value, || {
            let verdict = if faults.is_empty() { "the books balance" } else { "THE BOOKS DO NOT BALANCE" };
            let text = format!(
                "{} transfers, {} answered, {restarts} processes started again in {:.1} s: {verdict}\n",
                ledger.len(),
                answered.len(),
                ran.as_secs_f64()
            );
            text.into_bytes()
        })?;
        if faults.is_empty() { Ok(()) } else { Err(Failure::new(Code::Failure, "unbalanced", faults.join("; "))) }
    }
}

/// The ids whose answers the client has seen. A last line without an end was not noted before the kill.
fn answered(directory: &Path) -> io::Result<HashSet<String>> {
    match fs::read_to_string(directory.join("answered")) {
        Ok(text) => {
            Ok(text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(HashSet::new()),
        Err(error) => Err(error),
    }
}

/// A port nobody listens on now. The broker takes it a moment later, again and again.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
