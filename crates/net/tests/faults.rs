//! Who may make faults, what they do to a stream, and that nobody spins while something is held back.

use std::{
    io::{self, Read, Write},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crosstie_core::{
    Endpoint, Kind,
    fault::{Direction, Fault, Taken, parse_log},
};
use crosstie_net::{Connection, Faults, Paused, connector, listen};
use rustix::time::{ClockId, clock_gettime};

const LONG: Duration = Duration::from_secs(60);
const MS: Duration = Duration::from_millis(1);

fn parsed(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn allowed(text: &str) -> Endpoint {
    parsed(text).trusted().allow_faults()
}

/// Two ends at a name; the near one meets faults.
fn pair(name: &str, faults: &Faults) -> (Connection, Connection) {
    let at = parsed(&format!("mem:{name}"));
    let listener = listen(&at).unwrap();
    let mut near = faults.connector(&at).unwrap().connect(LONG).unwrap();
    let mut far = listener.accept(LONG).unwrap();
    near.set_timeout(Some(LONG));
    far.set_timeout(Some(LONG));
    (near, far)
}

fn refused(endpoint: &Endpoint) -> (Kind, String) {
    let by_connector = connector(endpoint).err().expect("it is refused");
    let by_listener = listen(endpoint).err().expect("it is refused");
    assert_eq!(by_connector.to_string(), by_listener.to_string());
    (by_connector.kind(), by_connector.to_string())
}

#[test]
fn faults_are_off_unless_they_are_allowed() {
    let (kind, text) = refused(&parsed("mem:x?fault=delay:1ms").trusted());
    assert_eq!(kind, Kind::Denied);
    assert!(text.contains("CROSSTIE_ALLOW_FAULTS=1") && text.contains("allow_faults"), "{text}");
}

#[test]
fn faults_of_text_that_nobody_vouches_for_are_denied_even_where_they_are_allowed() {
    let (kind, text) = refused(&parsed("mem:x?fault=delay:1ms").allow_faults());
    assert_eq!(kind, Kind::Denied);
    assert!(text.contains("Endpoint::trusted"), "{text}");
    // Nor do faults open what would not be opened without them.
    let command = Faults::seeded(1).on(parsed("exec:true"));
    assert_eq!(connector(&command).err().unwrap().kind(), Kind::Denied);
}

#[test]
fn control_trusted_and_allowed_they_are_made() {
    let at = parsed("mem:allowed-faults");
    let listener = listen(&at).unwrap();
    for endpoint in [allowed("mem:allowed-faults?fault=seed:3,delay:0ms"), Faults::seeded(3).delay(MS..=MS).on(at)] {
        let mut near = connector(&endpoint).unwrap().connect(LONG).unwrap();
        let _far = listener.accept(LONG).unwrap();
        near.write_all(b"x").unwrap();
        assert_eq!(near.faults().unwrap().taken().len(), 1, "the one block was held back");
    }
}

#[test]
fn a_bare_stream_refuses_what_it_has_no_frames_for() {
    for fault in ["drop", "dup", "reorder"] {
        let (kind, text) = refused(&allowed(&format!("mem:x?fault=cut:1%,{fault}:1%")));
        assert_eq!(kind, Kind::Unsupported);
        assert!(text.contains(&format!("'{fault}'")) && text.contains("it takes delay, cut and short"), "{text}");
    }
    // Zero is as good as not asked for.
    assert!(connector(&allowed("mem:x?fault=drop:0%,dup:0%")).is_ok());
    let replayed = Faults::replay(parse_log("1 out 1 dup").unwrap());
    assert_eq!(replayed.listen(&parsed("mem:x")).err().unwrap().kind(), Kind::Unsupported);
}

#[test]
fn connections_are_counted_and_meet_faults_of_their_own() {
    let at = parsed("mem:counted-connections");
    let listener = listen(&at).unwrap();
    let faults = Faults::seeded(9).delay(Duration::ZERO..=9 * MS);
    let connector = faults.connector(&at).unwrap();
    for _ in 0..3 {
        connector.connect(LONG).unwrap().write_all(b"x").unwrap();
        listener.accept(LONG).unwrap();
    }
    let delays: Vec<_> = faults.log().taken().iter().map(|taken| (taken.connection, taken.fault)).collect();
    assert_eq!(delays.iter().map(|(connection, _)| *connection).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(delays[0].1 != delays[1].1 || delays[1].1 != delays[2].1, "{delays:?}");
}

/// Processor time of this thread.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn what_is_held_back_comes_late_and_nobody_spins_meanwhile() {
    let delay = 300 * MS;
    let (mut near, mut far) = pair("held-back", &Faults::seeded(1).delay(delay..=delay));
    let (began, busy) = (Instant::now(), spent());
    near.write_all(b"there").unwrap();
    assert!(began.elapsed() >= delay, "the way there");
    let mut buf = [0; 5];
    far.read_exact(&mut buf).unwrap();
    far.write_all(b"again").unwrap();
    near.read_exact(&mut buf).unwrap();
    assert!(began.elapsed() >= 2 * delay && &buf == b"again", "the way back");
    assert!(spent() - busy < delay / 2, "it spun for {:?}", spent() - busy);
}

#[test]
fn a_wait_for_what_is_held_back_ends_with_its_time_and_loses_nothing() {
    let delay = 3000 * MS;
    let (mut near, mut far) = pair("held-longer", &Faults::seeded(1).delay(delay..=delay));
    near.set_timeout(Some(20 * MS));
    assert_eq!(near.write(b"there").unwrap_err().kind(), io::ErrorKind::TimedOut);
    far.write_all(b"again").unwrap();
    assert_eq!(near.read(&mut [0; 5]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    near.set_timeout(Some(LONG));
    near.write_all(b"there").unwrap();
    let mut buf = [0; 5];
    far.read_exact(&mut buf).unwrap();
    near.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"again");
}

#[test]
fn blocks_that_come_together_are_held_back_together() {
    let delay = 300 * MS;
    let (mut near, mut far) = pair("together", &Faults::seeded(1).delay(delay..=delay));
    let began = Instant::now();
    far.write_all(&[7; 40_960]).unwrap();
    near.read_exact(&mut [0; 40_960]).unwrap();
    near.write_all(&[7; 40_960]).unwrap();
    assert!(began.elapsed() >= 2 * delay);
    assert!(began.elapsed() < 18 * delay, "ten blocks each way, one delay each way: {:?}", began.elapsed());
}

#[test]
fn datagrams_that_are_held_back_come_late_and_nobody_spins_meanwhile() {
    let delay = 300 * MS;
    let faults = Faults::seeded(1).delay(delay..=delay);
    let folder = tempfile::tempdir().unwrap();
    let places = ["mem:held-letters".to_owned(), format!("unix:{}", folder.path().join("letters").display())];
    for place in &places {
        let receiver = faults.receive_datagrams(&parsed(place)).unwrap();
        let sender = faults.send_datagrams(receiver.endpoint()).unwrap();
        let (began, busy) = (Instant::now(), spent());
        assert_eq!(sender.try_send(b"there").unwrap_err().kind(), Kind::Full);
        sender.send(b"there", LONG).unwrap();
        assert!(began.elapsed() >= delay, "the way out");
        assert!(receiver.try_receive(&mut [0; 8]).unwrap().is_none(), "it has come, and is held back");
        let mut buf = [0; 8];
        assert_eq!(receiver.receive(&mut buf, LONG).unwrap().len, 5);
        assert!(began.elapsed() >= 2 * delay, "the way in");
        assert_eq!(receiver.receive(&mut buf, MS).unwrap_err().kind(), Kind::Timeout);
        assert!(spent() - busy < delay / 2, "it spun for {:?}", spent() - busy);

        // The same on tokio, where the timer of the one must not keep the other awake.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (began, busy) = (Instant::now(), spent());
            let (sender, receiver) = (sender.into_async().unwrap(), receiver.into_async().unwrap());
            sender.send(b"again").await.unwrap();
            assert_eq!(receiver.receive(&mut buf).await.unwrap().len, 5);
            assert!(began.elapsed() >= 2 * delay);
            assert!(spent() - busy < delay / 2, "it spun for {:?}", spent() - busy);
        });
    }
}

#[test]
fn an_end_of_this_side_does_not_wait_for_what_is_held_back() {
    let (near, mut far) = pair("ended", &Faults::seeded(1).delay(LONG..=LONG));
    far.write_all(b"late").unwrap();
    thread::scope(|scope| {
        let reading = scope.spawn(|| (&near).read(&mut [0; 8]));
        let writing = scope.spawn(|| (&near).write(b"late"));
        near.shutdown();
        assert_eq!(reading.join().unwrap().unwrap(), 0);
        assert!(writing.join().unwrap().is_err());
    });
}

#[test]
fn a_cut_is_a_lost_connection_that_says_which_fault_it_was() {
    let replay = || Faults::replay(parse_log("1 out 2 cut 17").unwrap());
    let (near, mut far) = pair("cut-out", &replay());
    let error = (&near).write_all(&[7; 10_000]).unwrap_err();
    assert!(error.to_string().contains("1 out 2 cut 17"), "{error}");
    let told = near.explain(error);
    assert_eq!(told.kind(), Kind::Disconnected);
    assert!(told.to_string().contains("1 out 2 cut 17"), "{told}");
    let mut came = Vec::new();
    far.read_to_end(&mut came).unwrap();
    assert_eq!(came.len(), 4096 + 17, "no more and no less");
    assert_eq!((&near).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset, "nor anything back");

    let faults = Faults::replay(parse_log("1 in 1 cut 3").unwrap());
    let (mut near, mut far) = pair("cut-in", &faults);
    far.write_all(b"hello").unwrap();
    let mut came = Vec::new();
    let error = near.read_to_end(&mut came).unwrap_err();
    assert_eq!((&came[..], error.kind()), (&b"hel"[..], io::ErrorKind::ConnectionReset));
    let expected = Taken { connection: 1, direction: Direction::In, frame: 1, fault: Fault::Cut(3) };
    assert_eq!(faults.log().taken(), [expected]);
}

#[test]
fn short_reads_and_writes_end_where_the_plan_says_and_lose_nothing() {
    let faults = Faults::replay(parse_log("1 out 1 short 100\n1 in 1 short 10\n1 in 2 short 1").unwrap());
    let (mut near, mut far) = pair("short", &faults);
    assert_eq!(near.write(&[7; 1000]).unwrap(), 100);
    assert_eq!(near.write(&[7; 900]).unwrap(), 900);
    far.write_all(&[7; 5000]).unwrap();
    let mut buf = [0; 9000];
    let counts: Vec<_> = (0..3).map(|_| near.read(&mut buf).unwrap()).collect();
    assert_eq!(counts, [10, 4087, 903]);
    assert_eq!(faults.log().taken().len(), 3);
}

#[test]
fn a_log_makes_the_same_faults_again() {
    let run = |name: &str, faults: &Faults| {
        let (mut near, mut far) = pair(name, faults);
        thread::scope(|scope| {
            scope.spawn(move || far.read_to_end(&mut Vec::new()));
            near.write_all(&[7; 4 << 20]).unwrap_err();
        });
        faults.log().to_string()
    };
    let first = run("first-run", &Faults::seeded(5).short(0.3).delay(Duration::ZERO..=MS).cut(0.02));
    let again = run("second-run", &Faults::replay(parse_log(&first).unwrap()));
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&first), lines(&again));
    assert!(lines(&first).last().unwrap().contains("cut"), "{first}");
}

