//! Our own configuration: layers, origins, errors with their places, and the page of documentation made from the same table.

use std::{env, fs, path::PathBuf, time::Duration};

use crosstie_server::{KEYS, Layers, Origin, Server, Settings, check_config, commented, mistakes, reference};
use tempfile::TempPath;

/// A file that is removed with its last use.
fn file(name: &str, text: &str) -> TempPath {
    let name = format!("crosstie-{name}-");
    let file = tempfile::Builder::new().prefix(&name).suffix(".toml").tempfile().unwrap();
    fs::write(file.path(), text).unwrap();
    file.into_temp_path()
}

fn layers(file: Option<PathBuf>, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Layers {
    let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let mut layers = Layers::default();
    (layers.file, layers.variables, layers.flags) = (file, own(variables), own(flags));
    layers
}

#[test]
fn a_flag_beats_the_environment_and_that_beats_the_file() {
    let path = file("layers", "server_name = \"file\"\nreactors = 1\n[limits]\nmax_payload = \"2MiB\"\n");
    let variables = [("CROSSTIE_SERVER_NAME", "env"), ("CROSSTIE_REACTORS", "2"), ("HOME", "/")];
    let loaded = layers(Some(path.to_path_buf()), &variables, &[("server_name", "flag")]).load().unwrap();
    let options = &loaded.settings.options;
    assert_eq!(options.server_name.as_deref(), Some("flag"));
    assert_eq!((options.reactors, options.limits.max_payload), (2, 2 << 20));
    let origin = |path: &str| loaded.origin(KEYS.iter().find(|key| key.path == path).unwrap());
    assert_eq!(origin("server_name"), Origin::Flag("--server-name".to_owned()));
    assert_eq!(origin("reactors"), Origin::Environment("CROSSTIE_REACTORS".to_owned()));
    assert!(matches!(origin("limits.max_payload"), Origin::File(place) if place.ends_with(".toml:4:1")));
    assert_eq!(origin("ping_interval"), Origin::Default);
    let text = commented(&loaded);
    assert!(text.contains("# Origin: flag --server-name\nserver_name = \"flag\"\n"), "{text}");
}

#[test]
fn one_number_shares_out_the_memory_and_what_was_set_stays() {
    let limits = |flags: &[(&str, &str)]| layers(None, &[], flags).load().unwrap().settings.options.limits;
    let default = limits(&[]);
    assert_eq!((default.memory, default.max_connections), (256 << 20, 16384));
    let small = limits(&[("limits.memory", "32MiB")]);
    assert_eq!((small.max_connections, small.max_pending_total, small.max_pending), (2048, 8 << 20, 8 << 20));
    assert_eq!((small.max_held_input_total, small.max_remembered_total), (4 << 20, 6 << 20));
    let set = limits(&[("limits.memory", "32MiB"), ("limits.max_held_input_total", "1MiB")]);
    assert_eq!((set.max_held_input_total, set.max_remembered_total), (1 << 20, 6 << 20));
}

#[test]
fn what_is_printed_reads_back_as_the_same_and_tells_no_secret() {
    let path = file(
        "printed",
        r#"
listen = ["tcp://127.0.0.1:0", "unix:/tmp/x.sock"]
http = "[::1]:8222"
pid_file = "/tmp/pid"
write_deadline = "1m30s"
[auth]
timeout = "250ms"
no_auth_user = "a"
[[auth.users]]
name = "a"
password = "s3cret"
permissions = { publish = "p.>", subscribe = { allow = ["s", "t q.*"], deny = "u" }, allow_responses = { max = 3, expires = "1m" } }
[log]
level = "warn,crosstie_broker=debug"
format = "json"
"#,
    );
    let loaded = check_config(&path).unwrap();
    assert_eq!(loaded.settings.options.auth.timeout, Duration::from_millis(250));
    let text = commented(&loaded);
    assert!(!text.contains("s3cret") && text.starts_with("# Secrets are redacted"), "{text}");
    let again = check_config(&file("printed-again", &text.replace("***redacted***", "s3cret"))).unwrap();
    let values = |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(values(&commented(&again)), values(&text));
    let permissions = |settings: &Settings| settings.options.auth.users[0].permissions.clone();
    assert_eq!(permissions(&again.settings), permissions(&loaded.settings));
}

#[test]
fn what_stands_in_the_place_of_a_secret_is_no_secret() {
    let users = |password: &str| format!("[[auth.users]]\nname = 'a'\npassword = '{password}'\n");
    let token = |token: &str| format!("[auth]\ntoken = '{token}'\n");
    for text in [users("s3cret"), token("s3cret")] {
        let printed = commented(&check_config(&file("redacted", &text)).unwrap());
        let error = check_config(&file("redacted", &printed)).unwrap_err();
        assert!(error.message().contains("--print-config") && error.line().is_some(), "{error}");
    }
    let in_a_file = file("redacted-secret", "***redacted***\n");
    assert!(layers(None, &[("CROSSTIE_AUTH_TOKEN_FILE", in_a_file.to_str().unwrap())], &[]).load().is_err());
    for (secret, is_fine) in [("***", false), ("***redacted***", false), ("*a*", true), ("redacted", true)] {
        for text in [users(secret), token(secret)] {
            assert_eq!(check_config(&file("placeholder", &text)).is_ok(), is_fine, "{text}");
        }
    }
    // Without a secret nothing is redacted, and nothing says so.
    assert!(!commented(&layers(None, &[], &[]).load().unwrap()).contains("redacted"));
}

#[test]
fn control_the_same_file_with_the_secret_in_it_is_read() {
    let text = "[auth]\ntoken = 's3cret'\nusers = [{ name = 'a', password = 's3cret' }]\n";
    let printed = commented(&check_config(&file("control", text)).unwrap());
    assert_eq!(printed.matches("***redacted***").count(), 2);
    assert!(check_config(&file("control", &printed)).is_err());
    let whole = check_config(&file("control", &printed.replace("***redacted***", "s3cret"))).unwrap();
    assert_eq!(whole.settings.options.auth.users[0].password.expose(), "s3cret");
}

#[test]
fn errors_name_line_column_and_what_was_meant() {
    for (text, line, column, part) in [
        ("reactors = 1\nserver_nam = 'x'", 2, 1, "unknown key 'server_nam': did you mean 'server_name'?"),
        ("[limits]\n  max_paylaod = 1", 2, 3, "did you mean 'limits.max_payload'?"),
        ("[limts]\nmax_payload = 1", 1, 2, "unknown key 'limts'"),
        ("reactors = 'many'", 1, 12, "expected a number, found 'many'"),
        ("reactors = -1", 1, 12, "out of range"),
        ("ping_interval = 5", 1, 17, "expected a time with its unit"),
        ("[limits]\nmax_payload = '1 parsec'", 2, 15, "expected a size like '64MiB'"),
        ("listen = ['udp://127.0.0.1:1']", 1, 11, "expected tcp://host:port or unix:/path"),
        ("listen = ['tcp://host:seven']", 1, 11, "expected a port"),
        ("listen = []", 1, 10, "at least one endpoint"),
        ("http = 'here'", 1, 8, "expected host:port"),
        ("log.level = 'a=b=c'", 1, 13, "expected a level"),
        ("log.format = 'xml'", 1, 14, "expected 'text', 'json' or 'nats'"),
        ("auth.users = [{ name = 'a' }]", 1, 24, "expected either 'password' or 'password_file'"),
        ("auth.users = [{ nam = 'a' }]", 1, 17, "did you mean 'name'?"),
        ("a = ", 1, 5, ""),
    ] {
        let error = check_config(&file("errors", text)).unwrap_err();
        assert_eq!((error.line(), error.column()), (Some(line), Some(column)), "{text}: {error}");
        assert!(error.message().contains(part), "{text}: {error}");
    }
    let error = layers(None, &[("CROSSTIE_REACTORS", "x")], &[]).load().unwrap_err();
    assert!(error.to_string().starts_with("environment variable CROSSTIE_REACTORS: "), "{error}");
    let error = layers(None, &[], &[("auth.token", "x")]).load().unwrap_err();
    assert!(error.to_string().contains("cannot be a flag"), "{error}");
    let error = layers(None, &[("CROSSTIE_AUTH_NO_AUTH_USER", "nobody")], &[]).load().unwrap_err();
    assert!(error.to_string().contains("found 'nobody'"), "{error}");
}

#[test]
fn secrets_come_from_files_and_variables() {
    let secret = file("secret", "from-file\nmore\n");
    let loaded = layers(None, &[], &[("auth.token_file", secret.to_str().unwrap())]).load().unwrap();
    assert_eq!(loaded.settings.options.auth.token.unwrap().expose(), "from-file");
    let users = "[{ name = 'a', password = 'b' }]";
    let loaded = layers(None, &[("CROSSTIE_AUTH_TOKEN", "t"), ("CROSSTIE_AUTH_USERS", users)], &[]).load().unwrap();
    assert_eq!(loaded.settings.options.auth.users[0].name, "a");
    assert!(!commented(&loaded).contains("= \"t\""));
}

#[test]
fn the_documentation_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let reference = reference();
    if env::var_os("CROSSTIE_UPDATE_DOCS").is_some() {
        fs::write(path, &reference).unwrap();
    }
    let written = fs::read_to_string(path).unwrap();
    assert!(written == reference, "docs/configuration.md is old: run this test again with CROSSTIE_UPDATE_DOCS=1");
    for key in KEYS {
        assert!(key.doc.ends_with('.') && key.doc.len() > 20, "{} needs a sentence", key.path);
    }
}

