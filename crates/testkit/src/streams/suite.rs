//! The tests themselves. Each names what it holds for; a scheme has it or the matrix says that it has not.

use std::{
    collections::BTreeSet,
    fs, io,
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crosstie_core::Kind;
use crosstie_net::{
    AsyncListener, Backoff, Capabilities, Connection, Connections, DeathProof, Flow, Identity, PATIENCE, Peer,
    Reconnecting,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    matrix::{self, Test, tests},
    open_descriptors,
};

use super::{
    faults,
    pattern::Pattern,
    peer::{AS_ACTIVATED, Gate, HALF, LONG, MESSAGE, Role, on_thread, verdict},
    subject::{Subject, meet},
};

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Bytes that go through one connection.
    pub bytes: u64,
    /// Connections at a time, where the scheme takes many.
    pub connections: usize,
    /// Connections that are made and ended one after the other.
    pub cycles: usize,
}

impl Sizes {
    /// What fits into `cargo test`.
    pub const SHORT: Self = Self { bytes: 64 << 20, connections: 1000, cycles: 200 };
    /// What the promises say.
    pub const FULL: Self = Self { bytes: 1 << 30, connections: 1000, cycles: 10_000 };
    /// What a link of 10 Mbit/s and 80 ms there and back carries in some seconds.
    pub const FAR: Self = Self { bytes: 1 << 20, connections: 10, cycles: 10 };
}

pub(super) const TESTS: &[Test<Subject, Sizes>] = tests! {
    bytes_arrive_whole_and_in_order if |_| true;
    bytes_go_both_ways_at_once if is_two_way;
    tokio_carries_the_same_bytes if |_| true;
    one_direction_ends_and_the_other_goes_on if |it| it.half_close;
    control_a_direction_that_goes_on_has_no_end if |it| it.half_close;
    whoever_writes_to_one_who_does_not_read_waits if |_| true;
    a_read_ends_with_its_time_and_may_be_tried_again if |_| true;
    who_is_there_is_known if |_| true;
    a_peer_killed_in_a_message_is_told_from_one_who_is_lost if |it| it.identity != Identity::ThisProcess;
    control_a_peer_who_lives_is_not_called_dead if |it| it.identity != Identity::ThisProcess;
    a_thousand_connections_at_a_time if |it| it.connections == Connections::Many;
    descriptors_stay_as_many_as_they_were if |_| true;
    descriptors_are_handed_over if |it| it.descriptors;
    control_where_descriptors_do_not_pass_it_is_told if |it| !it.descriptors;
    nobody_there_is_told_at_once if |it| it.listens && it.connections == Connections::Many && it.scheme != "pipe";
    a_lost_listener_is_found_again if |it| it.listens && !matches!(it.scheme, "pipe" | "fd" | "tcp" | "tls" | "fifo");
    a_socket_of_the_parent_is_listened_on if |it| matches!(it.scheme, "unix" | "tcp");
    an_address_has_one_listener_and_is_free_after_it if |it| it.listens && !matches!(it.scheme, "pipe" | "fd");
};

/// What asks other processes that have both ends in themselves, which no network lies between.
const NEAR_TESTS: &[Test<Subject, Sizes>] = tests! {
    the_same_seed_makes_the_same_faults_in_two_processes if |_| true;
    a_connection_is_cut_at_the_same_byte_in_two_processes if |_| true;
    a_socket_of_the_parent_that_all_can_reach_is_refused_unless_that_is_said if |it| it.scheme == "tcp";
};

/// Runs the tests whose full name (`scheme::test`) contains `wanted`; how many failed.
///
/// What they leave in the file system is in `folder`.
pub fn run(folder: &Path, sizes: &Sizes, wanted: &str) -> usize {
    let subjects = Subject::all(folder);
    matrix::run("streams", &subjects, TESTS, sizes, wanted)
        + matrix::run("streams", &subjects, NEAR_TESTS, sizes, wanted)
}

/// The names of all tests.
pub fn names(folder: &Path) -> BTreeSet<String> {
    let subjects = Subject::all(folder);
    &matrix::names(&subjects, TESTS) | &matrix::names(&subjects, NEAR_TESTS)
}

fn is_two_way(capabilities: &Capabilities) -> bool {
    capabilities.flow == Flow::TwoWay
}

