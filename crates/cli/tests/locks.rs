//! `crosstie lock` and `crosstie locks` as a shell meets them, and what `shm trace` and `shm gc` say of processes that are killed with a lock.

mod place;
mod terminal;

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crosstie::shm::{Error, Mutex};
use place::Place;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(60);

/// A shell that runs a command under the lock `backup`, and what is seen of it.
trait Backup {
    fn lock(&self) -> Value;
    fn count(&self) -> usize;
    fn shell(&self) -> Shell;
    fn holder(&self) -> Shell;
    fn waiter(&self) -> Shell;
}

impl Backup for Place {
    /// The one lock that there is.
    fn lock(&self) -> Value {
        let mut locks = self.json(&["locks"]);
        assert_eq!(locks.len(), 1, "{locks:?}");
        locks.remove(0)
    }

    fn count(&self) -> usize {
        std::fs::read_dir(&self.segments).unwrap().count()
    }

    /// A process that waits for the lock `backup`, and once it has it until its standard input ends.
    fn shell(&self) -> Shell {
        let mut command =
            self.crosstie(&["lock", "backup", "--json", "--", "sh", "-c", "echo has it; read line || true"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Shell { child, lines }
    }

    fn holder(&self) -> Shell {
        let mut shell = self.shell();
        shell.has_it();
        shell
    }

    /// One that waits, and is seen to.
    fn waiter(&self) -> Shell {
        let shell = self.shell();
        until("it waits for the lock", || self.lock()["waiters"][0]["who"]["pid"] == shell.child.id());
        shell
    }
}

struct Shell {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Shell {
    fn has_it(&mut self) {
        assert_eq!(self.lines.next().unwrap().unwrap(), "has it");
    }

    /// Lets the command come to its end; what the last line says.
    fn finish(mut self) -> Value {
        drop(self.child.stdin.take());
        let told = serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap();
        self.child.wait().unwrap();
        told
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It has ended, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "waited in vain until {what}");
    }
}

#[test]
fn locks_names_the_holder_and_the_waiters_of_a_blocked_shell() {
    let place = Place::new();
    assert_eq!(place.json(&["locks"]), [Value::Null; 0]);
    let holder = place.holder();
    let lock = place.lock();
    assert_eq!((&lock["segment"], &lock["kind"], &lock["waiters"]), (&"backup".into(), &"mutex".into(), &json!([])));

    let mut waiter = place.waiter();
    let lock = place.lock();
    let (has, waits) = (&lock["holders"][0], &lock["waiters"][0]);
    assert_eq!((&has["who"]["pid"], &has["who"]["life"]), (&holder.child.id().into(), &"alive".into()));
    assert_eq!((&has["who"]["name"], &waits["who"]["name"]), (&"crosstie lock sh".into(), &"crosstie lock sh".into()));
    assert!(has["since"].is_string() && waits["since"].is_string(), "{lock}");
    let text = place.text(&["locks", "backup"]);
    let row = text.lines().nth(1).unwrap();
    let both = [&holder, &waiter].map(|shell| row.find(&format!("crosstie lock sh pid {}", shell.child.id())));
    assert!(both[0].is_some() && both[0] < both[1], "{text}");

    let told = holder.finish();
    assert_eq!((&told["token"], &told["recovered"], &told["code"]), (&1.into(), &Value::Null, &0.into()));
    waiter.has_it();
    let told = waiter.finish();
    assert!(told["token"] == 2 && told["waited_seconds"].as_f64() > Some(0.0), "{told}");
    let lock = place.lock();
    assert_eq!((&lock["holders"], &lock["commits"], &lock["recoveries"]), (&json!([]), &2.into(), &0.into()));
    assert!(place.text(&["locks"]).contains("nobody"));
}

#[test]
fn a_killed_holder_is_shown_dead_and_the_next_is_told() {
    let place = Place::new();
    let mut holder = place.holder();
    holder.kill();
    let lock = place.lock();
    assert_eq!((&lock["holders"][0]["who"]["life"], &lock["recoveries"]), (&"dead".into(), &0.into()));
    assert!(place.text(&["locks"]).contains(" (dead)"));
    // The heir may well take the dead one's place, and still names it.
    let pid = holder.child.id();
    let told = place.run(&["lock", "backup", "--", "true"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains(&format!("(pid {pid}) ended while it held the lock")), "{told}");
    let mut holder = place.holder();
    holder.kill();
    let heir = place.holder();
    assert_eq!(place.lock()["holders"][0]["who"]["pid"], heir.child.id());
    let told = heir.finish();
    assert_eq!((&told["recovered"]["deaths"], &told["token"]), (&1.into(), &4.into()));
    // It is told once.
    assert_eq!(place.holder().finish()["recovered"], Value::Null);
}

#[test]
fn trace_shows_how_a_killed_shell_came_by_its_lock() {
    let place = Place::new();
    let holder = place.holder();
    let mut victim = place.waiter();
    holder.finish();
    victim.has_it();
    victim.kill();
    let pid = victim.child.id();
    let all = place.json(&["shm", "trace", "backup"]);
    let acts: Vec<_> = all.iter().filter(|line| line["pid"] == pid).collect();
    assert!(acts.iter().all(|line| line["name"] == "crosstie lock sh" && line["life"] == "dead"), "{acts:?}");
    let told: Vec<_> = acts.iter().map(|line| line["act"].as_str().unwrap()).collect();
    assert_eq!(told, ["joined", "began to wait for a lock", "got a lock"]);
    let text = place.text(&["shm", "trace", "backup", "--last", "1"]);
    assert!(text.lines().any(|line| line.contains(&format!("dead  {pid}")) && line.ends_with("lock 0")), "{text}");
}

#[test]
fn gc_after_killing_holder_and_waiters_leaves_the_directory_empty() {
    let place = Place::new();
    let mut shells = [place.holder(), place.waiter()];
    // The control: what is in use stays.
    let kept = place.json(&["shm", "gc"]);
    assert_eq!((&kept[0]["outcome"], &kept[0]["why"]), (&"kept".into(), &"2 live participants".into()));
    assert_eq!(place.count(), 1);
    // The waiter first: it would clear up after the holder.
    shells.iter_mut().rev().for_each(Shell::kill);
    let swept = place.json(&["shm", "gc"]);
    assert_eq!((&swept[0]["outcome"], swept[0]["recovered_slots"].as_array().unwrap().len()), (&"removed".into(), 2));
    assert_eq!(place.count(), 0);
    assert_eq!(place.json(&["locks"]), [Value::Null; 0]);
}

#[test]
fn a_signal_is_for_the_command_and_the_lock_is_held_until_that_has_ended() {
    let place = Place::new();
    let script = "trap 'read line; echo cleaned; exit 9' TERM; echo has it; while :; do sleep 0.05; done";
    let mut command = place.crosstie(&["lock", "backup", "--", "sh", "-c", script]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut holder = Shell { child, lines };
    holder.has_it();
    let pid = rustix::process::Pid::from_child(&holder.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    // It clears up, as long as it likes, and nobody else gets the lock meanwhile.
    let late = place.run(&["lock", "backup", "--timeout", "300ms", "--", "true"]);
    assert_eq!(late.status.code(), Some(7), "{late:?}");
    drop(holder.child.stdin.take());
    assert_eq!(holder.lines.next().unwrap().unwrap(), "cleaned");
    assert_eq!(holder.child.wait().unwrap().code(), Some(9));
    assert_eq!(place.run(&["lock", "backup", "--timeout", "30s", "--", "true"]).status.code(), Some(0));
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    let place = Place::new();
    let code = |words: &[&str]| place.run(&[&["lock", "backup", "--"], words].concat()).status.code();
    assert_eq!(code(&["sh", "-c", "exit 9"]), Some(9));
    assert_eq!(code(&["sh", "-c", "kill -KILL $$"]), Some(137));
    assert_eq!(code(&["/no/such/command"]), Some(127));
    assert_eq!(code(&["/"]), Some(126));
}

/// A lock has places for so many; whoever comes beyond that waits for one as it waits for the lock.
#[test]
fn more_may_come_for_a_lock_than_it_has_places() {
    let place = Place::new();
    let holder = place.holder();
    let (directory, name) = (place.directory(), "backup".parse().unwrap());
    let mut places = Vec::new();
    let full = loop {
        match Mutex::<u64>::open(&directory, &name) {
            Ok(mutex) => places.push(mutex),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::Full { slots: 32, .. }), "{full}");
    place.told(&["lock", "backup", "--timeout", "50ms", "--", "true"], 7, "32 participants");

    let mut late = place.shell();
    let mut notes = BufReader::new(late.child.stderr.take().unwrap()).lines();
    let note = notes.next().unwrap().unwrap();
    assert!(note.contains("all 32 places are taken"), "{note}");
    drop((places, holder));
    late.has_it();
    assert_eq!(late.finish()["code"], 0);
}

#[test]
fn a_limit_of_the_length_of_files_is_told_and_kills_nobody() {
    let place = Place::new();
    let limited = |blocks: &str| {
        let mut shell = Command::new("sh");
        let script = "ulimit -f $1 && exec \"$0\" lock backup -- echo alone";
        shell.args(["-c", script, env!("CARGO_BIN_EXE_crosstie"), blocks]).env("CROSSTIE_DIR", &place.segments);
        shell.output().unwrap()
    };
    let refused = limited("8");
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(7), "{:?} {text}", refused.status);
    assert!(text.contains("ulimit -f") && text.contains("286720 bytes"), "{text}");
    assert_eq!(place.count(), 0);
    assert_eq!(limited("unlimited").stdout, b"alone\n");
}

#[test]
fn watch_shows_locks_as_they_come_and_go() {
    let place = Place::new();
    let holder = place.holder();
    let mut watch = place.crosstie(&["locks", "backup", "--watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let first = next();
    assert_eq!(first["holders"][0]["who"]["pid"], holder.child.id());
    assert!(first["time"].is_string(), "{first}");
    let waiter = place.waiter();
    until("the waiter is shown", || next()["waiters"][0]["who"]["pid"] == waiter.child.id());
    drop(holder);
    until("the waiter has it", || next()["holders"][0]["who"]["pid"] == waiter.child.id());
    // Nobody reads any more: it ends without a word, as every filter does.
    drop(lines);
    assert!(watch.wait().unwrap().success());

    let mut watch = place.crosstie(&["locks", "--watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let shown: Vec<_> = lines.map(Result::unwrap).filter(|line| line.starts_with("backup ")).take(2).collect();
    assert!(shown.iter().all(|line| line.contains(&waiter.child.id().to_string())), "{shown:?}");
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn a_command_runs_alone_and_its_end_is_told() {
    let place = Place::new();
    assert_eq!(place.text(&["lock", "backup", "--", "sh", "-c", "echo $CROSSTIE_FENCING_TOKEN"]), "1\n");
    let output = place.run(&["lock", "backup", "--json", "--", "sh", "-c", "exit 3"]);
    let shown = place.text(&["shm", "show", "backup"]);
    assert!(shown.contains("\nvalue (committed 2 times)\n2\n"), "a bare number has no name: {shown}");
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&line["lock"], &line["code"], output.status.code()), (&"backup".into(), &3.into(), Some(3)));
    assert!(output.stderr.is_empty(), "the command speaks for itself: {output:?}");

    let told = |words: &[&str], code: i32, text: &str| place.told(words, code, text);
    told(&["lock", "backup", "--", "/nowhere/to/be/found"], 127, "expected a command that can be run");
    told(&["lock", "Backup", "--", "true"], 2, "'B' is not allowed");
    told(&["lock", "backup"], 2, "required");
    // Whatever stands behind the name is the command, with or without dashes before it.
    assert_eq!(place.run(&["lock", "backup", "sh", "-c", "exit 42"]).status.code(), Some(42));
    told(&["locks", "nobody"], 3, "expected a segment 'nobody', found none");
    told(&["locks", "No"], 2, "'N' is not allowed");
    let holder = place.holder();
    let who =
        format!("lock 'backup' was not free within 20ms: 'crosstie lock sh' (pid {}) holds it", holder.child.id());
    told(&["lock", "backup", "--timeout", "20ms", "--", "false"], 7, &who);
    let output = place.run(&["lock", "backup", "--timeout", "1ms", "--json", "--", "false"]);
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&error["error"]["kind"], &error["error"]["exit_code"]), (&"locked".into(), &7.into()));
}

#[test]
fn since_when_a_shell_holds_a_lock_is_told_though_nobody_waits() {
    let place = Place::new();
    let holder = place.holder();
    let text = place.text(&["locks"]);
    let row = text.lines().nth(1).unwrap();
    let who = format!("crosstie lock sh pid {} [1.1]  ", holder.child.id());
    let held_for = row.split(&who).nth(1).unwrap_or_else(|| panic!("{text}"));
    let held_for = held_for.split_whitespace().next().unwrap();
    assert!(held_for.starts_with(|sign: char| sign.is_ascii_digit()) && held_for.ends_with('s'), "{text}");
    assert!(place.lock()["holders"][0]["since"].is_string());
}

#[test]
fn a_holder_that_looked_at_no_clock_is_shown_with_a_dash_and_help_says_why() {
    let place = Place::new();
    let mutex = Mutex::open_or_create(&place.directory(), &"fast".parse().unwrap(), 0_u64).unwrap();
    let _guard = mutex.try_lock().unwrap().into_guard();
    let text = place.text(&["locks"]);
    assert!(text.lines().nth(1).unwrap().contains("[1.1]  -  "), "{text}");
    assert_eq!(place.lock()["holders"][0]["since"], Value::Null);
    assert!(place.text(&["locks", "--help"]).contains("FOR is - where it is not known"));
}

#[test]
fn locks_fit_a_terminal_of_80_columns_and_wide_shows_everything() {
    let place = Place::new();
    let (holder, waiter) = (place.holder(), place.waiter());
    let shown = place.shown(80, &["locks"]);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    // On several lines, but all of it.
    for shell in [&holder, &waiter] {
        assert!(shown.contains(&shell.child.id().to_string()), "{shown}");
    }
    let wide = place.shown(80, &["locks", "--wide"]);
    assert!(wide.lines().count() == 2 && wide.contains("TAKEN") && wide.contains("DEATHS"), "{wide}");
    assert!(wide.lines().any(|line| line.chars().count() > 80), "{wide}");
}
