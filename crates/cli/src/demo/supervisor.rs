//! The supervisor: starts every part, starts again what ends, and checks the books in the end.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs, io,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crosstie::blocking::Subscription;

use super::{
    accounts::Accounts,
    books::Books,
    place::{Owned, Place},
    reader::Reader,
    table::{Row, Table},
    verdict::Ended,
    wire::{STATUS, Status, connect},
};
use crate::{
    exit::{Code, Failure},
    output::Output,
    scratch::{Scratch, sweep},
};

/// How the directories of demos are named.
const PREFIX: &str = "crosstie-demo-";
/// How often a part that has ended is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// Between two kills, in milliseconds.
const KILL_AFTER: std::ops::Range<u64> = 250..750;
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

/// What the user wants of the demo.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub(super) length: Option<Duration>,
    pub(super) chaos: bool,
    pub(super) is_locked: bool,
}

struct Demo {
    parts: Vec<Part>,
    log: fs::File,
    /// None once it has ended.
    reader: Option<Reader>,
    // In this order: whoever takes part leaves before the segment is removed, and that goes before the directory by which it is found.
    accounts: Accounts,
    place: Owned,
    scratch: Scratch,
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

pub(super) fn run(wish: Wish, output: &Output) -> Result<(), Failure> {
    let Wish { length, chaos, is_locked } = wish;
    let interrupted = Arc::new(AtomicBool::new(false));
    // Before anything is started, so that whoever sees a part may end the demo. A terminal that is closed ends it, too.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let mut demo = Demo::start(is_locked)?;
    let client = connect(demo.scratch.path(), "supervisor", false)?;
    let mut news = client.subscribe(format!("{STATUS}.*"))?;
    output.note("A broker, two banks, an auditor and a client. Kill any of them: kill -9 PID. Ctrl-C ends.");
    if is_locked {
        output.note(&format!(
            "Who has the accounts, and who waits for them: crosstie locks --watch {}",
            demo.place.0.name
        ));
    }
    output.note("");
    for part in &demo.parts {
        tell(part, "runs", output);
    }
    let begun = Instant::now();
    let end = length.map(|length| begun + length);
    let (mut table, mut statuses) = (Table::default(), HashMap::new());
    let (mut drawn, mut next_kill) = (begun, begun + pause());
    while !interrupted.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
        demo.revive(output)?;
        listen(&mut news, &mut statuses);
        if chaos && Instant::now() >= next_kill {
            next_kill = Instant::now() + pause();
            let victim = fastrand::usize(..demo.parts.len());
            // It may have ended just now; then there is nothing to kill.
            let _ = demo.parts[victim].child.kill();
        }
        if output.is_watched() && drawn.elapsed() >= DRAW_EVERY {
            drawn = Instant::now();
            let footer =
                [demo.standing(), format!("{:.0} s; the books are checked at the end", begun.elapsed().as_secs_f64())];
            table.draw(&demo.rows(), &statuses, &footer, output.has_colour_for_messages());
        }
        thread::sleep(LOOK_EVERY);
    }
    listen(&mut news, &mut statuses);
    demo.close(begun.elapsed(), output)
}

/// Until the next kill.
fn pause() -> Duration {
    Duration::from_millis(fastrand::u64(KILL_AFTER))
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
    fn start(is_locked: bool) -> Result<Self, Failure> {
        let parent = std::env::temp_dir();
        sweep(&parent, PREFIX, Place::clear);
        let scratch = Scratch::new(&parent, PREFIX)?;
        let place = Owned(Place::of(scratch.path())?);
        let accounts = Accounts::create(&place.0, is_locked, "supervisor")?;
        let reader = Some(Reader::start(Accounts::open(&place.0, is_locked, "reader")?));
        let directory = scratch.path();
        let port = free_port()?;
        fs::write(directory.join("port"), port.to_string())?;
        let log = fs::File::create(directory.join("log"))?;
        let part = |kind: &str, index: usize| {
            let place = directory.display().to_string();
            let mut words = ["demo", "--part", kind, "--directory", &place, "--index", &index.to_string()]
                .map(str::to_owned)
                .to_vec();
            words.extend((!is_locked).then(|| "--no-locks".to_owned()));
            words
        };
        let plan = [
            ("broker", part("broker", 0)),
            ("bank-1", part("bank", 1)),
            ("bank-2", part("bank", 2)),
            ("auditor", part("auditor", 0)),
            ("client", part("client", 0)),
        ];
        let mut demo = Self { parts: Vec::new(), log, reader, accounts, place, scratch };
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

    /// How the accounts stand, for people.
    fn standing(&self) -> String {
        let Ok(books) = self.accounts.read() else { return "the accounts cannot be read".to_owned() };
        let mut text = format!("accounts: {} transfers", books.transfers);
        if let Accounts::Locked(_) = self.accounts {
            let _ = write!(text, "; {} died with the lock, {} rolled back", books.deaths, books.undone);
        } else {
            let _ = write!(text, " without a lock; {} cents too many", books.sum() - Books::SUM);
        }
        text
    }

    /// Stops every part and checks the books.
    fn close(mut self, ran: Duration, output: &Output) -> Result<(), Failure> {
        for part in &mut self.parts {
            let _ = part.child.kill();
            part.child.wait()?;
        }
        let restarts = self.parts.iter().map(|part| part.restarts).sum();
        let readings = self.reader.take().map(Reader::end).unwrap_or_default();
        let ended = Ended { directory: self.scratch.path(), accounts: &self.accounts, readings, restarts, ran };
        ended.judge(output)
    }
}

/// A port nobody listens on now. The broker takes it a moment later, again and again.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
