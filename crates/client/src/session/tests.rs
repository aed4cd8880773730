//! The session driven by hand, with a server that is a list of lines.

use std::time::Duration;

use bytes::BytesMut;
use crosstie_core::{Error, HostPort, Kind, Message, Mono, Result, Seeded, Target};

use super::*;
use crate::options::ConnectOptions;

const SECOND: Duration = Duration::from_secs(1);

fn target(port: u16) -> Target {
    Target::Tcp { host: HostPort { host: "h".into(), port } }
}

fn session(options: ConnectOptions) -> Session {
    Session::new(vec![target(1)], options, Box::new(Seeded::new(1)))
}

fn say(session: &mut Session, text: &str, now: Mono) -> Result<()> {
    session.received(&mut BytesMut::from(text), now)
}

fn output(session: &mut Session) -> String {
    let mut buffer = Vec::new();
    session.take_output(&mut buffer);
    String::from_utf8(buffer).unwrap()
}

/// Dials, greets and lets it in.
fn connect(session: &mut Session, now: Mono) {
    assert!(matches!(session.poll(now), Act::Dial(_)));
    session.dialed(now);
    say(session, "INFO {\"max_payload\":100,\"headers\":true}\r\n", now).unwrap();
    assert!(output(session).ends_with("PING\r\n"));
    say(session, "PONG\r\n", now).unwrap();
    assert!(session.is_connected());
}

fn note(text: &'static str, subject: &str) -> Message {
    Message::new(subject.parse().unwrap(), text)
}

fn take<T>(mailbox: &Mailbox<T>) -> T {
    mailbox.try_take().expect("something has come")
}

/// What a subscription has received and not given yet, as `subject=payload`.
fn taken(feed: &Feed) -> Vec<String> {
    std::iter::from_fn(|| feed.try_take())
        .map(|message| format!("{}={}", message.subject, String::from_utf8_lossy(&message.payload)))
        .collect()
}

#[test]
fn what_is_published_while_the_server_is_away_follows_the_subscriptions() {
    let mut session = session(ConnectOptions::new());
    let (_, feed) = session.subscribe("a.*".into(), None).unwrap();
    session.publish(&note("early", "b")).unwrap();
    connect(&mut session, Mono::ZERO);
    assert_eq!(output(&mut session), "SUB a.* 1\r\nPUB b 5\r\nearly\r\n");
    say(&mut session, "MSG a.x 1 2\r\nhi\r\n", Mono::ZERO).unwrap();
    assert_eq!(taken(&feed), ["a.x=hi"]);
}

/// A server that is about to leave, or learns of others, greets again, whatever has been said meanwhile.
#[test]
fn a_second_greeting_does_not_make_it_introduce_itself_again() {
    let mut session = session(ConnectOptions::new());
    let mut events = session.events();
    session.subscribe("a".into(), None).unwrap();
    assert!(matches!(session.poll(Mono::ZERO), Act::Dial(_)));
    session.dialed(Mono::ZERO);
    let greeting = "INFO {\"max_payload\":100,\"headers\":true}\r\n";
    say(&mut session, greeting, Mono::ZERO).unwrap();
    assert!(output(&mut session).starts_with("CONNECT "));
    say(&mut session, "INFO {\"max_payload\":100,\"headers\":true,\"ldm\":true}\r\n", Mono::ZERO).unwrap();
    assert_eq!(output(&mut session), "");
    say(&mut session, "PONG\r\n", Mono::ZERO).unwrap();
    assert_eq!(output(&mut session), "SUB a 1\r\n");
    say(&mut session, greeting, Mono::ZERO).unwrap();
    assert_eq!(output(&mut session), "");
    let told: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
    assert_eq!(told, [Event::LameDuck, Event::Connected]);
    // Whoever never lets it in after a greeting is given up in time, as one that never greets.
    session.lost(Mono::ZERO, Error::new(Kind::Disconnected, "cut"));
    let Act::Wait(at) = session.poll(Mono::ZERO) else { panic!() };
    assert!(matches!(session.poll(at), Act::Dial(_)));
    session.dialed(at);
    say(&mut session, greeting, at).unwrap();
    let Act::Wait(until) = session.poll(at) else { panic!() };
    say(&mut session, greeting, until).unwrap();
    assert_eq!(session.poll(until), Act::HangUp);
}

