//! `crosstie pipe` as a shell meets it: joins of every pair of schemes, ends that are told apart, limits, proxies.

mod shell;
mod terminal;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

use crosstie_testkit::joins::{Joins, SCHEMES};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use shell::{LONG, Running, crosstie, run, text, until};
use terminal::terminal;

const CROSSTIE: &str = env!("CARGO_BIN_EXE_crosstie");

/// A program that says nothing for long, and holds nothing open that a test waits for.
const SLEEPS: &str = "exec:sh -c 'exec sleep 20 2>/dev/null'";

/// A command that runs on, with what it says on standard error.
fn start(command: &mut Command) -> (Running, BufReader<ChildStderr>) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let words = BufReader::new(child.stderr.take().unwrap());
    (Running(child), words)
}

fn line(words: &mut impl BufRead) -> String {
    let mut line = String::new();
    words.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The address in "listening on ADDRESS".
fn listening(words: &mut impl BufRead) -> String {
    let said = line(words);
    said.strip_prefix("listening on ").unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// Its exit code and the rest of what it says.
fn ended(mut child: Running, mut words: impl Read) -> (Option<i32>, String) {
    let mut said = String::new();
    words.read_to_string(&mut said).unwrap();
    (child.0.wait().unwrap().code(), said)
}

fn url(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[test]
fn every_pair_of_schemes_is_joined_byte_for_byte() {
    let joins = Joins::new(Path::new(CROSSTIE), 1024 * 1024).unwrap();
    let mut count = 0;
    joins.run(|_| count += 1).unwrap();
    assert_eq!(count, SCHEMES.len() * SCHEMES.len());
}

#[test]
fn control_a_join_that_changes_a_byte_is_seen() {
    // A program that stands for the command and turns capitals into small letters.
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("changes");
    fs::write(&script, "#!/bin/sh\nexec tr A-Z a-z\n").unwrap();
    let runs = run(Command::new("chmod").arg("+x").arg(&script));
    assert!(runs.status.success());
    let why = Joins::new(&script, 100_000).unwrap().join("fd", "fd", &[]).unwrap_err();
    assert!(why.contains("other bytes came"), "{why}");
}

#[test]
fn the_end_of_one_direction_is_passed_on_and_the_other_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let server = UnixListener::bind(&socket).unwrap();
    let mut pipe = crosstie(&["pipe", "tcp://:0", &url(&socket), "--once"]);
    let (child, mut words) = start(&mut pipe);
    let mut client = TcpStream::connect(listening(&mut words).strip_prefix("tcp://").unwrap()).unwrap();
    client.write_all(b"question").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let (mut served, _) = server.accept().unwrap();
    let mut question = String::new();
    // This returns only once the end has come.
    served.read_to_string(&mut question).unwrap();
    served.write_all(b"answer").unwrap();
    drop(served);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
    assert_eq!(ended(child, words), (Some(0), String::new()));
}

#[test]
fn how_it_ended_is_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = url(&folder.path().join("nobody"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("tcp://{}", silent.local_addr().unwrap());
    for (a, b, more, code, said) in [
        ("exec:echo a", "exec:cat", None, 0, ""),
        (SLEEPS, "exec:true", Some("--linger=0s"), 0, ""),
        ("-", nobody.as_str(), None, 3, "b: cannot connect to"),
        (
            "exec:sh -c 'exit 9'",
            "exec:cat",
            None,
            6,
            "a (exec:sh -c 'exit 9'): the program has failed (exit status: 9)",
        ),
        (SLEEPS, silent.as_str(), Some("--idle=50ms"), 5, "nothing came for 50ms"),
        ("listen:tcp://0.0.0.0:0", "exec:cat", None, 4, "?insecure"),
        ("mem:a", "-", None, 2, "inside one process"),
        ("-", "-", None, 2, "both"),
        ("-", "exec:head -c 1", None, 0, ""),
        ("exec:yes", "exec:head -c 1", None, 8, "it has not taken all"),
        ("tcp://:0", "exec:cat", Some("--tee=/tmp/x"), 2, "{{count}}"),
        ("listen:exec:cat", "-", None, 2, "listener"),
    ] {
        let output = run(crosstie(&["pipe", a, b]).args(more));
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{a} {b}: {told}");
        assert!(told.contains(said) && (code == 0) == told.is_empty(), "{a} {b}: {told}");
    }
}

/// A pipe from `a`, whose writer is another process and is killed in the middle, to standard output.
fn with_a_writer_who_is_killed(at: &str, folder: &Path) -> (Option<i32>, String) {
    let with_place = |command: &mut Command| {
        command.env("CROSSTIE_DIR", folder.join("segments")).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut child =
        Running(with_place(crosstie(&["pipe", &format!("listen:{at}"), "-", "--once"]).stderr(Stdio::piped())));
    let mut words = BufReader::new(child.0.stderr.take().unwrap());
    let to = listening(&mut words);
    let mut writer = with_place(crosstie(&["pipe", "-", &to]).stdin(Stdio::piped()));
    // Its input stays open: it is killed before it has ended anything.
    writer.stdin.as_mut().unwrap().write_all(b"half a message").unwrap();
    let mut came = [0; 14];
    child.0.stdout.as_mut().unwrap().read_exact(&mut came).unwrap();
    writer.kill().unwrap();
    writer.wait().unwrap();
    ended(child, words)
}

#[test]
fn a_writer_who_is_killed_in_the_middle_is_told_from_one_who_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = with_a_writer_who_is_killed("shm:killed", folder.path());
    assert!(code == Some(8) && said.contains("a (listen:shm:killed): the process"), "{code:?} {said}");
    let (code, said) = with_a_writer_who_is_killed(&url(&folder.path().join("s")), folder.path());
    // Only Linux 6.15 and later tell how somebody else's child has ended.
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) >= (Some(6), Some(15)) {
        assert!(code == Some(8) && said.contains("was killed (signal: 9"), "{code:?} {said}");
    }
}

#[test]
fn control_a_writer_who_ends_in_order_is_not_called_dead() {
    let folder = tempfile::tempdir().unwrap();
    for at in ["shm:orderly".to_owned(), url(&folder.path().join("s"))] {
        let place = |command: &mut Command| {
            command.env("CROSSTIE_DIR", folder.path().join("segments"));
        };
        let (from, to) = (format!("listen:{at}"), "-");
        let mut receiver = crosstie(&["pipe", &from, to, "--once"]);
        place(receiver.stdout(Stdio::null()));
        let (child, mut words) = start(&mut receiver);
        let mut writer = crosstie(&["pipe", "exec:echo all", &listening(&mut words)]);
        place(&mut writer);
        assert_eq!(run(&mut writer).status.code(), Some(0));
        assert_eq!(ended(child, words), (Some(0), String::new()));
    }
}

#[test]
fn a_reader_who_is_killed_in_the_middle_is_named_with_its_side() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let mut reader = crosstie(&["pipe", &format!("listen:{}", url(&socket)), "-", "--once", "--rate", "1MB"]);
    let mut reader = reader.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    listening(&mut BufReader::new(reader.stderr.take().unwrap()));
    let mut writer = crosstie(&["pipe", "exec:yes", &url(&socket), "--json"]);
    let (child, words) = start(writer.stdout(Stdio::piped()));
    reader.stdout.as_mut().unwrap().read_exact(&mut [0; 1000]).unwrap();
    kill_process(Pid::from_child(&reader), Signal::KILL).unwrap();
    reader.wait().unwrap();
    let mut child = child;
    let mut totals = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut totals).unwrap();
    let (code, said) = ended(child, words);
    assert_eq!(code, Some(8), "{said}");
    let error: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(error["error"]["kind"], "peer_died");
    let totals: Value = serde_json::from_str(&totals).unwrap();
    assert_eq!((&totals["ended"], &totals["side"]), (&"peer_died".into(), &"b".into()));
}

