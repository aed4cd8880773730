//! `crosstie listen`, `send` and `recv` as a shell meets them, and that nothing which comes over an endpoint is opened.

mod shell;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    process::{ChildStderr, Command, Stdio},
};

use crosstie::{Schema, blocking};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shell::{Running, crosstie, run, text};

/// A command that listens, where, and what it prints.
struct Listening {
    child: Running,
    words: BufReader<ChildStderr>,
    at: String,
}

impl Listening {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut words = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        words.read_line(&mut line).unwrap();
        let at = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child: Running(child), words, at }
    }

    /// Its exit code and what it has printed.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut printed = String::new();
        self.child.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        (self.child.0.wait().unwrap().code(), printed)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.words.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

fn url(folder: &Path) -> String {
    format!("unix:{}/s", folder.display())
}

fn succeed(words: &[&str]) -> String {
    let output = run(&mut crosstie(words));
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

fn json(printed: &str) -> Vec<Value> {
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_comes_is_printed_and_standard_input_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crosstie(&["listen", &url(folder.path()), "--once"]);
    let mut listening = Listening::start(command.stdin(Stdio::piped()));
    let mut client = UnixStream::connect(folder.path().join("s")).unwrap();
    assert!(listening.line().starts_with(&format!("connection 1 from process {}", std::process::id())));
    client.write_all(b"there").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut input = listening.child.0.stdin.take().unwrap();
    input.write_all(b"back").unwrap();
    drop(input);
    let mut came = String::new();
    client.read_to_string(&mut came).unwrap();
    assert_eq!(came, "back");
    assert_eq!(listening.ended(), (Some(0), "there".to_owned()));
}

#[test]
fn a_channel_that_comes_where_bytes_are_printed_is_told_what_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(crosstie(&["listen", &url(folder.path()), "--once"]).stdin(Stdio::null()));
    let output = run(&mut crosstie(&["send", &listening.at, "hello"]));
    assert_eq!(output.status.code(), Some(7));
    assert!(text(&output.stderr).contains("go by 'crosstie pipe'"), "{}", text(&output.stderr));
    assert!(listening.line().starts_with("connection 1 from"));
    assert!(listening.line().ends_with("'crosstie recv' takes its messages"));
}

#[test]
fn whoever_says_no_hello_in_time_loses_its_place_and_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut recv = Listening::start(&mut crosstie(&[
        "recv",
        &format!("{}?deadline=100ms", url(folder.path())),
        "--connections=1",
    ]));
    let at = url(folder.path());
    let _silent = [(); 3].map(|()| UnixStream::connect(folder.path().join("s")).unwrap());
    succeed(&["send", &at, "hello"]);
    for number in 1..=3 {
        let told = recv.line();
        assert!(told.starts_with(&format!("channel {number} ")) && told.contains("no channel was opened"), "{told}");
    }
}

#[test]
fn connections_are_printed_one_after_the_other_also_as_json() {
    let mut listening = Listening::start(&mut crosstie(&["listen", "tcp://:0"]));
    let address = listening.at.strip_prefix("tcp://").unwrap().to_owned();
    let mut first = TcpStream::connect(&address).unwrap();
    let mut second = TcpStream::connect(&address).unwrap();
    second.write_all(b"second").unwrap();
    first.write_all(b"first ").unwrap();
    let mut came = [0; 6];
    let output = listening.child.0.stdout.as_mut().unwrap();
    output.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"first ", "the second waits until the first has ended");
    drop(first);
    output.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"second");

    let mut command = crosstie(&["--json", "listen", "tcp://:0", "--once"]);
    let mut child = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    let at = event["event"]["endpoint"].as_str().unwrap();
    TcpStream::connect(at.strip_prefix("tcp://").unwrap()).unwrap().write_all(b"\xff\x00").unwrap();
    let mut printed = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    let lines = json(&printed);
    assert_eq!((&lines[0]["payload_hex"], &lines[0]["connection"]), (&"ff00".into(), &1.into()));
    assert_eq!((&lines[1]["a_to_b"], &lines[1]["ended"]), (&2.into(), &"over".into()));
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn each_who_comes_has_a_command_that_knows_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["listen", &url(folder.path()), "--exec", r#"echo "\$1 $CROSSTIE_PEER 'q'"; tr a-z A-Z"#];
    let _listening = Listening::start(&mut crosstie(&words));
    for word in ["one", "two"] {
        let mut client = UnixStream::connect(folder.path().join("s")).unwrap();
        client.write_all(word.as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        let peer = format!("$1 pid={},uid=", std::process::id());
        assert!(answer.starts_with(&peer) && answer.ends_with(&format!(" 'q'\n{}", word.to_uppercase())), "{answer}");
    }
}

#[test]
fn a_command_that_fails_for_whoever_came_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(&mut crosstie(&["listen", &url(folder.path()), "--once", "--exec", "exit 3"]));
    let _client = UnixStream::connect(folder.path().join("s")).unwrap();
    assert!(listening.line().starts_with("connection 1"));
    let told = listening.line();
    assert!(told.contains("(exit 3): the program has failed (exit status: 3)"), "{told}");
    assert_eq!(listening.ended().0, Some(6));
}