#[test]
fn after_a_loss_it_dials_again_and_asks_only_for_what_is_left() {
    let mut session = session(ConnectOptions::new());
    connect(&mut session, Mono::ZERO);
    let (sid, feed) = session.subscribe("a".into(), Some("q".into())).unwrap();
    session.unsubscribe(sid, Some(3));
    say(&mut session, "MSG a 1 0\r\n\r\n", Mono::ZERO).unwrap();
    session.lost(Mono::ZERO, Error::new(Kind::Disconnected, "cut"));
    let Act::Wait(at) = session.poll(Mono::ZERO) else { panic!() };
    assert!(at > Mono::ZERO, "it does not try again at once");
    connect(&mut session, at);
    assert_eq!(output(&mut session), "SUB a q 1\r\nUNSUB 1 2\r\n");
    say(&mut session, "MSG a 1 0\r\n\r\nMSG a 1 0\r\n\r\n", at).unwrap();
    assert_eq!(taken(&feed).len(), 3);
    assert!(feed.has_ended());
    assert_eq!(session.stats.reconnects, 1);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut session = session(ConnectOptions::new().reconnect_buffer(100));
    while session.publish(&note("0123456789", "a")).is_ok() {}
    let error = session.publish(&note("0123456789", "a")).unwrap_err();
    assert_eq!(error.kind(), Kind::Full);
    assert!(session.kept.len() <= 100, "the lines around the payloads count, too");
}

#[test]
fn no_responders_a_lost_connection_and_an_answer_are_different() {
    let mut session = session(ConnectOptions::new());
    connect(&mut session, Mono::ZERO);
    let ask = |session: &mut Session| session.request(note("?", "service"), 1).unwrap().unwrap();
    let (first, second, third) = (ask(&mut session), ask(&mut session), ask(&mut session));
    let sent = output(&mut session);
    let inbox = sent.split(' ').nth(1).unwrap().trim_end_matches('*').to_owned();
    say(
        &mut session,
        &format!("MSG {inbox}0 1 1\r\n!\r\nHMSG {inbox}1 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"),
        Mono::ZERO,
    )
    .unwrap();
    assert_eq!(take(&first.mailbox).unwrap().payload, "!");
    assert_eq!(take(&second.mailbox).unwrap_err().kind(), Kind::NoResponders);
    session.lost(Mono::ZERO, Error::new(Kind::Disconnected, "cut"));
    assert_eq!(take(&third.mailbox).unwrap_err().kind(), Kind::Disconnected);
}

#[test]
fn a_request_made_while_the_server_is_away_outlives_attempts_in_vain() {
    let mut session = session(ConnectOptions::new());
    connect(&mut session, Mono::ZERO);
    session.lost(Mono::ZERO, Error::new(Kind::Disconnected, "cut"));
    let answer = session.request(note("?", "service"), 1).unwrap().unwrap();
    let Act::Wait(at) = session.poll(Mono::ZERO) else { panic!() };
    assert!(matches!(session.poll(at), Act::Dial(_)));
    session.lost(at, Error::new(Kind::Disconnected, "nobody listens there"));
    assert!(answer.mailbox.try_take().is_none(), "it is kept, not lost");
    let Act::Wait(at) = session.poll(at) else { panic!() };
    connect(&mut session, at);
    let sent = output(&mut session);
    assert!(sent.contains("PUB service"), "{sent}");
    session.lost(at, Error::new(Kind::Disconnected, "cut"));
    assert_eq!(take(&answer.mailbox).unwrap_err().kind(), Kind::Disconnected);
}