#[test]
fn a_connection_that_is_reset_is_lost_and_nobody_is_called_dead() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("tcp://{}", server.local_addr().unwrap());
    let (child, words) = start(crosstie(&["pipe", "exec:yes", &to]).stdout(Stdio::null()));
    let (served, _) = server.accept().unwrap();
    // What has come and was not read makes a reset of the end.
    until("something comes", || served.peek(&mut [0]).unwrap() > 0);
    drop(served);
    let (code, said) = ended(child, words);
    assert!(code == Some(9) && said.contains(&format!("b ({to}): ")), "{code:?} {said}");
}

#[test]
fn a_program_whose_output_nobody_reads_ends_without_a_word() {
    let mut child = crosstie(&["pipe", "exec:yes", "-"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let words = child.stderr.take().unwrap();
    assert_eq!(ended(Running(child), words), (Some(0), String::new()));
}

#[test]
fn output_that_does_not_fit_anywhere_is_a_failure() {
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap());
    for (json, code) in [(false, Some(1)), (true, Some(1))] {
        let mut command = crosstie(&["pipe", "exec:seq 1000", "-"]);
        if json {
            command.arg("--json");
        }
        let output = command.stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), code, "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("No space left"), "{}", text(&output.stderr));
    }
    let folder = tempfile::tempdir().unwrap();
    let at = url(&folder.path().join("s"));
    let mut listen = crosstie(&["listen", &at, "--once"]);
    let (child, mut words) = start(listen.stdin(Stdio::null()).stdout(full()));
    let at = listening(&mut words);
    let _ = run(&mut crosstie(&["pipe", "exec:seq 1000", &at]));
    let (code, said) = ended(child, words);
    assert!(code == Some(1) && said.contains("standard output: No space left"), "{code:?} {said}");
    let output = crosstie(&["completions", "bash"]).stdout(full()).output().unwrap();
    assert!(text(&output.stderr).contains("standard output: No space left"), "{}", text(&output.stderr));
    // The control: what fits is no failure.
    assert!(run(&mut crosstie(&["pipe", "exec:seq 1000", "-"])).status.success());
}

