//! The process contract: what programs that start nats-server see and may ask for. The server is this very test program, started
//! again as a child.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::fs::{CWD, Mode, mkfifoat};

const ARGUMENTS: &str = "CROSSTIE_TEST_ARGUMENTS";
const PATIENCE: Duration = Duration::from_secs(20);

/// Not a test: the server itself, if the environment says so.
#[test]
#[ignore = "it is the child of the other tests"]
fn child() {
    let Ok(arguments) = env::var(ARGUMENTS) else { return };
    let arguments: Vec<_> = arguments.lines().map(Into::into).collect();
    let code = crosstie_server::main_nats(arguments.into_iter());
    // The test harness would say 0 or 101.
    std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
}

/// A folder that goes with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("crosstie-process-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running child, killed with this value.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(ARGUMENTS, arguments.join("\n"))
        .env_remove("CROSSTIE_INSECURE")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a child that ends by itself says, and whether it succeeded.
fn output(arguments: &[&str]) -> (bool, String) {
    let output = command(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up waiting for {what}");
        std::thread::yield_now();
    }
}

impl Served {
    /// Starts a child that logs to `log`, and waits until it is ready.
    fn start(log: &Path, arguments: &[&str]) -> Self {
        let log_text = log.display().to_string();
        let arguments = [arguments, &["-l", &log_text]].concat();
        let mut served = Self(command(&arguments).spawn().unwrap());
        wait_for("the server to be ready", || {
            if let Some(status) = served.0.try_wait().unwrap() {
                let mut text = String::new();
                served.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
                panic!("the server has ended ({status}): {text}");
            }
            read(log).contains("Server is ready").then_some(())
        });
        served
    }

    fn signal(&self, name: &str) {
        let (success, text) = output(&[&format!("--signal={name}={}", self.0.id())]);
        assert!(success, "{text}");
    }

