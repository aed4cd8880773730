//! The command as a shell sees it: exit codes, what goes to which stream, JSON, colours, and an output that nobody reads.

mod shell;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Output, Stdio},
    time::Instant,
};

use serde_json::Value;
use shell::{Broker, LONG, Running, code, crosstie, run, text, until};

/// The error of a command that was asked for JSON: one line on standard error, nothing on the other.
fn json_error(output: &Output) -> (String, i64) {
    assert_eq!(text(&output.stdout), "");
    let lines: Vec<_> = text(&output.stderr).lines().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let value: Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(value["schema"], 1);
    assert!(value["error"]["message"].as_str().is_some_and(|message| !message.is_empty() && !message.contains('\n')));
    let exit_code = value["error"]["exit_code"].as_i64().unwrap();
    assert_eq!(output.status.code().map(i64::from), Some(exit_code));
    (value["error"]["kind"].as_str().unwrap().to_owned(), exit_code)
}

// ── exit codes, one by one ─────────────────────────────────────────────────────────────────────────────────

#[test]
fn code_0_is_done() {
    let broker = Broker::open();
    let output = broker.run(&["pub", "a", "hi"]);
    assert_eq!((output.status.code(), text(&output.stdout), text(&output.stderr)), (Some(0), "", ""));
}

#[test]
fn code_1_is_failed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let inside = file.path().join("man1");
    assert_eq!(code(&["man", inside.to_str().unwrap()]), Some(1));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("tcp://{}", taken.local_addr().unwrap());
    let output = run(&mut crosstie(&["--json", "serve", "--listen", &at]));
    let mut lines =
        text(&output.stderr).lines().map(|line| serde_json::from_str::<Value>(line).expect("the log is JSON, too"));
    assert_eq!(lines.next_back().unwrap()["error"]["kind"], "io");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn code_2_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.toml");
    fs::write(&config, "lissten = 1\n").unwrap();
    let config = config.to_str().unwrap();
    for arguments in [
        &["pub"][..],
        &["pub", "not valid"],
        &["pub", "a", "x", "--header", "nothing"],
        &["pub", "a", "x", "--every", "soon"],
        &["sub", "a..b"],
        &["request", "a.*"],
        &["reply", "a"],
        &["reply", "a", "x", "--echo"],
        &["pub", "a", "x", "--count", "0"],
        &["pub", "a", "{{cuont}}"],
        &["reply", "a", "{{reply}}"],
        &["bench", "--size", "1"],
        &["bench", "--size", "99999999999"],
        &["bench", "--rate", "0"],
        &["bench", "--seconds", "1e300"],
        &["bench", "--seconds", "nan"],
        &["demo", "--seconds", "1e300"],
        &["demo", "--seconds", "-1"],
        &["demo", "--seconds", "0"],
        &["check-config", config],
        &["serve", "--config", config],
        &["serve", "--listen", "udp://127.0.0.1:1"],
        &["completions", "tcsh"],
        &["nonsense"],
        &["--server", "http://x", "pub", "a"],
        &["--color", "sometimes", "pub", "a"],
    ] {
        assert_eq!(code(arguments), Some(2), "{arguments:?}");
        let mut in_json = vec!["--json"];
        in_json.extend(arguments);
        let output = run(&mut crosstie(&in_json));
        assert_eq!(json_error(&output).1, 2, "{arguments:?}");
        assert!(!text(&output.stderr).contains("For more information"), "{arguments:?}");
    }
}

#[test]
fn code_3_is_nobody_there() {
    let broker = Broker::open();
    let output = broker.run(&["--json", "request", "nobody"]);
    assert_eq!(json_error(&output), ("no_responders".into(), 3));
    assert_eq!(broker.run(&["request", "nobody", "--replies", "2"]).status.code(), Some(3));
}

const USERS: &str = "
[[auth.users]]
name = 'ann'
password = 'pw'
permissions = { publish = ['open.>', 'up'], subscribe = ['open.>', '_INBOX.>'] }
";