#[test]
fn wrong_credentials_end_the_first_attempt() {
    let mut session = session(ConnectOptions::new());
    session.poll(Mono::ZERO);
    session.dialed(Mono::ZERO);
    let error = say(&mut session, "INFO {}\r\n-ERR 'Authorization Violation'\r\n", Mono::ZERO).unwrap_err();
    session.lost(Mono::ZERO, error);
    assert_eq!(take(&session.ready()).unwrap_err().kind(), Kind::Denied);
    assert_eq!(session.poll(Mono::ZERO), Act::End);
}

#[test]
fn a_server_that_answers_no_ping_is_left() {
    let mut session = session(ConnectOptions::new().ping(SECOND, 1));
    connect(&mut session, Mono::ZERO);
    let first = Mono::ZERO + SECOND;
    assert_eq!(session.poll(first), Act::Wait(first + SECOND));
    assert_eq!(session.poll(first + SECOND), Act::HangUp);
}

#[test]
fn draining_delivers_what_is_under_way_before_it_closes() {
    let mut session = session(ConnectOptions::new());
    connect(&mut session, Mono::ZERO);
    let (_, feed) = session.subscribe("a".into(), None).unwrap();
    let done = session.drain().unwrap();
    assert_eq!(output(&mut session), "SUB a 1\r\nUNSUB 1\r\nPING\r\n");
    say(&mut session, "MSG a 1 1\r\nx\r\nPONG\r\n", Mono::ZERO).unwrap();
    assert_eq!(output(&mut session), "PING\r\n");
    say(&mut session, "PONG\r\n", Mono::ZERO).unwrap();
    assert_eq!(taken(&feed), ["a=x"]);
    assert!(feed.has_ended());
    take(&done).unwrap();
    assert_eq!(session.poll(Mono::ZERO), Act::End);
}

#[test]
fn too_large_a_payload_is_refused_before_it_is_sent() {
    let mut session = session(ConnectOptions::new());
    connect(&mut session, Mono::ZERO);
    let message = Message::new("a".parse().unwrap(), vec![0; 101]);
    assert_eq!(session.publish(&message).unwrap_err().kind(), Kind::TooLarge);
    assert_eq!(output(&mut session), "");
}

#[test]
fn room_that_is_there_already_is_told_at_once() {
    let mut session = session(ConnectOptions::new().write_buffer(20));
    connect(&mut session, Mono::ZERO);
    while session.publish(&note("0123456789", "a")).unwrap() {}
    let early = session.wait_for_room();
    assert_eq!(early.try_take(), None, "there is no room yet");
    output(&mut session);
    assert_eq!(early.try_take(), Some(()));
    // The driver has taken everything before this one asks: nothing would ever come to wake it.
    assert_eq!(session.wait_for_room().try_take(), Some(()));
}

#[test]
fn a_subscription_that_drains_ends_with_its_connection() {
    let mut session = session(ConnectOptions::new());
    connect(&mut session, Mono::ZERO);
    let (sid, feed) = session.subscribe("a".into(), None).unwrap();
    session.subscribe("b".into(), None).unwrap();
    session.drain_subscription(sid);
    session.lost(Mono::ZERO, Error::new(Kind::Disconnected, "cut"));
    assert!(feed.has_ended());
    let Act::Wait(at) = session.poll(Mono::ZERO) else { panic!() };
    connect(&mut session, at);
    assert_eq!(output(&mut session), "SUB b 2\r\n", "only the other one is made again");
}

#[test]
fn headers_count_towards_the_largest_payload() {
    let mut session = session(ConnectOptions::new());
    connect(&mut session, Mono::ZERO);
    let mut message = note("0123456789", "a");
    message.headers.append("Name", "v".repeat(70)).unwrap();
    assert!(session.publish(&message).unwrap(), "100 bytes in all");
    assert_eq!(output(&mut session).lines().next(), Some("HPUB a 90 100"));
    message.headers.append("N", "").unwrap();
    assert_eq!(session.publish(&message).unwrap_err().kind(), Kind::TooLarge);
}