#[test]
fn a_server_inside_this_process_listens_where_it_was_told() {
    let loaded =
        layers(None, &[], &[("listen", "tcp://127.0.0.1:0"), ("http", "127.0.0.1:0"), ("server-name", "x")]).load();
    assert!(loaded.is_err(), "a key is named by its path, not by its flag");
    let loaded = layers(None, &[], &[("listen", "tcp://127.0.0.1:0"), ("http", "127.0.0.1:0")]).load().unwrap();
    let server = Server::start(&loaded.settings).unwrap();
    assert!(!server.endpoints()[0].to_string().ends_with(":0"));
    let address = server.monitoring().unwrap();
    assert!(std::net::TcpStream::connect(address).is_ok());
    drop(server);
    assert!(std::net::TcpStream::connect(address).is_err(), "it ends with its value");
}

#[test]
fn a_listener_without_a_scheme_is_tcp() {
    let listen = |text: &str| {
        let loaded = layers(None, &[], &[("listen", text)]).load()?;
        Ok::<_, crosstie_server::ConfigError>(loaded.settings.listen[0].to_string())
    };
    assert_eq!(listen("127.0.0.1:4333").unwrap(), "tcp://127.0.0.1:4333");
    assert_eq!(listen("localhost:4333").unwrap(), "tcp://localhost:4333");
    assert!(listen("localhost").is_err() && listen("/tmp/x").is_err() && listen("fd:3").is_err());
}