#[test]
fn a_rate_is_kept_and_told() {
    let begun = Instant::now();
    let output = run(&mut crosstie(&[
        "--json",
        "pipe",
        "exec:head -c 100000 /dev/zero",
        "exec:sh -c 'cat >/dev/null'",
        "--rate",
        "200kB",
    ]));
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    let totals: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&totals["a_to_b"], &totals["rate_limit"]), (&100_000.into(), &200_000.into()));
    assert!(totals["bytes_per_second"].as_u64().unwrap() <= 260_000, "{totals}");
    // The control: without it the same goes at once.
    let begun = Instant::now();
    run(&mut crosstie(&["pipe", "exec:head -c 100000 /dev/zero", "exec:sh -c 'cat >/dev/null'"]));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn copies_of_each_direction_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let [there, back] = ["there", "back"].map(|name| folder.path().join(name).display().to_string());
    let words = ["pipe", "exec:echo Hello", "exec:tr a-z A-Z", "--tee", &there, "--tee-back", &back];
    assert_eq!(run(&mut crosstie(&words)).status.code(), Some(0));
    assert_eq!(
        (fs::read_to_string(&there).unwrap().as_str(), fs::read_to_string(&back).unwrap().as_str()),
        ("Hello\n", "HELLO\n")
    );
    let output = run(&mut crosstie(&["pipe", "exec:yes", "exec:cat", "--tee", "/dev/full"]));
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("--tee: "), "{output:?}");
}

#[test]
fn a_proxy_serves_many_and_those_beyond_its_limit_wait() {
    let folder = tempfile::tempdir().unwrap();
    let tee = folder.path().join("{{count}}").display().to_string();
    let words = ["pipe", "tcp://:0", "exec:tr a-z A-Z", "--connections", "2", "--tee", &tee];
    let (child, mut said) = start(&mut crosstie(&words));
    let address = listening(&mut said).strip_prefix("tcp://").unwrap().to_owned();
    let begin = |word: &str| {
        let mut client = TcpStream::connect(&address).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.write_all(word.as_bytes()).unwrap();
        client
    };
    let finish = |mut client: TcpStream| {
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    };
    let clients = ["first", "second"].map(begin);
    for number in 1..=2 {
        assert!(line(&mut said).starts_with(&format!("connection {number} from 127.0.0.1:")));
    }
    // There is no place for a third: it comes in when one has ended.
    let third = begin("third");
    assert_eq!(clients.map(finish), ["FIRST", "SECOND"]);
    assert_eq!(finish(third), "THIRD");
    kill_process(Pid::from_child(&child.0), Signal::TERM).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let third = rest.find("connection 3 from").unwrap_or_else(|| panic!("{rest}"));
    assert!(rest[..third].contains("5 B from a to b") || rest[..third].contains("6 B from a to b"), "{rest}");
    assert_eq!(fs::read_to_string(folder.path().join("3")).unwrap(), "third");
}

#[test]
fn whoever_waits_for_its_second_stays_when_others_end() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    let (_pipe, mut words) = start(&mut crosstie(&["pipe", &listens(&a), &listens(&b)]));
    for at in [&a, &b] {
        assert_eq!(listening(&mut words), url(at));
    }
    let first = [&a, &b].map(|at| UnixStream::connect(at).unwrap());
    assert!(line(&mut words).starts_with("connection 1 "));
    let mut waiting = UnixStream::connect(&a).unwrap();
    waiting.write_all(b"still here").unwrap();
    drop(first);
    assert!(line(&mut words).starts_with("connection 1: "));
    let mut second = UnixStream::connect(&b).unwrap();
    let mut came = [0; 10];
    second.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"still here");
}