#[test]
fn a_full_subscription_is_told_of_once_and_keeps_the_oldest() {
    let mut session = session(ConnectOptions::new().subscription_capacity(2));
    connect(&mut session, Mono::ZERO);
    let mut events = session.events();
    assert_eq!(events.try_next(), Some(Event::Connected));
    let (_, feed) = session.subscribe("a".into(), None).unwrap();
    for _ in 0..3 {
        say(&mut session, "MSG a 1 1\r\n1\r\nMSG a 1 1\r\n2\r\nMSG a 1 1\r\n3\r\n", Mono::ZERO).unwrap();
    }
    assert_eq!(events.try_next(), Some(Event::SlowSubscription("a".into())));
    assert_eq!(events.try_next(), None);
    assert_eq!(taken(&feed), ["a=1", "a=2"]);
}

#[test]
fn a_subscription_that_does_not_drain_is_made_again() {
    let mut session = session(ConnectOptions::new());
    connect(&mut session, Mono::ZERO);
    let (_, feed) = session.subscribe("a".into(), None).unwrap();
    session.lost(Mono::ZERO, Error::new(Kind::Disconnected, "cut"));
    assert!(!feed.has_ended());
    let Act::Wait(at) = session.poll(Mono::ZERO) else { panic!() };
    connect(&mut session, at);
    assert_eq!(output(&mut session), "SUB a 1\r\n");
}

#[test]
fn messages_that_are_alike_and_those_between_come_in_order_however_they_are_cut() {
    let text = "MSG a 1 1\r\n1\r\nMSG a 1 2\r\n22\r\nMSG a 1 r 1\r\n3\r\nMSG a 1 1\r\n4\r\nMSG b 1 1\r\n5\r\nMSG b 1 1\r\n6\r\nMSG a 2 1\r\nx\r\n\
        HMSG b 1 12 13\r\nNATS/1.0\r\n\r\n7\r\nPING\r\nMSG b 1 1\r\n8\r\nMSG a 2 1\r\ny\r\nMSG a 2 1\r\nz\r\nMSG a 2 1\r\nw\r\n";
    for step in 1..text.len() {
        let mut session = session(ConnectOptions::new());
        connect(&mut session, Mono::ZERO);
        let (_, first) = session.subscribe(">".into(), None).unwrap();
        let (second_sid, second) = session.subscribe("a".into(), None).unwrap();
        session.unsubscribe(second_sid, Some(3));
        let mut input = BytesMut::new();
        for bytes in text.as_bytes().chunks(step) {
            input.extend_from_slice(bytes);
            session.received(&mut input, Mono::ZERO).unwrap();
        }
        assert_eq!(taken(&first), ["a=1", "a=22", "a=3", "a=4", "b=5", "b=6", "b=7", "b=8"], "cut every {step} bytes");
        assert_eq!(taken(&second), ["a=x", "a=y", "a=z"], "cut every {step} bytes, and no more than three");
        assert!(second.has_ended() && !first.has_ended());
        assert_eq!(session.stats().in_msgs, 12);
    }
}

#[test]
fn a_request_that_the_server_denies_fails_at_once_and_no_other_does() {
    let mut session = session(ConnectOptions::new());
    connect(&mut session, Mono::ZERO);
    let mut ask = |subject| session.request(note("?", subject), 1).unwrap().unwrap().mailbox;
    let (allowed, denied, other) = (ask("secret"), ask("secret"), ask("open"));
    for text in [
        "Permissions Violation for Subscription to \"secret\"",
        "Permissions",
        "ärgerlicher Fehler, ganz und gar ungewöhnlich",
    ] {
        say(&mut session, &format!("-ERR '{text}'\r\n"), Mono::ZERO).unwrap();
        assert!(denied.try_take().is_none(), "{text}");
    }
    say(&mut session, "-ERR 'Permissions Violation for Publish to \"secret\"'\r\n", Mono::ZERO).unwrap();
    assert_eq!(take(&denied).unwrap_err().kind(), Kind::Denied);
    assert!(allowed.try_take().is_none() && other.try_take().is_none());
}