#[test]
fn an_open_door_must_be_spelled_out() {
    let refused = |flags: &[(&str, &str)]| {
        let loaded = layers(None, &[("CROSSTIE_LISTEN", "tcp://0.0.0.0:0")], flags).load().unwrap();
        Server::start(&loaded.settings).err().map(|error| error.to_string())
    };
    assert!(refused(&[]).unwrap().contains("insecure"));
    assert_eq!(refused(&[("insecure", "true")]), None);
}

#[test]
fn all_mistakes_are_told_in_one_go() {
    let places = |text: &str| -> Vec<(usize, usize)> {
        let found = mistakes(&file("mistakes", text));
        found.iter().map(|mistake| (mistake.line().unwrap(), mistake.column().unwrap())).collect()
    };
    let text = "reactors = 'many'
lissten = 1
[limits]
max_payload = '3MiB'
max_pending = '2MiB'
max_paylaod = 1
memory = 'a lot'
[auth]
no_auth_user = 'nobody'
[[auth.users]]
nam = 'a'
[[auth.users]]
name = 'b'
[[auth.users]]
name = 'c'
password = 'd'
";
    // The user who is taken without credentials may be one of those who are wrong.
    assert_eq!(places(text), [(1, 12), (2, 1), (4, 1), (6, 1), (7, 10), (11, 1), (13, 8)]);
    let first = check_config(&file("mistakes", text)).unwrap_err();
    assert_eq!((first.line(), first.column()), (Some(1), Some(12)));
    let text = "[[auth.users]]
name = ['a']
password = '***'
permissions = { publish = ['a..b', 'ok', 'c d'], subscribe = { alow = 'x', deny = '>.>' }, allow_responses = 'perhaps' }
colour = 'red'
[[auth.users]]
name = 'b'
password = 'x'
[[auth.users]]
name = 'b'
";
    let of_users = places(text);
    let lines: Vec<_> = of_users.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 4, 4, 4, 4, 5, 9, 10], "each mistake of each user: {of_users:?}");
    assert_eq!(places("[auth]\nno_auth_user = 'nobody'\n"), [(2, 1)]);
    assert_eq!(places("a = \nreactors = 'x'\nb = [1\n")[0], (1, 5), "what is no TOML is told alone");
    assert!(places("a = \nb == 1\n").len() >= 2);
    assert!(mistakes(std::path::Path::new("/nonexistent/c.toml"))[0].message().contains("cannot read"));
}

#[test]
fn control_a_file_without_mistakes_has_none() {
    assert_eq!(mistakes(&file("valid", "reactors = 1\n[limits]\nmax_payload = '1MiB'\n")), []);
}