fn listens(at: &Path) -> String {
    format!("listen:{}", url(at))
}

#[test]
fn a_copy_that_nobody_reads_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    rustix::fs::mkfifoat(rustix::fs::CWD, &copy, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let tee = ["pipe", "exec:echo a", "exec:cat", "--tee", copy.to_str().unwrap()];
    let output = run(&mut crosstie(&tee));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nobody reads this named pipe"), "{}", text(&output.stderr));
    // Where somebody has it open and reads nothing, a signal ends the command all the same.
    let reader = fs::File::options().read(true).write(true).open(&copy).unwrap();
    let (mut child, _words) = start(crosstie(&["pipe", "exec:yes", "exec:cat", tee[3], tee[4]]).stdout(Stdio::null()));
    let fed = || rustix::io::ioctl_fionread(&reader).unwrap() >= 32_768;
    until("the copy fills up", fed);
    kill_process(Pid::from_child(&child.0), Signal::TERM).unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.0.wait().unwrap()), Some(15));
}

#[test]
fn a_listener_that_is_interrupted_leaves_no_socket_and_ends_by_the_signal() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let (mut child, mut words) = start(&mut crosstie(&["pipe", &format!("listen:{}", url(&socket)), "exec:cat"]));
    listening(&mut words);
    // Somebody is being served meanwhile.
    let _client = UnixStream::connect(&socket).unwrap();
    line(&mut words);
    kill_process(Pid::from_child(&child.0), Signal::TERM).unwrap();
    let status = child.0.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A pipe between two endless ends, with standard error on a terminal or not.
/// A proxy whose client is cut off by a seed: how it ended, and what its fault log says.
fn a_faulty_proxy(folder: &Path, seed: u32) -> (Option<i32>, String, String) {
    let log = folder.join("faults");
    let from = format!("tcp://:0?fault=seed:{seed},short:50%,cut:2%");
    let mut command = crosstie(&["pipe", &from, "exec:sh -c 'exec cat > /dev/null'", "--once"]);
    command.env("CROSSTIE_ALLOW_FAULTS", "1").env("CROSSTIE_FAULT_LOG", &log);
    let (child, mut words) = start(&mut command);
    let at = listening(&mut words);
    let mut client = TcpStream::connect(at.strip_prefix("tcp://").unwrap()).unwrap();
    client.write_all(&[7; 8 << 20]).expect_err("it is cut off");
    let (code, said) = ended(child, words);
    let lines = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    (code, said, lines)
}

#[test]
fn a_proxy_makes_the_faults_that_its_end_asks_for_and_writes_them_down() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said, log) = a_faulty_proxy(folder.path(), 42);
    assert_eq!(code, Some(9), "{said}");
    assert!(said.contains("cut on purpose by fault= (1 in "), "{said}");
    assert!(log.starts_with("# fault=seed:42,cut:2%,short:50% at tcp://127.0.0.1:0\n"), "{log}");
    assert!(log.contains(" short ") && log.lines().last().unwrap().contains(" cut "), "{log}");
    assert_eq!(a_faulty_proxy(folder.path(), 42).2, log, "the same again");
    // The controls.
    assert_ne!(a_faulty_proxy(folder.path(), 43).2.replace("seed:43", "seed:42"), log);
    let refused = run(&mut crosstie(&["pipe", "tcp://:0?fault=cut:2%", "-"]));
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("CROSSTIE_ALLOW_FAULTS=1"), "{}", text(&refused.stderr));
}

fn progress(err: Stdio) -> Child {
    crosstie(&["pipe", "exec:yes", "exec:sh -c 'cat >/dev/null'"]).stdout(Stdio::null()).stderr(err).spawn().unwrap()
}

#[test]
fn progress_is_shown_on_a_terminal_alone() {
    let (mut seen, err) = terminal(80);
    let child = Running(progress(Stdio::from(err)));
    let mut shown = Vec::new();
    let begun = Instant::now();
    while !shown.windows(2).any(|bytes| bytes == b"/s") {
        let mut some = [0; 256];
        let count = seen.read(&mut some).unwrap();
        shown.extend_from_slice(&some[..count]);
        assert!(begun.elapsed() < LONG);
    }
    drop(child);
    assert!(text(&shown).contains("from a to b"), "{}", text(&shown));
    let output = run(&mut crosstie(&["pipe", "exec:echo a", "exec:cat"]));
    assert_eq!(text(&output.stderr), "");
}