#[test]
fn datagrams_come_whole_with_where_they_say_they_are_from() {
    let receiver = Listening::start(&mut crosstie(&["recv", "udp://127.0.0.1:0", "--count", "3"]));
    let sent = succeed(&["--json", "send", &receiver.at, "hello", "{{count}}", "", "--count", "1"]);
    assert_eq!(json(&sent)[0]["sent"], 3);
    assert_eq!(receiver.ended(), (Some(0), "hello\n2\n\n".to_owned()));

    let folder = tempfile::tempdir().unwrap();
    let words = ["recv", "--datagram", &url(folder.path()), "--count", "1", "--raw"];
    let receiver = Listening::start(&mut crosstie(&words));
    let mut sender = crosstie(&["send", "-d", &receiver.at, "-"]);
    let mut child = Running(sender.stdin(Stdio::piped()).spawn().unwrap());
    child.0.stdin.take().unwrap().write_all(b"two\nlines").unwrap();
    assert_eq!(receiver.ended(), (Some(0), "two\nlines".to_owned()));
}

#[test]
fn messages_of_a_channel_come_in_order_with_their_headers() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("segments");
    for at in [url(folder.path()), "tcp://:0".to_owned(), "shm:messages".to_owned()] {
        let mut command = crosstie(&["recv", &at, "--count", "4"]);
        let receiver = Listening::start(command.env("CROSSTIE_DIR", &place));
        let send = |words: &[&str]| {
            let output = run(crosstie(&[&["send", &receiver.at], words].concat()).env("CROSSTIE_DIR", &place));
            assert!(output.status.success(), "{at}: {}", text(&output.stderr));
        };
        send(&["one", "two", "-H", "Trace:7"]);
        send(&["x{{count}}", "--count", "2"]);
        let expected = "one\n    Trace: 7\ntwo\n    Trace: 7\nx1\nx2\n";
        assert_eq!(receiver.ended(), (Some(0), expected.to_owned()), "{at}");
    }
}

#[test]
fn lines_of_standard_input_are_messages() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Listening::start(&mut crosstie(&["recv", &url(folder.path()), "--count", "2"]));
    let mut sender = crosstie(&["send", &receiver.at]);
    let mut child = Running(sender.stdin(Stdio::piped()).spawn().unwrap());
    child.0.stdin.take().unwrap().write_all(b"first\nsecond").unwrap();
    assert_eq!(receiver.ended(), (Some(0), "first\nsecond\n".to_owned()));
    assert!(child.0.wait().unwrap().success());
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
struct Order {
    item: String,
    count: u32,
}