/// This end of a connection, whose other end judges what comes; and what it says.
fn judged(subject: &Subject, write: impl FnOnce(&Connection)) -> String {
    if let Some((near, far)) = subject.pair() {
        let gate = Gate::shut();
        gate.open();
        let judge = on_thread(Role::Judge, far, gate);
        write(&near);
        let answer = ended(near);
        let judged = judge.join().unwrap().unwrap();
        // Where there is no way back, the judge tells it itself.
        return if answer.is_empty() { String::from_utf8(verdict(judged)).unwrap() } else { answer };
    }
    let (near, _other) = subject.with_process(Role::Judge).unwrap();
    write(&near);
    ended(near)
}

/// Ends what is written, and reads to the end.
fn ended(mut near: Connection) -> String {
    near.set_timeout(Some(LONG));
    let mut answer = String::new();
    if near.capabilities().half_close {
        near.end_writing().unwrap();
        near.read_to_string(&mut answer).unwrap();
    }
    answer
}

fn bytes_arrive_whole_and_in_order(subject: &Subject, sizes: &Sizes) {
    let answer = judged(subject, |near| Pattern::new().write(near, sizes.bytes).unwrap());
    assert_eq!(answer, format!("{} bytes as expected\n", sizes.bytes));
    // The control: the judge notices.
    let answer = judged(subject, |near| {
        Pattern::new().write(near, 5000).unwrap();
        (&*near).write_all(b"something else").unwrap();
    });
    assert!(answer.starts_with("wrong at "), "{answer}");
}

/// This end of a connection whose other end echoes; whatever must live as long is the second.
fn echoed(subject: &Subject) -> (Connection, Box<dyn std::any::Any>) {
    let (mut near, far): (_, Box<dyn std::any::Any>) = match subject.pair() {
        Some((near, far)) => (near, Box::new(on_thread(Role::Echo, far, Gate::default().into()))),
        None => {
            let (near, other) = subject.with_process(Role::Echo).unwrap();
            (near, Box::new(other))
        }
    };
    near.set_timeout(Some(LONG));
    (near, far)
}

fn bytes_go_both_ways_at_once(subject: &Subject, sizes: &Sizes) {
    let (near, _far) = echoed(subject);
    let total = sizes.bytes / 4;
    thread::scope(|scope| {
        scope.spawn(|| {
            Pattern::new().write(&near, total).unwrap();
            near.end_writing().unwrap();
        });
        assert_eq!(Pattern::new().read(&near, u64::MAX).unwrap(), Ok(total));
    });
}

fn tokio_carries_the_same_bytes(subject: &Subject, sizes: &Sizes) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let total = sizes.bytes / 8;
    let mut text = Vec::new();
    Pattern::new().write(&mut text, total).unwrap();
    let exchange = async {
        if !is_two_way(subject.capabilities) {
            let (near, far) = subject.pair().unwrap();
            let (mut near, mut far) = (near.into_async().unwrap(), far.into_async().unwrap());
            let sending = async {
                near.write_all(&text).await.unwrap();
                drop(near);
            };
            let mut came = Vec::new();
            let (_, count) = tokio::join!(sending, far.read_to_end(&mut came));
            assert!(count.unwrap() as u64 == total && came == text);
            return;
        }
        let (near, _far) = async_echo(subject).await;
        let (mut reader, mut writer) = tokio::io::split(near);
        let sending = async {
            writer.write_all(&text).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut came = Vec::new();
        let (_, count) = tokio::join!(sending, reader.read_to_end(&mut came));
        assert_eq!(count.unwrap() as u64, total);
        assert!(came == text, "the bytes are not those that went");
    };
    runtime.block_on(async { tokio::time::timeout(LONG, exchange).await.expect("in time") });
}

/// As [`echoed`], with both ends on tokio where both are in this process, and its listener, too.
async fn async_echo(subject: &Subject) -> (crosstie_net::AsyncConnection, Box<dyn std::any::Any>) {
    let Some(listener) = subject.listener() else {
        let (near, far) = echoed(subject);
        return (near.into_async().unwrap(), far);
    };
    let connector = listener.connector().unwrap();
    let listener = AsyncListener::new(listener).unwrap();
    let (near, far) = tokio::join!(connector.connect_async(LONG), listener.accept());
    let far = far.unwrap().into_async().unwrap();
    let echo = tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(far);
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    (near.unwrap().into_async().unwrap(), Box::new(echo))
}