#[test]
fn several_answer_who_are_in_groups_of_their_own_and_one_of_each_group() {
    let broker = Broker::open();
    let reply = |queue: &str| broker.background(&["reply", "fleet.status", "here", "--queue", queue]);
    let _ships = [reply("one"), reply("two"), reply("three"), reply("three")];
    let ask = |count: &str| broker.run(&["request", "fleet.status", "--replies", count, "--timeout", "2s", "--raw"]);
    let all = ask("3");
    assert_eq!((all.status.code(), text(&all.stdout).matches("here").count()), (Some(0), 3), "{all:?}");
    // The control: the two in one group are one.
    let too_many = broker.run(&["request", "fleet.status", "--replies", "4", "--timeout", "300ms"]);
    assert_eq!(too_many.status.code(), Some(5), "{too_many:?}");
}

#[test]
fn code_4_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.toml");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fs::write(&config, format!("listen = 'tcp://127.0.0.1:{port}'\n{USERS}")).unwrap();
    let mut process = crosstie(&["serve", "--config", config.to_str().unwrap()]);
    let _process = Running(process.stderr(Stdio::null()).spawn().unwrap());
    let url = format!("nats://ann:pw@127.0.0.1:{port}");
    let with = |url: &str, arguments: &[&str]| {
        let mut all = vec!["--json", "-s", url];
        all.extend(arguments);
        run(&mut crosstie(&all))
    };
    until("the broker answers", || with(&url, &["pub", "up"]).status.code() == Some(0));
    let wrong = format!("nats://ann:wrong@127.0.0.1:{port}");
    assert_eq!(json_error(&with(&wrong, &["pub", "up"])), ("denied".into(), 4));
    for arguments in [
        &["pub", "secret"][..],
        &["sub", "secret.>"],
        &["reply", "secret", "--echo"],
        &["request", "secret", "--timeout", "100ms"],
        &["request", "secret", "--timeout", "100ms", "--replies", "2"],
    ] {
        assert_eq!(json_error(&with(&url, arguments)), ("denied".into(), 4), "{arguments:?}");
    }
    assert_eq!(with(&url, &["pub", "open.x"]).status.code(), Some(0));
}

#[test]
fn a_request_that_is_denied_does_not_wait_for_its_time() {
    let config = "auth = { no_auth_user = 'ann', users = [{ name = 'ann', password = 'pw', permissions = { publish = 'up' } }] }";
    let broker = Broker::start(config);
    let begun = Instant::now();
    let output = broker.run(&["--json", "request", "secret", "--timeout", "1h"]);
    assert_eq!(json_error(&output), ("denied".into(), 4));
    assert!(begun.elapsed() < LONG);
}

#[test]
fn code_5_is_out_of_time() {
    let broker = Broker::open();
    let _mute = broker.background(&["sub", "mute"]);
    let output = broker.run(&["--json", "request", "mute", "--timeout", "50ms"]);
    assert_eq!(json_error(&output), ("timeout".into(), 5));
    assert_eq!(broker.run(&["request", "mute", "--timeout", "50ms", "--replies", "2"]).status.code(), Some(5));
    assert_eq!(broker.run(&["sub", "quiet", "--timeout", "50ms"]).status.code(), Some(5));
}

#[test]
fn code_6_is_an_error_of_the_other_side() {
    let broker = Broker::open();
    let _service = broker.background(&["reply", "broken", "--exec", "exit 9"]);
    let output = broker.run(&["request", "broken"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stderr).contains("the service failed"), "{}", text(&output.stderr));
}

#[test]
fn code_7_is_refused_and_nothing_was_executed() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("nats://127.0.0.1:{port}");
    for arguments in [&["pub", "a"][..], &["sub", "a"], &["request", "a"], &["reply", "a", "--echo"], &["bench"]] {
        let mut all = vec!["--json", "-s", &url];
        all.extend(arguments);
        assert_eq!(json_error(&run(&mut crosstie(&all))), ("disconnected".into(), 7), "{arguments:?}");
    }
}