#[test]
fn servers_that_welcome_and_drop_are_not_dialed_in_a_hot_loop() {
    let options = ConnectOptions::new().backoff(SECOND / 10, SECOND);
    let mut session = Session::new(vec![target(1), target(2), target(3)], options, Box::new(Seeded::new(1)));
    let mut now = Mono::ZERO;
    let mut drop_after = |session: &mut Session, lasted| {
        connect(session, now);
        now = now + lasted;
        session.lost(now, Error::new(Kind::Disconnected, "cut"));
        let Act::Wait(at) = session.poll(now) else { panic!("it dials again at once") };
        let pause = at.since(now);
        now = at;
        pause
    };
    let total: Duration = (0..20).map(|_| drop_after(&mut session, Duration::ZERO)).sum();
    assert!(total > 8 * SECOND, "{total:?} for twenty connections");
    assert!(drop_after(&mut session, Duration::ZERO) >= SECOND / 2);
    assert!(drop_after(&mut session, SECOND) <= SECOND / 10, "the last one had lasted");
}

#[test]
fn draining_while_the_server_is_away_tells_what_was_not_sent() {
    let mut session = session(ConnectOptions::new());
    session.publish(&note("early", "b")).unwrap();
    let done = session.drain().unwrap();
    let error = take(&done).unwrap_err();
    assert_eq!(error.kind(), Kind::Disconnected);
    assert!(error.message().contains(" 16 bytes "), "{error}");
    assert_eq!(session.poll(Mono::ZERO), Act::End);
}

#[test]
fn control_draining_with_nothing_kept_is_well_while_the_server_is_away() {
    let mut session = session(ConnectOptions::new());
    take(&session.drain().unwrap()).unwrap();
    assert_eq!(session.poll(Mono::ZERO), Act::End);
}

#[test]
fn a_client_that_drains_answers_and_begins_nothing_new() {
    let mut session = session(ConnectOptions::new());
    connect(&mut session, Mono::ZERO);
    let (_, feed) = session.subscribe("a".into(), None).unwrap();
    let done = session.drain().unwrap();
    output(&mut session);
    say(&mut session, "MSG a 1 r 1\r\n?\r\nPONG\r\n", Mono::ZERO).unwrap();
    let question = feed.try_take().unwrap();
    assert!(feed.has_ended() && done.try_take().is_none());
    assert!(session.publish(&note("!", question.reply.unwrap().as_str())).unwrap());
    assert_eq!(output(&mut session), "PING\r\nPUB r 1\r\n!\r\n");
    assert_eq!(session.subscribe("b".into(), None).err().unwrap().kind(), Kind::Closed);
    assert_eq!(session.request(note("?", "a"), 1).err().unwrap().kind(), Kind::Closed);
    assert_eq!(session.drain().err().unwrap().kind(), Kind::Closed);
    assert!(session.publish(&note("last", "r")).unwrap());
    say(&mut session, "PONG\r\n", Mono::ZERO).unwrap();
    take(&done).unwrap();
    assert_eq!(session.publish(&note("late", "r")).unwrap_err().kind(), Kind::Closed);
    assert_eq!(output(&mut session), "PUB r 4\r\nlast\r\n", "a driver writes it before it ends");
}

#[test]
fn a_drain_that_is_cut_off_says_so() {
    for said in ["", "PONG\r\n"] {
        let mut session = session(ConnectOptions::new());
        connect(&mut session, Mono::ZERO);
        let (_, feed) = session.subscribe("a".into(), None).unwrap();
        let done = session.drain().unwrap();
        say(&mut session, said, Mono::ZERO).unwrap();
        session.lost(Mono::ZERO, Error::new(Kind::Disconnected, "cut"));
        assert_eq!(take(&done).unwrap_err().kind(), Kind::Disconnected);
        assert!(feed.has_ended());
        assert_eq!(session.poll(Mono::ZERO), Act::End);
    }
}