fn one_direction_ends_and_the_other_goes_on(subject: &Subject, _: &Sizes) {
    // The judge answers only after the end.
    let answer = judged(subject, |near| Pattern::new().write(near, 10).unwrap());
    assert_eq!(answer, "10 bytes as expected\n");
}

fn control_a_direction_that_goes_on_has_no_end(subject: &Subject, _: &Sizes) {
    let (mut near, far): (_, Box<dyn std::any::Any>) = match subject.pair() {
        Some((near, far)) => {
            let gate = Gate::shut();
            gate.open();
            (near, Box::new(on_thread(Role::Judge, far, gate)))
        }
        None => {
            let (near, other) = subject.with_process(Role::Judge).unwrap();
            (near, Box::new(other))
        }
    };
    Pattern::new().write(&near, 10).unwrap();
    near.set_timeout(Some(Duration::from_millis(50)));
    assert_eq!(near.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    drop((near, far));
}

fn whoever_writes_to_one_who_does_not_read_waits(subject: &Subject, _: &Sizes) {
    // The other end: held back at a gate, or stopped.
    let most = 16 * subject.capabilities.buffer as u64 + (1 << 20);
    let (mut near, resume): (_, Box<dyn FnOnce() -> Option<String>>) = match subject.pair() {
        Some((near, far)) => {
            let gate = Gate::shut();
            let judge = on_thread(Role::Judge, far, gate.clone());
            let resume = move || {
                gate.open();
                (!subject.capabilities.half_close)
                    .then(|| String::from_utf8(verdict(judge.join().unwrap().unwrap())).unwrap())
            };
            (near, Box::new(resume))
        }
        None => {
            let (near, other) = subject.with_process(Role::Judge).unwrap();
            let pid = rustix::process::Pid::from_raw(i32::try_from(other.pid()).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
            let resume = move || {
                rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
                drop(other);
                None
            };
            (near, Box::new(resume))
        }
    };
    near.set_timeout(Some(Duration::from_millis(100)));
    let pattern = Pattern::new();
    let mut text = Vec::new();
    pattern.write(&mut text, most).unwrap();
    let mut written = 0;
    let error = loop {
        assert!((written as u64) < most, "more than {most} bytes were taken, and nobody read them");
        match near.write(&text[written..]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    near.set_timeout(Some(LONG));
    if subject.capabilities.half_close {
        let told = resume();
        // Nothing was lost, and what did not fit was not taken.
        assert_eq!(ended(near), format!("{written} bytes as expected\n"));
        assert_eq!(told, None);
    } else {
        drop(near);
        assert_eq!(resume().unwrap(), format!("{written} bytes as expected\n"));
    }
}

fn a_read_ends_with_its_time_and_may_be_tried_again(subject: &Subject, _: &Sizes) {
    let (mut reader, writer, _far);
    if is_two_way(subject.capabilities) {
        let (near, far) = echoed(subject);
        (reader, writer, _far) = (near, None, Some(far));
    } else {
        let (near, far) = subject.pair().unwrap();
        (reader, writer, _far) = (far, Some(near), None);
    }
    reader.set_timeout(Some(Duration::from_millis(30)));
    let began = Instant::now();
    assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!(began.elapsed() >= Duration::from_millis(30), "it waited as long as it was told");
    reader.set_timeout(Some(LONG));
    put(writer.as_ref().unwrap_or(&reader), b"later");
    assert_eq!(&get::<5>(&reader), b"later");
}

fn put(mut connection: &Connection, bytes: &[u8]) {
    connection.write_all(bytes).unwrap();
}

fn get<const N: usize>(mut connection: &Connection) -> [u8; N] {
    let mut came = [0; N];
    connection.read_exact(&mut came).unwrap();
    came
}

fn who_is_there_is_known(subject: &Subject, _: &Sizes) {
    let this = (std::process::id(), rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let pair = subject.pair();
    let peers: Vec<_> = pair.iter().flat_map(|(near, far)| [near.peer(), far.peer()]).collect();
    let other = subject.with_process(Role::Echo);
    match subject.capabilities.identity {
        Identity::Unknown => {}
        Identity::ThisProcess => assert_eq!(peers, [Peer::Here, Peer::Here]),
        Identity::Certificate => {
            for end in pair.iter().flat_map(|(near, far)| [near, far]) {
                let certificate = end.certificate().expect("both were asked");
                assert_eq!((certificate.common_name(), certificate.name().as_str()), (Some("peer"), "peer"));
            }
            peers.iter().for_each(|peer| is_there(peer, subject));
        }
        Identity::Address => peers.iter().for_each(|peer| is_there(peer, subject)),
        Identity::Child => {
            let (near, other) = other.as_ref().unwrap();
            assert_eq!(near.peer(), Peer::Child(other.pid()));
        }
        Identity::Process => {
            for peer in peers {
                let process = peer.process().expect("the kernel tells");
                assert_eq!((process.pid, process.uid, process.gid), this);
            }
            let (near, other) = other.as_ref().unwrap();
            assert_eq!(near.peer().process().map(|process| process.pid), Some(other.pid()));
        }
    }
}

fn is_there(peer: &Peer, subject: &Subject) {
    assert!(
        peer.address().is_some_and(|address| address.ip().is_loopback() || subject.network().is_some()),
        "{peer:?}"
    );
}

/// Half of a message has come from another process, which is then killed.
fn a_peer_killed_in_a_message_is_told_from_one_who_is_lost(subject: &Subject, _: &Sizes) {
    let expected = expected_end(subject.capabilities);
    let (mut near, other) = subject.with_process(Role::Half).unwrap();
    near.set_timeout(Some(LONG));
    let pattern = Pattern::new();
    assert_eq!(pattern.read(&near, HALF).unwrap(), Ok(HALF), "what was sent has come");
    other.kill();
    let error = match pattern.read(&near, MESSAGE - HALF) {
        Ok(outcome) => {
            assert_eq!(outcome, Ok(0), "no byte comes that was not sent");
            io::ErrorKind::UnexpectedEof.into()
        }
        Err(error) => error,
    };
    let told = near.explain(error);
    assert_eq!(told.kind(), expected, "{told}");

    // The same on tokio.
    let (near, other) = subject.with_process(Role::Half).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = runtime.block_on(async {
        let mut near = near.into_async().unwrap();
        let mut half = vec![0; usize::try_from(HALF).unwrap()];
        near.read_exact(&mut half).await.unwrap();
        other.kill();
        let error = near.read_exact(&mut [0; 10]).await.unwrap_err();
        near.explain(error).await
    });
    assert_eq!(told.kind(), expected, "{told}");
}

fn expected_end(capabilities: &Capabilities) -> Kind {
    // A kernel that hands out no pidfd with a socket proves no death.
    let has_pidfd = || {
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        matches!(crosstie_sys::peer_life(&socket), Ok(crosstie_sys::PeerLife::Watched(_)))
    };
    match capabilities.death {
        DeathProof::ExitStatus => Kind::PeerDied,
        DeathProof::Pidfd if has_pidfd() => Kind::PeerDied,
        DeathProof::Pidfd | DeathProof::Nothing => Kind::Disconnected,
    }
}

fn control_a_peer_who_lives_is_not_called_dead(subject: &Subject, _: &Sizes) {
    let (near, _other) = subject.with_process(Role::Half).unwrap();
    let began = Instant::now();
    assert_eq!(near.explain(io::ErrorKind::UnexpectedEof.into()).kind(), Kind::Disconnected);
    assert!(began.elapsed() < PATIENCE + LONG, "proof is not waited for without end");
    assert_eq!(near.explain(io::ErrorKind::TimedOut.into()).kind(), Kind::Timeout, "silence is no end");
}

fn a_thousand_connections_at_a_time(subject: &Subject, sizes: &Sizes) {
    let Some(listener) = subject.listener() else {
        // Each is a process: as many as a small machine starts in a second.
        let peers: Vec<_> = (0..sizes.connections / 20).map(|_| subject.with_process(Role::Echo).unwrap()).collect();
        for (index, (near, _)) in peers.iter().enumerate() {
            put(near, &[index as u8]);
        }
        for (index, (near, _)) in peers.iter().enumerate().rev() {
            assert_eq!(get(near), [index as u8]);
        }
        return;
    };
    let pairs: Vec<_> = (0..sizes.connections).map(|_| meet(&*listener)).collect();
    for (index, (near, _)) in pairs.iter().enumerate() {
        put(near, &(index as u32).to_le_bytes());
    }
    for (index, (_, far)) in pairs.iter().enumerate().rev() {
        assert_eq!(u32::from_le_bytes(get(far)), index as u32, "each has its own");
    }
}

fn descriptors_stay_as_many_as_they_were(subject: &Subject, sizes: &Sizes) {
    let listener = subject.listener();
    let cycle = || {
        let pair = match &listener {
            Some(listener) => Some(meet(&**listener)),
            None => subject.pair(),
        };
        match pair {
            Some((near, far)) => {
                put(&near, b"x");
                get::<1>(&far);
            }
            None => {
                let (near, _other) = subject.with_process(Role::Echo).unwrap();
                put(&near, b"x");
                get::<1>(&near);
            }
        }
    };
    // What is opened once stays open.
    for _ in 0..3 {
        cycle();
    }
    open_descriptors::settled(None);
    // Over TLS a socket lingers until what it has said is confirmed.
    let lingers = subject.capabilities.identity == Identity::Certificate;
    let before = open_descriptors::at_rest(if lingers { Duration::from_millis(250) } else { Duration::ZERO });
    // A process takes a millisecond.
    let cycles = if subject.pair().is_some() { sizes.cycles } else { sizes.cycles / 10 };
    for _ in 0..cycles {
        cycle();
    }
    // Fewer, if children that had been there before are gone now; more for a moment, while children that were left to end do so.
    assert!(
        open_descriptors::settled(Some(before)),
        "{} after {cycles} cycles, {before} before",
        open_descriptors::count()
    );
    // The control: a connection that is kept is seen.
    if lingers {
        open_descriptors::at_rest(Duration::from_millis(250));
    }
    if let Some(pair) = listener.as_ref().map(|listener| meet(&**listener)) {
        assert!(subject.capabilities.identity == Identity::ThisProcess || open_descriptors::count() > before);
        drop(pair);
    }
}

fn descriptors_are_handed_over(subject: &Subject, _: &Sizes) {
    use std::os::fd::AsFd;
    let (near, far) = subject.pair().unwrap();
    let (mut reader, writer) = io::pipe().unwrap();
    near.pass(b"a pipe", &[writer.as_fd()]).unwrap();
    drop(writer);
    let mut buf = [0; 16];
    let (count, mut came) = far.receive_passed(&mut buf).unwrap();
    assert_eq!((&buf[..count], came.len()), (&b"a pipe"[..], 1));
    fs::File::from(came.remove(0)).write_all(b"through").unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through");
}

fn control_where_descriptors_do_not_pass_it_is_told(subject: &Subject, _: &Sizes) {
    use std::os::fd::AsFd;
    // What an inherited descriptor can do depends on what it is.
    if subject.capabilities.scheme == "fd" {
        return;
    }
    let (near, _far): (_, Box<dyn std::any::Any>) = match subject.pair() {
        Some((near, far)) => (near, Box::new(far)),
        None => {
            let (near, other) = subject.with_process(Role::Echo).unwrap();
            (near, Box::new(other))
        }
    };
    let (_, writer) = io::pipe().unwrap();
    assert_eq!(near.pass(b"a pipe", &[writer.as_fd()]).unwrap_err().kind(), io::ErrorKind::Unsupported);
}

fn nobody_there_is_told_at_once(subject: &Subject, _: &Sizes) {
    let listener = subject.listener().unwrap();
    let connector = listener.connector().unwrap();
    drop(listener);
    let error = connector.connect(LONG).err().expect("nobody is there");
    assert_eq!(error.kind(), Kind::NoResponders, "{error}");
}

fn an_address_has_one_listener_and_is_free_after_it(subject: &Subject, _: &Sizes) {
    let listener = subject.listener().unwrap();
    let at = listener.endpoint().clone().trusted();
    let error = subject.listen(&at).err().expect("it has one");
    assert_eq!(error.kind(), Kind::Io, "{error}");
    // The one that was there is not hurt.
    let (near, far) = meet(&*listener);
    put(&near, b"x");
    get::<1>(&far);
    drop((near, far, listener));
    // TCP keeps a port for a while after connections that its listener's side has ended.
    if !matches!(subject.capabilities.scheme, "tcp" | "tls") {
        subject.listen(&at).unwrap();
    }
}

fn a_lost_listener_is_found_again(subject: &Subject, _: &Sizes) {
    let listener = subject.listener().unwrap();
    let at = listener.endpoint().clone().trusted();
    let reconnecting = |attempts| {
        let backoff = Backoff { attempts, ..Backoff::default() };
        Reconnecting::new(crosstie_net::connector(&at).unwrap(), backoff)
    };
    drop(listener);
    // The control: tried once, it is told that nobody is there.
    assert_eq!(reconnecting(Some(1)).connect(LONG).err().unwrap().kind(), Kind::NoResponders);
    let patient = reconnecting(None);
    assert_eq!(patient.connect(Duration::from_millis(50)).err().unwrap().kind(), Kind::Timeout);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| patient.connect(LONG).unwrap());
        let listener = subject.listen(&at).unwrap();
        let far = listener.accept(LONG).unwrap();
        let near = waiting.join().unwrap();
        put(&near, b"x");
        get::<1>(&far);
    });
}

/// As systemd does it: the socket is descriptor 3, and three variables say so.
fn a_socket_of_the_parent_is_listened_on(subject: &Subject, _: &Sizes) {
    let listener = subject.listener().unwrap();
    let socket = listener.as_fd().try_clone_to_owned().unwrap();
    // A network of the suite's own is another machine.
    let is_far = subject.network().is_some();
    let mut child = activated(socket).env("CROSSTIE_INSECURE", if is_far { "1" } else { "0" }).spawn().unwrap();
    let near = listener.connector().unwrap().connect(LONG).unwrap();
    put(&near, b"hello");
    assert_eq!(&get::<5>(&near), b"hello");
    drop(near);
    assert!(child.wait().unwrap().success());
    // The file is still there for the next: it belongs to whoever has bound it.
    listener.connector().unwrap().connect(LONG).unwrap();
}

/// Starts this program again with a socket that listens, as systemd would.
fn activated(socket: impl Into<Stdio>) -> Command {
    let script =
        format!(r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec "$0" {AS_ACTIVATED}"#);
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(std::env::current_exe().unwrap()).stdin(socket);
    command
}

/// What systemd has bound for everybody is refused as what this process binds, unless its unit says so.
fn a_socket_of_the_parent_that_all_can_reach_is_refused_unless_that_is_said(_: &Subject, _: &Sizes) {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let start = |said: &str| {
        let socket = std::os::fd::OwnedFd::from(listener.try_clone().unwrap());
        activated(socket).env("CROSSTIE_INSECURE", said).stderr(Stdio::piped()).spawn().unwrap()
    };
    let refused = start("").wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("CROSSTIE_INSECURE=1"), "{told}");
    // The control: it is said.
    let child = start("1");
    let mut near = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    near.write_all(b"hello").unwrap();
    near.read_exact(&mut [0; 5]).unwrap();
    drop(near);
    assert!(child.wait_with_output().unwrap().status.success());
}

fn the_same_seed_makes_the_same_faults_in_two_processes(subject: &Subject, _: &Sizes) {
    // Each process would need a network of its own for it.
    if subject.network().is_some() {
        return;
    }
    let log =
        |face, seed| faults::log_of_another_process(subject, face, &format!("seed:{seed},short:20%,delay:0ms..1ms"));
    let known = log("thread", 42);
    // Each end makes them, in each direction that it has.
    let ends = if subject.pair().is_some() { 2 } else { 1 };
    let ways = if is_two_way(subject.capabilities) { 2 } else { 1 };
    assert_eq!(known.matches("# ").count(), ends, "{known}");
    assert!(known.matches(" delay ").count() >= 64 * ends * ways, "every block is held back: {known}");
    assert!(known.contains(" short "), "{known}");
    assert_eq!(known, log("thread", 42));
    assert_eq!(known, log("task", 42), "on tokio, too");
    // The control.
    let other = log("thread", 43);
    assert_ne!(known.replace("seed:42", ""), other.replace("seed:43", ""));
}

fn a_connection_is_cut_at_the_same_byte_in_two_processes(subject: &Subject, _: &Sizes) {
    // Each process would need a network of its own for it.
    if subject.network().is_some() {
        return;
    }
    let log = |face, seed| faults::log_of_another_process(subject, face, &format!("seed:{seed},cut:2%"));
    let known = log("thread", 42);
    assert_eq!(known.matches(" cut ").count(), 1, "{known}");
    assert_eq!(known, log("thread", 42));
    assert_eq!(known, log("task", 42), "on tokio, too");
    // The control.
    assert_ne!(known.replace("seed:42", ""), log("thread", 43).replace("seed:43", ""));
}