#[test]
fn a_typed_program_is_spoken_to_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let listener = blocking::ChannelListener::<Order>::bind(&url(folder.path()).parse().unwrap()).unwrap();
    let serving = std::thread::spawn(move || {
        let mut channel = listener.accept(shell::LONG).unwrap().open().unwrap();
        let order = channel.recv().unwrap().value;
        channel.send(&Order { count: order.count + 1, ..order }).unwrap();
        // Until the command has read it.
        channel.recv().unwrap_err();
    });
    let words = ["send", &url(folder.path()), r#"{"item":"screws","count":11}"#, "--replies", "1"];
    let reply: Value = serde_json::from_str(&succeed(&words)).unwrap();
    assert_eq!((&reply["item"], &reply["count"]), (&"screws".into(), &12.into()));
    serving.join().unwrap();
}

#[test]
fn control_text_that_is_no_value_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let listener = blocking::ChannelListener::<Order>::bind(&url(folder.path()).parse().unwrap()).unwrap();
    let serving = std::thread::spawn(move || {
        let mut channel = listener.accept(shell::LONG).unwrap().open().unwrap();
        channel.recv().unwrap_err();
    });
    let output = run(&mut crosstie(&["send", &url(folder.path()), "screws"]));
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("expected JSON"), "{output:?}");
    serving.join().unwrap();
}

#[test]
fn what_goes_wrong_is_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = url(folder.path());
    let too_long = "x".repeat(70_000);
    for (words, code, said) in [
        (&["recv", "udp://127.0.0.1:0", "--timeout", "50ms"][..], 5, "no message came within 50ms"),
        (&["recv", "udp://0.0.0.0:0"], 4, "?insecure"),
        (&["send", &nobody, "a"], 3, "cannot connect"),
        (&["send", "-d", &nobody, "a"], 3, "cannot send to"),
        (&["send", "udp://127.0.0.1:9", "a", "-H", "A:b"], 2, "--header"),
        (&["send", "udp://127.0.0.1:9", "a", "--codec", "json"], 2, "--codec"),
        (&["send", "udp://127.0.0.1:9", "{{what}}"], 2, "{{count}}"),
        (&["send", "udp://127.0.0.1:9", &too_long], 1, "65507"),
        (&["send", "udp://127.0.0.1:0", "a"], 1, "expected the port where somebody receives"),
        (&["send", "-", "a"], 2, "crosstie recv"),
        (&["listen", "exec:cat"], 2, "listener"),
        (&["recv", "connect:unix:/nowhere"], 3, "cannot connect"),
    ] {
        let output = run(&mut crosstie(words));
        let told = text(&output.stderr);
        assert!(output.status.code() == Some(code) && told.contains(said), "{words:?}: {:?} {told}", output.status);
    }
}

#[test]
fn a_socket_of_the_parent_that_all_can_reach_takes_insecure_as_any_other() {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let socket = || std::os::fd::OwnedFd::from(listener.try_clone().unwrap());
    let output = run(crosstie(&["listen", "fd:0"]).stdin(socket()));
    assert!(output.status.code() == Some(4) && text(&output.stderr).contains("?insecure"), "{output:?}");
    // The control.
    drop(Listening::start(crosstie(&["listen", "fd:0?insecure"]).stdin(socket())));
}

#[test]
fn what_a_peer_says_at_its_end_moves_no_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let listener = blocking::ChannelListener::<crosstie::Raw>::bind(&url(folder.path()).parse().unwrap()).unwrap();
    let peer = std::thread::spawn(move || {
        let mut channel = listener.accept(shell::LONG).unwrap().open().unwrap();
        channel.recv().unwrap();
        channel.close("\u{1b}[2J\u{1b}]0;owned\u{7} \u{9b}31m done").unwrap();
    });
    let output = run(&mut crosstie(&["send", &url(folder.path()), "hello", "--replies", "1", "--raw"]));
    peer.join().unwrap();
    let said = text(&output.stderr);
    assert!(said.contains(" done") && said.contains("\\x1b[2J"), "the control: the words are there: {said}");
    assert!(!said.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{said:?}");
}