#[test]
fn who_gives_up_waiting_for_room_is_forgotten() {
    let mut session = session(ConnectOptions::new().write_buffer(20));
    connect(&mut session, Mono::ZERO);
    while session.publish(&note("0123456789", "a")).unwrap() {}
    let patient: Vec<_> = (0..20).map(|_| session.wait_for_room()).collect();
    for _ in 0..10_000 {
        session.wait_for_room();
    }
    assert!(session.room.len() <= 100, "{} wait", session.room.len());
    output(&mut session);
    assert!(patient.iter().all(|waiting| waiting.try_take().is_some()));
}

#[test]
fn a_count_beyond_nine_digits_is_kept_by_the_client() {
    let mut session = session(ConnectOptions::new());
    connect(&mut session, Mono::ZERO);
    let far = 1_000_000_000;
    let (sid, feed) = session.subscribe("a".into(), None).unwrap();
    session.unsubscribe(sid, Some(far));
    assert_eq!(output(&mut session), "SUB a 1\r\n", "a server would not understand it");
    session.wishes.get_mut(&sid).unwrap().delivered = far - 1;
    say(&mut session, "MSG a 1 1\r\n1\r\nMSG a 1 1\r\n2\r\n", Mono::ZERO).unwrap();
    assert_eq!((taken(&feed).len(), feed.has_ended()), (1, true));
    assert_eq!(output(&mut session), "UNSUB 1\r\n");
    // The control: one less is the server's to count, and then nothing is left to say.
    let (sid, feed) = session.subscribe("a".into(), None).unwrap();
    session.unsubscribe(sid, Some(far - 1));
    assert_eq!(output(&mut session), "SUB a 2\r\nUNSUB 2 999999999\r\n");
    session.wishes.get_mut(&sid).unwrap().delivered = far - 2;
    say(&mut session, "MSG a 2 1\r\n1\r\n", Mono::ZERO).unwrap();
    assert_eq!((taken(&feed).len(), feed.has_ended(), output(&mut session)), (1, true, String::new()));
}

#[test]
fn without_a_pause_between_attempts_the_first_failure_is_told_all_the_same() {
    for pauses in [Duration::ZERO, SECOND] {
        let options = ConnectOptions::new().backoff(pauses, pauses);
        let mut session = Session::new(vec![target(1), target(2)], options, Box::new(Seeded::new(1)));
        for told in [false, true] {
            assert!(matches!(session.poll(Mono::ZERO), Act::Dial(_)), "all servers are tried");
            session.lost(Mono::ZERO, Error::new(Kind::Disconnected, "nobody listens there"));
            assert_eq!(session.ready().try_take().is_some(), told);
        }
        assert_eq!(session.poll(Mono::ZERO), Act::End);
    }
}

#[test]
fn control_who_wants_to_go_on_is_told_nothing_and_tries_again() {
    let options = ConnectOptions::new().backoff(Duration::ZERO, Duration::ZERO).retry_on_initial_connect();
    let mut session = session(options);
    for _ in 0..3 {
        assert!(matches!(session.poll(Mono::ZERO), Act::Dial(_)));
        session.lost(Mono::ZERO, Error::new(Kind::Disconnected, "nobody listens there"));
        assert!(session.ready().try_take().is_none());
    }
}

#[test]
fn a_subscription_is_full_by_bytes_as_well() {
    for (bytes, expected) in [(25, 2), (1000, 3)] {
        let mut session = session(ConnectOptions::new().subscription_bytes(bytes));
        connect(&mut session, Mono::ZERO);
        let (_, feed) = session.subscribe("a".into(), None).unwrap();
        for _ in 0..3 {
            say(&mut session, "MSG a 1 10\r\n0123456789\r\n", Mono::ZERO).unwrap();
        }
        let mut events = session.events();
        let was_told =
            std::iter::from_fn(|| events.try_next()).any(|event| event == Event::SlowSubscription("a".into()));
        assert_eq!((taken(&feed).len(), was_told), (expected, expected < 3));
    }
}