#[test]
fn codes_130_and_143_are_ended_by_a_signal_as_a_shell_counts_it() {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::{Pid, Signal, kill_process};
    let broker = Broker::open();
    for (signal, number) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut sub = broker.background(&["sub", "a"]);
        kill_process(Pid::from_child(&sub.0), signal).unwrap();
        // A shell adds 128 to the signal.
        assert_eq!(sub.0.wait().unwrap().signal(), Some(number - 128));
    }
}

#[test]
fn a_server_that_is_told_to_end_ends_with_0() {
    use rustix::process::{Pid, Signal, kill_process};
    for signal in [Signal::INT, Signal::TERM] {
        let mut broker = Broker::open();
        kill_process(Pid::from_child(&broker.process.0), signal).unwrap();
        assert_eq!(broker.process.0.wait().unwrap().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn the_help_lists_every_exit_code() {
    let output = run(&mut crosstie(&["--help"]));
    let line = |code: &str| text(&output.stdout).split(&format!("\n  {code}    ")).nth(1).unwrap().to_owned();
    assert!(line("3").starts_with("not found: nobody answers to this subject, no segment has this name;"));
    let refused = line("7").split("130").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(refused.contains("or no broker to connect to; nothing was executed, try again"), "{refused}");
    for code in ["0  ", "1  ", "2  ", "3  ", "4  ", "5  ", "6  ", "7  ", "130", "143"] {
        assert!(text(&output.stdout).lines().any(|line| line.trim_start().starts_with(code)), "{code}");
    }
}

// ── streams ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn data_is_on_standard_output_and_words_are_on_standard_error() {
    let broker = Broker::open();
    let mut command = crosstie(&["sub", "a.*", "--count", "2", "--server", &broker.url]);
    let mut sub = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut words = BufReader::new(sub.stderr.take().unwrap());
    let mut line = String::new();
    words.read_line(&mut line).unwrap();
    assert_eq!(line, "listening on 'a.*'\n");
    assert_eq!(broker.run(&["pub", "a.b", "one", "-H", "K:v"]).status.code(), Some(0));
    assert_eq!(broker.run(&["pub", "a.c", "two", "--reply", "r"]).status.code(), Some(0));
    let mut data = String::new();
    sub.stdout.take().unwrap().read_to_string(&mut data).unwrap();
    assert_eq!(data, "[a.b] one\n    K: v\n[a.c] (r) two\n");
    line.clear();
    words.read_to_string(&mut line).unwrap();
    assert_eq!(line, "");
    assert!(sub.wait().unwrap().success());
}

#[test]
fn every_command_speaks_json() {
    let broker = Broker::open();
    let _service = broker.background(&["reply", "up", "{{payload}}!"]);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.toml");
    fs::write(&config, "").unwrap();
    let (config, pages) = (config.to_str().unwrap(), folder.path().join("man1"));
    for (arguments, field) in [
        (&["pub", "a", "x"][..], "published"),
        (&["request", "up", "x"], "payload"),
        (&["bench", "--seconds", "0.1"], "latency_ns"),
        (&["check-config", config], "valid"),
        (&["completions", "bash"], "script"),
        (&["man", pages.to_str().unwrap()], "pages"),
        (&["serve", "--print-config"], "keys"),
        (&["demo", "--seconds", "1"], "balanced"),
    ] {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let output = broker.run(&all);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        for line in text(&output.stdout).lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["schema"], 1, "{arguments:?}");
            assert!(!value[field].is_null(), "{arguments:?}: {value}");
        }
        assert_ne!(output.stdout.len(), 0, "{arguments:?}");
    }
}

#[test]
fn help_and_version_speak_json_too() {
    for (arguments, field, part) in [
        (&["--json", "--help"][..], "help", "Usage: crosstie"),
        (&["pub", "--help", "--json"], "help", "Examples:"),
        (&["--json", "help", "shm"], "help", "Usage: crosstie shm"),
        (&["--json", "--version"], "version", "crosstie "),
    ] {
        let output = run(&mut crosstie(arguments));
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &value["schema"]), (Some(0), &1.into()), "{arguments:?}");
        assert!(value[field].as_str().unwrap().contains(part), "{arguments:?}: {value}");
    }
}

