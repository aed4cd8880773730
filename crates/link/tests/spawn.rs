//! Children with a channel: messages, exit status, what does not fit, who dies with whom. The children are this program again.

use std::{
    env,
    fs::{self, File},
    io::{Read, Seek, Write},
    process::{Command, exit},
    thread,
    time::{Duration, Instant},
};

use crosstie_core::Kind;
use crosstie_link::{Spawn, Untyped, blocking, given, parent, spawn};
use crosstie_macros::Schema;
use serde::{Deserialize, Serialize};

const LONG: Duration = Duration::from_secs(20);
/// Says what a child is to be.
const ROLE: &str = "SPAWN_TEST_ROLE";

#[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
struct Job {
    number: u32,
    text: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
struct Done {
    number: u32,
    len: u64,
}

/// The same field with another type.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct Undone {
    number: String,
}

fn child(role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "the_child", "--nocapture", "--test-threads", "1"]).env(ROLE, role);
    command.stdout(std::process::Stdio::null());
    command
}

fn job(number: u32) -> Job {
    Job { number, text: "x".repeat(number as usize) }
}

/// What children do; as a test of its own, nothing.
#[test]
fn the_child() {
    match env::var(ROLE).as_deref() {
        Ok("silent") => thread::sleep(LONG),
        Ok("worker") => {
            let mut channel = blocking::parent::<Done, Job>().unwrap();
            while let Ok(received) = channel.recv() {
                let Job { number, text } = received.value;
                if number == 13 {
                    exit(13);
                }
                channel.send(&Done { number, len: text.len() as u64 }).unwrap();
            }
            exit(7);
        }
        Ok("misfit") => {
            let why = blocking::parent::<Undone, Job>().err().unwrap();
            assert_eq!(why.kind(), Kind::Rejected, "{why}");
            thread::sleep(LONG);
        }
        Ok("writer") => {
            let mut channel = blocking::parent::<Untyped<String>, Untyped<u32>>().unwrap();
            let mut file = File::from(given("notes").unwrap());
            file.write_all(b"from the child").unwrap();
            assert!(given("notes").is_err(), "it is there once");
            assert!(given("others").unwrap_err().to_string().contains("others"));
            channel.send(&Untyped("written".to_owned())).unwrap();
            let _ = channel.recv();
        }
        // Starts one that never looks at its channel, says who that is, and waits to be killed.
        Ok(role @ ("keeper" | "leaver")) => {
            let mut channel = blocking::parent::<Untyped<u32>, Untyped<u32>>().unwrap();
            let spawn = Spawn::new(child("stubborn"));
            let spawn = if role == "leaver" { spawn.outlive_parent() } else { spawn };
            // The thread that asks for it ends at once: the child is not to die of that.
            let start = || spawn.start_blocking::<Untyped<u32>, Untyped<u32>>().unwrap();
            let (_line, stubborn) = thread::scope(|scope| scope.spawn(start).join().unwrap());
            thread::sleep(Duration::from_millis(50));
            assert_eq!(stubborn.wait(Duration::ZERO).unwrap(), None, "it lives while its parent does");
            channel.send(&Untyped(stubborn.id())).unwrap();
            thread::sleep(LONG);
        }
        Ok("stubborn") => {
            let _channel = blocking::parent::<Untyped<u32>, Untyped<u32>>().unwrap();
            thread::sleep(LONG);
        }
        _ => {}
    }
}

#[test]
fn a_child_answers_and_its_end_is_known() {
    let (mut channel, worker) = blocking::spawn::<Job, Done>(child("worker")).unwrap();
    for number in 0..10 {
        channel.send(&job(number)).unwrap();
        assert_eq!(channel.recv().unwrap().value, Done { number, len: u64::from(number) });
    }
    assert_eq!(worker.wait(Duration::ZERO).unwrap(), None);
    channel.send(&job(13)).unwrap();
    let error = channel.recv().unwrap_err();
    assert_eq!(error.kind(), Kind::PeerDied, "{error}");
    assert_eq!(worker.wait(LONG).unwrap().and_then(|status| status.code()), Some(13));
    // A channel that is closed is no death: the child ends as it likes.
    let (channel, worker) = blocking::spawn::<Job, Done>(child("worker")).unwrap();
    drop(channel);
    assert_eq!(worker.wait(LONG).unwrap().and_then(|status| status.code()), Some(7));
}