#[test]
fn a_peer_who_is_killed_is_told_from_one_who_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    for (signal, code) in [(Some(Signal::KILL), 8), (None, 0)] {
        // It sends a line when it has one, and closes at the end of them.
        let mut sender = crosstie(&["send", &format!("listen:{}", url(folder.path()))]);
        let mut sender = Running(sender.stdin(Stdio::piped()).spawn().unwrap());
        shell::until("it listens", || folder.path().join("s").exists());
        let mut receiver = crosstie(&["recv", &format!("connect:{}", url(folder.path()))]);
        let mut receiver = Running(receiver.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        sender.0.stdin.as_mut().unwrap().write_all(b"a line\n").unwrap();
        receiver.0.stdout.as_mut().unwrap().read_exact(&mut [0; 7]).unwrap();
        match signal {
            Some(signal) => kill_process(Pid::from_child(&sender.0), signal).unwrap(),
            None => drop(sender.0.stdin.take()),
        }
        sender.0.wait().unwrap();
        assert_eq!(receiver.0.wait().unwrap().code(), Some(code), "{signal:?}");
    }
}

#[test]
fn an_endpoint_that_comes_in_a_message_is_text_and_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let trap = folder.path().join("trap");
    let texts = [format!("exec:touch {}", trap.display()), "fd:1".to_owned(), format!("fifo:{}", trap.display())];
    let receiver = Listening::start(&mut crosstie(&["recv", &url(folder.path()), "--count", "3"]));
    for said in &texts {
        succeed(&["send", &receiver.at, said, "-H", &format!("Reply-To:{said}")]);
    }
    let (code, printed) = receiver.ended();
    assert_eq!(code, Some(0));
    for said in &texts {
        assert!(printed.contains(&format!("{said}\n    Reply-To: {said}\n")), "{printed}");
    }
    // What connects to a listener says it, too, also where commands are run.
    let listening = Listening::start(&mut crosstie(&["listen", &url(folder.path()), "--exec", "cat; echo end"]));
    let mut client = UnixStream::connect(listening.at.strip_prefix("unix:").unwrap()).unwrap();
    client.write_all(texts[0].as_bytes()).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, format!("{}end\n", texts[0]));
    assert!(!trap.exists());
}

#[test]
fn control_the_same_text_on_the_command_line_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let trap = folder.path().join("trap");
    succeed(&["pipe", &format!("exec:touch {}", trap.display()), "exec:cat"]);
    assert!(trap.exists());
    drop(fs::remove_file(trap));
}

/// What a command that fails says, all of it, and its exit code.
fn told(mut listening: Listening) -> (Option<i32>, String, String) {
    let mut words = String::new();
    listening.words.read_to_string(&mut words).unwrap();
    let (code, printed) = listening.ended();
    (code, printed, words)
}

#[test]
fn a_message_that_is_not_valid_is_told_counted_and_in_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    // A typed program that says JSON, and then what is none.
    let receiver = Listening::start(&mut crosstie(&["recv", &url(folder.path()), "--codec", "json", "--count", "2"]));
    let mut channel = blocking::Channel::<Loose>::connect(&receiver.at.parse().unwrap()).unwrap();
    for text in ["1", "{nonsense", "nor this", "2"] {
        channel.send(&Loose(text)).unwrap();
    }
    let (code, printed, words) = told(receiver);
    assert_eq!((code, printed.as_str()), (Some(1), "1\n2\n"), "{words}");
    assert!(words.contains("left out (1 so far) from channel 1") && words.contains("left out (2 so far)"), "{words}");
    assert!(words.contains("2 messages were not valid"), "{words}");

    // The control: without them it is a success.
    let receiver = Listening::start(&mut crosstie(&["recv", &url(folder.path()), "--codec", "json", "--count", "2"]));
    let mut channel = blocking::Channel::<Loose>::connect(&receiver.at.parse().unwrap()).unwrap();
    for text in ["1", "2"] {
        channel.send(&Loose(text)).unwrap();
    }
    assert_eq!(told(receiver), (Some(0), "1\n2\n".to_owned(), String::new()));
}