#[test]
fn a_measurement_has_percentiles_rates_and_facts_about_the_host() {
    let broker = Broker::open();
    let output = broker.run(&["--json", "bench", "--seconds", "0.3", "--rate", "2000", "--subs", "2"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let at = |name: &str| value["latency_ns"][name].as_u64().unwrap();
    assert!(0 < at("p50") && at("p50") <= at("p90") && at("p90") <= at("p99"));
    assert!(at("p99") <= at("p99.9") && at("p99.9") <= at("max"));
    assert_eq!(value["received"].as_u64(), value["published"].as_u64().map(|count| 2 * count));
    assert_eq!((&value["lost"], &value["rate"]), (&0.into(), &2000.into()));
    assert!(value["publish_rate"].as_u64().unwrap() <= 2500, "an open loop does not send more than it was asked to");
    for fact in ["cpu", "cores", "kernel", "load"] {
        assert!(!value["host"][fact].is_null(), "{fact}");
    }
}

#[test]
fn colours_are_not_in_a_pipe_unless_asked_for_and_never_in_json() {
    let broker = Broker::open();
    let _service = broker.background(&["reply", "up", "x"]);
    let has = |arguments: &[&str]| broker.run(arguments).stdout.contains(&0x1b);
    assert!(!has(&["request", "up"]));
    assert!(has(&["request", "up", "--color", "always"]));
    assert!(!has(&["request", "up", "--color", "always", "--json"]));
}

#[test]
fn an_output_that_nobody_reads_ends_it_without_a_word() {
    let broker = Broker::open();
    for arguments in [&["completions", "bash"][..], &["serve", "--print-config"], &["--help"], &["nats", "--help"]] {
        let mut command = crosstie(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments:?}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = crosstie(&["sub", "a", "--server", &broker.url]);
    let mut sub = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    let mut words = BufReader::new(sub.stderr.take().unwrap());
    words.read_line(&mut String::new()).unwrap();
    drop(reader);
    assert_eq!(broker.run(&["pub", "a", "x"]).status.code(), Some(0));
    let mut rest = String::new();
    words.read_to_string(&mut rest).unwrap();
    assert_eq!((sub.wait().unwrap().code(), rest.as_str()), (Some(0), ""));
}

#[test]
fn input_and_output_may_be_any_bytes() {
    let broker = Broker::open();
    let bytes: Vec<u8> = (0..=255).collect();
    let mut command = crosstie(&["sub", "blob", "--raw", "--count", "1", "--server", &broker.url]);
    let mut sub = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    BufReader::new(sub.stderr.take().unwrap()).read_line(&mut String::new()).unwrap();
    let mut command = crosstie(&["pub", "blob", "-", "--server", &broker.url]);
    let mut publishing = command.stdin(Stdio::piped()).spawn().unwrap();
    publishing.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(publishing.wait().unwrap().success());
    assert_eq!(sub.wait_with_output().unwrap().stdout, bytes);
}

#[test]
fn no_help_shows_what_is_secret() {
    let output = run(crosstie(&["pub", "--help"]).env("CROSSTIE_URL", "nats://ann:hidden@h"));
    assert!(text(&output.stdout).contains("CROSSTIE_URL") && !text(&output.stdout).contains("hidden"));
}

#[test]
fn nats_is_found_behind_options_too() {
    for arguments in [&["nats", "--version"][..], &["--json", "nats", "--version"]] {
        let output = run(&mut crosstie(arguments));
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).starts_with("nats-server: v2."), "{arguments:?}");
    }
    let output = run(&mut crosstie(&["--json", "nats", "--cluster", "x"]));
    let (_, code) = json_error(&output);
    assert_ne!(code, 0);
}

#[test]
fn the_example_of_the_configuration_is_valid() {
    let broker = Broker::open();
    let printed = run(&mut crosstie(&["serve", "--print-config"])).stdout;
    let file = broker.folder.path().join("printed.toml");
    fs::write(&file, printed).unwrap();
    assert_eq!(code(&["check-config", file.to_str().unwrap()]), Some(0));
}