    fn end(&mut self) -> ExitStatus {
        wait_for("the server to end", || self.0.try_wait().unwrap())
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The address behind ` client connections on `.
fn address(log: &Path) -> String {
    let text = read(log);
    let line = text.lines().find(|line| line.contains(" client connections on ")).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

fn info(address: &str) -> serde_json::Value {
    let mut line = String::new();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str(line.strip_prefix("INFO ").unwrap()).unwrap()
}

#[test]
fn a_harness_finds_everything_it_looks_for() {
    let folder = Folder::new();
    let log = folder.0.join("log");
    let (pid_file, store) = (folder.join("pid"), folder.join("store"));
    let mut served = Served::start(
        &log,
        &["--store_dir", &store, "-p", "-1", "-P", &pid_file, "-m", "-1", "--ports_file_dir", &folder.join("")],
    );
    let text = read(&log);
    assert!(text.contains(&format!("Store Directory:  \"{store}\"")), "{text}");
    let line = text.lines().find(|line| line.contains("Server is ready")).unwrap();
    assert!(line.starts_with(&format!("[{}] 20", served.0.id())) && line.contains(" [INF] "), "{line}");
    assert_eq!(read(Path::new(&pid_file)), served.0.id().to_string());

    let address = address(&log);
    let info = info(&address);
    assert_eq!(info["version"], crosstie_server::NATS_VERSION);
    let program = env::current_exe().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    let ports_file = folder.0.join(format!("{program}_{}.ports", served.0.id()));
    let ports: serde_json::Value = serde_json::from_str(&read(&ports_file)).unwrap();
    assert_eq!(ports["nats"][0], format!("nats://{address}"));

    let monitoring = ports["monitoring"][0].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    let mut client = TcpStream::connect(&address).unwrap();
    client.write_all(b"CONNECT {\"name\":\"probe\"}\r\nSUB a.* q 7\r\nPING\r\n").unwrap();
    let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "PONG"));
    let connz = get(&monitoring, "/connz?subs=detail");
    // The connection that read INFO may not have been forgotten yet.
    let probe = connz["connections"].as_array().unwrap().iter().find(|connection| connection["name"] == "probe");
    assert_eq!(probe.unwrap()["subscriptions_list_detail"][0]["qgroup"], "q", "{connz}");
    assert_eq!(get(&monitoring, "/subsz?subs=1&test=a.b")["total"], 1);
    assert_eq!(get(&monitoring, "/subsz?subs=1&test=b.b")["total"], 0);

    served.signal("quit");
    assert!(served.end().success());
    assert!(!Path::new(&pid_file).exists() && !ports_file.exists(), "what was written is taken away");
}

fn get(address: &str, path: &str) -> serde_json::Value {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn usr1_opens_the_log_anew() {
    let folder = Folder::new();
    let log = folder.0.join("log");
    let mut served = Served::start(&log, &["-p", "-1"]);
    fs::rename(&log, folder.0.join("log.1")).unwrap();
    served.signal("reopen");
    wait_for("the new log", || read(&log).contains("re-opened").then_some(()));
    served.signal("term");
    assert!(served.end().success());
}

#[test]
fn hup_puts_in_force_what_can_change_or_says_what_cannot_and_changes_nothing() {
    let folder = Folder::new();
    let (log, config) = (folder.0.join("log"), folder.0.join("nats.conf"));
    let first = "port: -1\nmax_payload: 1KB\nauthorization: { users: [{ user: ann, password: a }, { user: bob, password: b }] }\n";
    fs::write(&config, first).unwrap();
    let mut served = Served::start(&log, &["-c", &config.display().to_string()]);
    let reload = |text: &str, answer: &str| {
        fs::write(&config, text).unwrap();
        let before = read(&log).len();
        served.signal("reload");
        wait_for("the answer to the reload", || {
            read(&log)[before..].contains(answer).then(|| read(&log)[before..].to_owned())
        })
    };
    let address = address(&log);
    assert_eq!(info(&address)["max_payload"], 1024);
    let [mut ann, mut bob] = [("ann", "a"), ("bob", "b")].map(|(user, password)| {
        let mut client = TcpStream::connect(&address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(client, "CONNECT {{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"{password}\"}}\r\nPING\r\n")
            .unwrap();
        let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "PONG"));
        (client, lines)
    });

    let text =
        reload(&first.replace("1KB", "2KB").replace("port: -1", "port: -1\nserver_name: x"), "nothing has changed");
    assert!(text.contains("'server_name' cannot change while the server runs"), "{text}");
    assert_eq!(info(&address)["max_payload"], 1024);
    reload(&first.replace("max_payload", "max_paylod"), "nats.conf:2:1: unknown key 'max_paylod'");

    let second = first.replace("1KB", "2KB").replace("password: b", "password: new") + "debug: true\n";
    let text = reload(&second, "Reloaded server configuration");
    for key in ["limits.max_payload", "auth.users", "log.level"] {
        assert!(text.contains(&format!("Reloaded: {key}")), "{text}");
    }
    assert!(text.contains("Cut off 1 connections"), "{text}");
    assert_eq!(info(&address)["max_payload"], 2048);
    assert_eq!(bob.1.next().unwrap().unwrap(), "-ERR 'Authorization Violation'");
    assert!(bob.1.next().is_none_or(|line| line.is_err()) && bob.0.take_error().is_ok(), "bob is cut off");
    ann.0.write_all(b"PING\r\n").unwrap();
    assert_eq!(ann.1.next().unwrap().unwrap(), "PONG", "ann stays");
    served.signal("term");
    assert!(served.end().success());
}

#[test]
fn a_configuration_that_may_never_end_is_refused_and_signals_are_still_heard() {
    let folder = Folder::new();
    let (log, config) = (folder.0.join("log"), folder.0.join("nats.conf"));
    fs::write(&config, "port: -1\n").unwrap();
    let mut served = Served::start(&log, &["-c", &config.display().to_string()]);
    // A pipe that nobody writes to, where the configuration was.
    fs::remove_file(&config).unwrap();
    mkfifoat(CWD, &config, Mode::RUSR | Mode::WUSR).unwrap();
    served.signal("reload");
    wait_for("the answer to the reload", || {
        read(&log).contains("nothing has changed").then_some(()).filter(|()| read(&log).contains("found a pipe"))
    });
    served.signal("term");
    assert!(served.end().success());
}

#[test]
fn lame_duck_mode_ends_the_server() {
    let folder = Folder::new();
    let (log, config) = (folder.0.join("log"), folder.0.join("nats.conf"));
    fs::write(&config, "port: -1\nlame_duck_duration: 1ms\nlame_duck_grace_period: 1ms").unwrap();
    let mut served = Served::start(&log, &["-c", &config.display().to_string()]);
    served.signal("ldm");
    assert!(served.end().success());
    assert!(read(&log).contains("Entering lame duck mode"));
}

#[test]
fn an_open_door_must_be_spelled_out() {
    let folder = Folder::new();
    let (success, text) = output(&["-a", "0.0.0.0", "-p", "-1"]);
    assert!(!success && text.contains("insecure"), "{text}");
    let log = folder.0.join("log");
    drop(Served::start(&log, &["-a", "0.0.0.0", "-p", "-1", "--insecure"]));
    assert!(read(&log).contains("nobody has to authenticate"));
    let log = folder.0.join("log2");
    drop(Served::start(&log, &["-a", "0.0.0.0", "-p", "-1", "--auth", "secret"]));
}

#[test]
fn calls_that_end_at_once_say_what_they_did() {
    let folder = Folder::new();
    let (success, text) = output(&["-v"]);
    assert!(success && text.contains(&format!("nats-server: v{}", crosstie_server::NATS_VERSION)), "{text}");
    let config = folder.0.join("nats.conf");
    let path = config.display().to_string();
    fs::write(&config, "port: 4222").unwrap();
    let (success, text) = output(&["-t", "-c", &path]);
    assert!(success && text.contains("is valid"), "{text}");
    fs::write(&config, "port: 4222\n\n  jetstream: {}").unwrap();
    let (success, text) = output(&["-t", "-c", &path]);
    assert!(!success && text.contains("nats.conf:3:3: 'jetstream'"), "{text}");
    let (success, text) = output(&["-js"]);
    assert!(!success && text.contains("'-js': JetStream is not supported"), "{text}");
    let (success, text) = output(&["--help"]);
    assert!(success && text.contains("--ports_file_dir"), "{text}");
    let (success, text) = output(&["--signal", "ldm"]);
    assert!(!success && text.contains("found no process"), "{text}");
}