#[test]
fn descriptors_do_not_pass_where_faults_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let at = format!("unix:{}", folder.path().join("faulty").display());
    let listener = listen(&allowed(&format!("{at}?fault=cut:0%"))).unwrap();
    let _near = connector(&parsed(&at)).unwrap().connect(LONG).unwrap();
    let far = listener.accept(LONG).unwrap();
    assert_eq!(far.pass(b"x", &[]).unwrap_err().kind(), io::ErrorKind::Unsupported);
    assert!(far.peer().process().is_some(), "who is there is known all the same");
}

/// A child that echoes stands still, and goes on.
#[test]
fn who_is_paused_answers_nobody_and_goes_on_afterwards() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let paused = Paused::process(child.id()).unwrap();
    assert!(crosstie_sys::process::is_stopped(child.id()).unwrap());
    assert!(!paused.handle().has_ended().unwrap(), "it is not dead");
    input.write_all(b"hello").unwrap();
    drop(paused);
    let mut buf = [0; 5];
    output.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"hello");
    drop(input);
    assert!(child.wait().unwrap().success());
    assert_eq!(Paused::process(std::process::id()).unwrap_err().kind(), Kind::InvalidInput);
}

#[test]
fn nobody_stays_paused_when_the_one_who_paused_is_killed() {
    let mut still = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // This very test, in a process that pauses and waits to be killed.
    let mut pausing = Command::new(std::env::current_exe().unwrap())
        .args(["pauses_and_waits_if_asked", "--exact", "--nocapture"])
        .env(PAUSES, still.id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = io::BufReader::new(pausing.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("paused") {
        line.clear();
        assert!(io::BufRead::read_line(&mut said, &mut line).unwrap() > 0, "it said nothing");
    }
    assert!(crosstie_sys::process::is_stopped(still.id()).unwrap());
    pausing.kill().unwrap();
    pausing.wait().unwrap();
    still.stdin.take().unwrap().write_all(b"hello").unwrap();
    let mut text = String::new();
    still.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    still.wait().unwrap();
}

const PAUSES: &str = "CROSSTIE_TEST_PAUSES";

#[test]
fn pauses_and_waits_if_asked() {
    let Ok(pid) = std::env::var(PAUSES) else { return };
    let _paused = Paused::process(pid.parse().unwrap()).unwrap();
    println!("paused");
    // Until it is killed, or whoever started it is gone.
    let _ = io::stdin().read(&mut [0]);
}

/// On tokio, a cut wakes whoever waits for the other direction.
#[test]
fn a_cut_wakes_the_task_that_waits_for_the_other_direction() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (near, _far) = pair("woken", &Faults::replay(parse_log("1 out 1 cut 2").unwrap()));
        let (mut reader, mut writer) = tokio::io::split(near.into_async().unwrap());
        let reading = tokio::spawn(async move { reader.read(&mut [0; 8]).await });
        tokio::task::yield_now().await;
        assert_eq!(writer.write(b"hello").await.unwrap(), 2);
        let read = tokio::time::timeout(LONG, reading).await.expect("it is woken").unwrap();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn control_without_faults_nothing_is_noted() {
    let listener = listen(&parsed("mem:no-faults")).unwrap();
    let near = listener.connector().unwrap().connect(LONG).unwrap();
    assert!(near.faults().is_none());
}