/// Says that it is JSON.
struct Loose(&'static str);

impl crosstie::Payload for Loose {
    fn described() -> crosstie::Result<Option<crosstie_proto::frame::Described>> {
        Ok(None)
    }

    fn codecs() -> &'static [crosstie::Codec] {
        &[crosstie::Codec::Json]
    }

    fn encode(&self, _: crosstie::Codec, out: &mut Vec<u8>) -> crosstie::Result<()> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(())
    }

    fn decode(_: crosstie::Codec, _: &[u8]) -> crosstie::Result<Self> {
        Ok(Self(""))
    }
}

#[test]
fn a_channel_that_breaks_the_protocol_ends_and_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Listening::start(&mut crosstie(&["recv", &url(folder.path()), "--count", "1"]));
    let mut stranger = UnixStream::connect(folder.path().join("s")).unwrap();
    // A hello as a channel says it, and then no frame.
    let mut bytes = crosstie_proto::frame::PREAMBLE.to_vec();
    let mut hello = crosstie_proto::frame::Hello::default();
    (hello.writes, hello.reads) = (vec![crosstie::Codec::Raw], vec![crosstie::Codec::Raw]);
    let kind = crosstie_proto::frame::FrameKind::Hello;
    crosstie_proto::frame::head::append(&mut bytes, kind, 0, 0, 1 << 20, |out| hello.encode(out)).unwrap();
    bytes.extend_from_slice(&[0xFF; 64]);
    stranger.write_all(&bytes).unwrap();
    succeed(&["send", &receiver.at, "one"]);
    let (code, printed, words) = told(receiver);
    assert_eq!((code, printed.as_str()), (Some(0), "one\n"));
    assert_eq!(words.lines().count(), 1, "{words}");
    assert!(words.starts_with("channel 1") && words.contains("at most 16777216 are taken"), "{words}");
}

#[test]
fn typed_datagrams_have_headers_numbers_and_codecs() {
    let mut command = crosstie(&["--json", "recv", "--typed", "udp://127.0.0.1:0", "--count", "3"]);
    let mut child = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut words = BufReader::new(child.0.stderr.take().unwrap());
    let mut line = String::new();
    words.read_line(&mut line).unwrap();
    let at = serde_json::from_str::<Value>(&line).unwrap()["event"]["endpoint"].as_str().unwrap().to_owned();
    succeed(&["send", "--typed", &at, "one", "two", "-H", "Trace:7"]);
    // A typed program is understood, and what is no message is told.
    let endpoint: crosstie::Endpoint = at.parse().unwrap();
    crosstie_net::send_datagrams(&endpoint).unwrap().send(b"bare", shell::LONG).unwrap();
    let mut program = blocking::DatagramSender::<Order>::connect(&endpoint).unwrap();
    program.send(&Order { item: "screws".to_owned(), count: 11 }).unwrap();
    let mut printed = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    let came = json(&printed);
    let facts = |it: &Value| (it["payload"].as_str().unwrap().to_owned(), it["number"].as_u64().unwrap());
    assert_eq!((facts(&came[0]), facts(&came[1])), (("one".to_owned(), 1), ("two".to_owned(), 2)));
    assert!(came[0]["headers"][0] == serde_json::json!(["Trace", "7"]) && came[0]["lost"] == 0, "{printed}");
    assert_eq!((&came[2]["codec"], facts(&came[2]).1), (&"cbor".into(), 1));
    let order: Value = serde_json::from_str(&facts(&came[2]).0).unwrap();
    assert_eq!((&order["item"], &order["count"]), (&"screws".into(), &11.into()));
    let mut rest = String::new();
    words.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("\"left_out\"") && rest.contains("begins with 'bare'"), "{rest}");
    assert_eq!(child.0.wait().unwrap().code(), Some(1));

    // And a typed program hears the command line.
    let mut desk = blocking::DatagramReceiver::<Order>::bind(&"udp://127.0.0.1:0".parse().unwrap()).unwrap();
    succeed(&["send", "--typed", &desk.endpoint().to_string(), r#"{"item":"nuts","count":2}"#, "--codec", "json"]);
    assert_eq!(desk.recv_within(shell::LONG).unwrap().value, Order { item: "nuts".to_owned(), count: 2 });
}
