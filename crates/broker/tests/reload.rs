//! Other options for a broker that runs, on the pure core: what holds at once, who is cut off, what is refused.

mod recorded;

use crosstie_broker::{
    Options, Permissions, Reloaded, Rule, Rules, Secret, User,
    core::{Core, Next, Worker},
};
use crosstie_core::{Kind, Mono, Seeded, Wall};
use recorded::Client;

struct Served {
    core: Core,
    /// The reactor's, and the one of whoever reloads.
    worker: Worker,
    other: Worker,
}

impl Served {
    fn new(options: Options) -> Self {
        let core = Core::new(options, "NTEST".into(), "127.0.0.1".into(), 4222, Mono::ZERO, Wall::from_unix_nanos(0));
        let (worker, other) = (core.worker(Box::new(Seeded::new(1))), core.worker(Box::new(Seeded::new(2))));
        Self { core, worker, other }
    }

    fn open(&mut self) -> Client {
        Client::open(&self.core, &mut self.worker, Mono::ZERO)
    }

    /// A client that has introduced itself, with `credentials` as part of the JSON.
    fn enter(&mut self, credentials: &str) -> Client {
        let more = format!(",\"pedantic\":false,\"protocol\":1{credentials}");
        Client::enter(&self.core, &mut self.worker, Mono::ZERO, &more)
    }

    /// What comes in answer.
    fn say(&mut self, client: &mut Client, text: &str) -> String {
        let _ = self.input(client, text);
        client.seen()
    }

    fn input(&mut self, client: &mut Client, text: &str) -> Next {
        client.input(&self.core, &mut self.worker, Mono::ZERO, text)
    }

    fn reload(&mut self, options: Options) -> Reloaded {
        self.core.reload(&mut self.other, options, Mono::ZERO).unwrap()
    }
}

fn user(name: &str, password: &str, permissions: Permissions) -> User {
    User { name: name.into(), password: Secret::new(password), permissions }
}

fn with_users(users: Vec<User>) -> Options {
    let mut options = Options::default();
    options.auth.users = users;
    options
}

fn with_token(token: Option<&str>) -> Options {
    let mut options = Options::default();
    options.auth.token = token.map(Secret::new);
    options
}

fn deny(subject: &str) -> Rules {
    Rules { allow: None, deny: vec![Rule { subject: subject.parse().unwrap(), queue: None }] }
}

const ANN: &str = ",\"user\":\"ann\",\"pass\":\"a\"";
const BOB: &str = ",\"user\":\"bob\",\"pass\":\"b\"";

/// Ann is subscribed to `secret` and `>` when her permissions become `after`; then she publishes to `secret`, `open` and `tell`.
/// What the reload did, what she sees at once, and what she sees of her messages.
fn after_reload(after: Permissions) -> (Reloaded, String, String) {
    let mut served = Served::new(with_users(vec![user("ann", "a", Permissions::default())]));
    let mut ann = served.enter(ANN);
    // They are published to before, so that the reactor remembers who wants them and the check what is allowed.
    let publish = "PUB secret 1\r\nx\r\nPUB open 1\r\ny\r\nPUB tell 1\r\nz\r\n";
    let before = served.say(&mut ann, &format!("SUB secret 1\r\nSUB > 2\r\n{publish}"));
    assert_eq!(before.matches("MSG").count(), 4, "{before}");
    let done = served.reload(with_users(vec![user("ann", "a", after)]));
    assert!(!ann.is_cut_off());
    let at_once = ann.seen();
    let seen = served.say(&mut ann, publish);
    // And back: what was hidden is shown again.
    served.reload(with_users(vec![user("ann", "a", Permissions::default())]));
    assert!(served.say(&mut ann, "PUB secret 1\r\nx\r\n").contains("MSG secret 2 1"));
    (done, at_once, seen)
}

#[test]
fn permissions_hold_at_once_for_publishing_and_for_subscriptions_that_are_there() {
    let after = Permissions { subscribe: deny("secret"), publish: deny("tell"), ..Permissions::default() };
    let (done, at_once, seen) = after_reload(after);
    assert_eq!((done.cut_off, done.subscriptions_ended), (0, 1));
    assert_eq!(at_once, "-ERR 'Permissions Violation for Subscription to \"secret\" (sid \"1\")'\r\n");
    assert_eq!(seen, "MSG open 2 1\r\ny\r\n-ERR 'Permissions Violation for Publish to \"tell\"'\r\n");
}

#[test]
fn control_permissions_that_stay_forbid_nothing() {
    let (done, at_once, seen) = after_reload(Permissions::default());
    assert_eq!((done, at_once.as_str()), (Reloaded::default(), ""));
    assert_eq!(seen.matches("MSG").count(), 4, "{seen}");
}

/// Who is cut off when `after` replaces the users ann and bob: ann, bob.
fn cut_off_by(after: Options) -> [bool; 2] {
    let all = Permissions::default;
    let mut served = Served::new(with_users(vec![user("ann", "a", all()), user("bob", "b", all())]));
    let clients = [served.enter(ANN), served.enter(BOB)];
    let done = served.reload(after);
    let cut = clients.each_ref().map(Client::is_cut_off);
    assert_eq!(done.cut_off, cut.iter().filter(|cut| **cut).count());
    for client in &clients {
        assert_eq!(client.seen().contains("-ERR 'Authorization Violation'"), client.is_cut_off());
    }
    cut
}