#[tokio::test]
async fn tasks_have_the_same() {
    let (mut channel, worker) = spawn::<Job, Done>(child("worker")).await.unwrap();
    channel.send(&job(3)).await.unwrap();
    assert_eq!(channel.recv().await.unwrap().value, Done { number: 3, len: 3 });
    worker.kill().unwrap();
    let error = channel.recv().await.unwrap_err();
    assert_eq!(error.kind(), Kind::PeerDied, "{error}");
    assert_eq!(worker.wait(LONG).unwrap().and_then(|status| status.code()), None, "it was killed");
    let error = parent::<Job, Done>().await.err().unwrap();
    assert!(error.to_string().contains("not started with a channel"), "{error}");
}

#[test]
fn types_that_do_not_fit_are_told_and_the_child_is_ended() {
    let error = blocking::spawn::<Job, Done>(child("misfit")).err().unwrap();
    assert_eq!(error.kind(), Kind::Rejected, "{error}");
    assert!(error.to_string().contains("number"), "{error}");
    let own = format!("/proc/{0}/task", std::process::id());
    until("the child is ended", || children(&own).iter().all(|pid| !is_role(*pid, "misfit")));
    let error = blocking::spawn::<Job, Done>(Command::new("/nonexistent/worker")).err().unwrap();
    assert!(error.to_string().contains("/nonexistent/worker"), "{error}");
    // One that knows nothing of channels and ends.
    let error = blocking::spawn::<Job, Done>(Command::new("true")).err().unwrap();
    assert_eq!(error.kind(), Kind::PeerDied, "{error}");
}

#[tokio::test]
async fn a_child_that_is_not_waited_for_any_longer_is_ended() {
    let own = format!("/proc/{0}/task", std::process::id());
    let silent = || children(&own).into_iter().filter(|pid| is_role(*pid, "silent")).count();
    let mut starting = Box::pin(spawn::<Job, Done>(child("silent")));
    until("the child is there", || {
        // Its channel does not come about, and the runtime goes on.
        let waker = std::task::Waker::noop();
        assert!(starting.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        silent() == 1
    });
    drop(starting);
    until("the child is ended", || silent() == 0);
}

#[test]
fn what_is_given_arrives_under_its_name() {
    let mut file = tempfile::tempfile().unwrap();
    let spawn = Spawn::new(child("writer")).give("notes", &file).unwrap();
    let (mut channel, _writer) = spawn.start_blocking::<Untyped<u32>, Untyped<String>>().unwrap();
    assert_eq!(channel.recv().unwrap().value.0, "written");
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "from the child");
    for name in ["", "a:b", "a,b"] {
        assert_eq!(Spawn::new(child("writer")).give(name, &file).unwrap_err().kind(), Kind::InvalidInput, "{name}");
    }
    assert!(given("notes").unwrap_err().to_string().contains("notes"), "this process was given nothing");
}

#[test]
fn a_child_dies_with_its_parent_unless_it_may_live_on() {
    for (role, lives) in [("keeper", false), ("leaver", true)] {
        let (mut channel, middle) = blocking::spawn::<Untyped<u32>, Untyped<u32>>(child(role)).unwrap();
        let grandchild = channel.recv().unwrap().value.0;
        assert!(is_role(grandchild, "stubborn"));
        middle.kill().unwrap();
        assert!(middle.wait(LONG).unwrap().is_some());
        if lives {
            thread::sleep(Duration::from_millis(200));
            assert!(is_role(grandchild, "stubborn"), "it lives on");
            Command::new("kill").args(["-9", &grandchild.to_string()]).status().unwrap();
        }
        until("the grandchild is gone", || !is_role(grandchild, "stubborn"));
    }
}

/// Whether the process `pid` is a child of these tests in this role. A process that has ended has no environment any more.
fn is_role(pid: u32, role: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == format!("{ROLE}={role}").as_bytes())
}

fn children(tasks: &str) -> Vec<u32> {
    let tasks = fs::read_dir(tasks).unwrap().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "{what}: not in {LONG:?}");
        thread::sleep(Duration::from_millis(5));
    }
}