#[test]
fn whoever_was_let_in_by_what_is_gone_is_cut_off() {
    let all = Permissions::default;
    assert_eq!(cut_off_by(with_users(vec![user("bob", "b", all())])), [true, false], "ann is gone");
    let users = vec![user("ann", "a", all()), user("bob", "new", all())];
    assert_eq!(cut_off_by(with_users(users)), [false, true], "bob has a new password");
    assert_eq!(cut_off_by(with_token(Some("t"))), [true, true]);

    let mut served = Served::new(with_token(Some("one")));
    let client = served.enter(",\"auth_token\":\"one\"");
    served.reload(with_token(Some("one")));
    assert!(!client.is_cut_off());
    served.reload(with_token(Some("two")));
    assert!(client.is_cut_off());
    // Whoever needed nothing needs something now.
    let mut served = Served::new(with_token(None));
    let client = served.enter("");
    served.reload(with_token(Some("one")));
    assert!(client.is_cut_off());
}

#[test]
fn control_whoever_is_still_there_stays() {
    let all = Permissions::default;
    assert_eq!(cut_off_by(with_users(vec![user("bob", "b", all()), user("ann", "a", all())])), [false, false]);
    assert_eq!(cut_off_by(Options::default()), [false, false], "nobody has to show anything any more");
    let mut fallback = with_users(vec![user("ann", "a", all()), user("bob", "b", all())]);
    fallback.auth.no_auth_user = Some("bob".into());
    assert_eq!(cut_off_by(fallback), [false, false]);
}

/// What Ann hears of what Bob had under way when the users became `after`.
fn heard_of_bob(after: Vec<User>) -> String {
    let ann = || user("ann", "a", Permissions::default());
    let mut served = Served::new(with_users(vec![ann(), user("bob", "b", Permissions::default())]));
    let (mut listening, mut bob) = (served.enter(ANN), served.enter(BOB));
    served.say(&mut listening, "SUB x 1\r\n");
    served.say(&mut bob, "PUB x 2\r\nh");
    served.reload(with_users([vec![ann()], after].concat()));
    served.say(&mut bob, "i\r\nPUB x 1\r\nm\r\n");
    listening.seen()
}

#[test]
fn of_whoever_is_cut_off_nothing_more_is_executed() {
    assert_eq!(heard_of_bob(Vec::new()), "");
}

#[test]
fn control_of_whoever_stays_all_is_executed() {
    let bob = user("bob", "b", Permissions::default());
    assert_eq!(heard_of_bob(vec![bob]), "MSG x 1 2\r\nhi\r\nMSG x 1 1\r\nm\r\n");
}

#[test]
fn a_password_that_changes_while_it_is_checked_lets_nobody_in() {
    let hash = bcrypt::hash("a", 4).unwrap();
    for (password, is_in) in [(hash.as_str(), true), ("new", false)] {
        let mut served = Served::new(with_users(vec![user("ann", &hash, Permissions::default())]));
        let mut ann = served.open();
        let connect = format!("CONNECT {{\"verbose\":false{ANN}}}\r\n");
        let Next::Check(check) = served.input(&mut ann, &connect) else { panic!("a hash is checked elsewhere") };
        served.reload(with_users(vec![user("ann", password, Permissions::default())]));
        let _ = served.core.checked(&mut ann.connection, &mut served.worker, check.run(), Mono::ZERO);
        assert_eq!(ann.connection.is_closing(), !is_in);
    }
}

#[test]
fn a_limit_holds_for_what_comes_next_and_clients_hear_of_it() {
    let mut served = Served::new(Options::default());
    let mut client = served.enter("");
    assert_eq!(served.say(&mut client, "SUB a 1\r\nSUB b 2\r\nPUB x 2\r\nhi\r\n"), "");
    let mut options = Options::default();
    (options.limits.max_payload, options.limits.max_subscriptions) = (1, 1);
    options.limits.max_connections = 1;
    assert_eq!(served.reload(options), Reloaded::default());
    let info = client.seen();
    assert!(info.starts_with("INFO ") && info.contains("\"max_payload\":1}"), "{info}");
    assert_eq!(served.say(&mut client, "PUB a 1\r\n.\r\n"), "MSG a 1 1\r\n.\r\n", "what is there stays");
    assert_eq!(served.say(&mut client, "SUB c 3\r\n"), "-ERR 'maximum subscriptions exceeded'\r\n");
    assert!(served.open().seen().ends_with("-ERR 'maximum connections exceeded'\r\n"));
    assert_eq!(served.say(&mut client, "PUB x 2\r\nhi\r\n"), "-ERR 'Maximum Payload Violation'\r\n");
}

#[test]
fn what_needs_a_new_start_is_refused_by_name_and_nothing_changes() {
    let mut served = Served::new(Options::default());
    let mut options = with_token(Some("t"));
    (options.server_name, options.reactors) = (Some("other".into()), 7);
    let error = served.core.reload(&mut served.other, options, Mono::ZERO).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert!(error.to_string().starts_with("server_name, reactors cannot change"), "{error}");
    assert!(served.core.options().auth.token.is_none());
    served.enter("");
}
