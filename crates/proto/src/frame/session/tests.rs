//! Two sessions with nothing between them but bytes.

use crosstie_core::Codec;

use super::*;
use crate::frame::{Described, Direction};

const SECOND: Duration = Duration::from_secs(1);
const START: Mono = Mono::ZERO;

fn equal(written: &Described, read: &Described) -> std::result::Result<(), String> {
    if written.text == read.text { Ok(()) } else { Err(format!("{} is not {}", written.text, read.text)) }
}

fn options(text: &str) -> Options {
    let described = Some(Described { hash: [text.len() as u8; 16], text: text.to_owned() });
    let hello = Hello {
        writes: vec![Codec::Postcard, Codec::Cbor],
        reads: vec![Codec::Postcard, Codec::Cbor],
        sends: described.clone(),
        receives: described,
        ..Hello::default()
    };
    Options { hello, connect_timeout: 10 * SECOND, keep_alive: None }
}

fn new(options: Options) -> Session {
    Session::new(options, START).unwrap()
}

fn output(session: &mut Session) -> Vec<u8> {
    let mut out = Vec::new();
    session.take_output(&mut out);
    out
}

/// What comes of `input`, as text.
fn hear(session: &mut Session, input: &[u8]) -> std::result::Result<Vec<String>, Violation> {
    let (mut events, mut rest) = (Vec::new(), input);
    while !rest.is_empty() {
        match session.step(rest, START, &equal)? {
            Step::NeedMore(total) => {
                assert!(total > rest.len());
                break;
            }
            Step::Took(count, event) => {
                events.extend(event.map(|event| tell(&event)));
                rest = &rest[count..];
            }
        }
    }
    Ok(events)
}

fn tell(event: &Event<'_>) -> String {
    match event {
        Event::Opened(_) => "opened".to_owned(),
        Event::Message(incoming) => {
            let lost = if incoming.lost > 0 { format!(" after {} lost", incoming.lost) } else { String::new() };
            let headers: String = incoming.headers.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{}{lost}{headers} {}", incoming.number, String::from_utf8_lossy(incoming.payload))
        }
        Event::Finished { lost } => format!("finished, {lost} lost"),
        Event::Closed { why, lost: 0 } => format!("closed: {why}"),
        Event::Closed { why, lost } => format!("closed, {lost} lost: {why}"),
        Event::Refused(why) => format!("refused: {why}"),
    }
}

/// Two sides that have heard each other.
fn pair() -> (Session, Session) {
    let (mut a, mut b) = (new(options("T")), new(options("T")));
    assert_eq!(hear(&mut b, &output(&mut a)).unwrap(), ["opened"]);
    assert_eq!(hear(&mut a, &output(&mut b)).unwrap(), ["opened"]);
    (a, b)
}

fn put(bytes: &[u8]) -> impl FnOnce(&mut Vec<u8>) -> Result<()> {
    move |out| {
        out.extend_from_slice(bytes);
        Ok(())
    }
}

fn send(session: &mut Session, payload: &str) -> Vec<u8> {
    session.send(&Headers::new(), None, put(payload.as_bytes())).unwrap();
    output(session)
}

#[test]
fn messages_and_headers_come_in_order_whole_wherever_the_stream_is_cut() {
    let (mut a, _) = pair();
    let mut headers = Headers::new();
    headers.append("Tie-Key", "7").unwrap();
    headers.append("Tie-Key", "a: b").unwrap();
    let mut bytes = send(&mut a, "one");
    a.send(&headers, None, put(b"two")).unwrap();
    bytes.extend(output(&mut a));
    bytes.extend(send(&mut a, ""));
    a.finish();
    a.goodbye("bye");
    bytes.extend(output(&mut a));
    let expected = ["1 one", "2 Tie-Key=7 Tie-Key=a: b two", "3 ", "finished, 0 lost", "closed: bye"];
    for cut in 0..bytes.len() {
        let (_, mut b) = pair();
        let mut held = bytes[..cut].to_vec();
        let (mut events, mut added) = (Vec::new(), false);
        loop {
            match b.step(&held, START, &equal).unwrap() {
                Step::Took(count, event) => {
                    events.extend(event.map(|event| tell(&event)));
                    held.drain(..count);
                }
                Step::NeedMore(_) if added => break,
                Step::NeedMore(_) => {
                    held.extend_from_slice(&bytes[cut..]);
                    added = true;
                }
            }
            if held.is_empty() && added {
                break;
            }
        }
        assert_eq!(events, expected, "cut at {cut}");
    }
}

#[test]
fn whoever_is_no_channel_is_told_apart_at_the_first_byte() {
    let error = new(options("T")).step(b"HTTP/1.1 400 Bad Request\r\n", START, &equal).unwrap_err();
    assert!(error.to_string().contains("HTTP/1.1 400"), "{error}");
    let mut translated = PREAMBLE.to_vec();
    translated.retain(|byte| *byte != b'\r');
    assert!(matches!(new(options("T")).step(&translated, START, &equal), Err(Violation::Preamble(_))));
    assert_eq!(new(options("T")).step(&PREAMBLE[..3], START, &equal), Ok(Step::NeedMore(8)));
}

#[test]
fn both_ends_of_a_mismatch_are_told_the_difference() {
    let (mut a, mut b) = (new(options("old")), new(options("newer")));
    let hello = output(&mut a);
    let here = hear(&mut b, &hello).unwrap_err();
    assert_eq!(Error::from(here.clone()).kind(), Kind::Rejected);
    let told = hear(&mut a, &output(&mut b));
    // It finds the difference itself, in the hello that comes before the refusal.
    assert!(told.unwrap_err().to_string().contains("sending: old is not newer; receiving: newer is not old"));
    assert!(here.to_string().contains("sending: newer is not old; receiving: old is not newer"));
}

#[test]
fn what_is_lost_doubled_or_late_is_counted_and_never_delivered_out_of_order() {
    let (mut a, mut b) = pair();
    let frames: Vec<Vec<u8>> = (1..=6).map(|number| send(&mut a, &number.to_string())).collect();
    let order = [0, 0, 2, 1, 4];
    let bytes: Vec<u8> = order.iter().flat_map(|at| frames[*at].clone()).collect();
    assert_eq!(hear(&mut b, &bytes).unwrap(), ["1 1", "3 after 1 lost 3", "5 after 1 lost 5"]);
    a.finish();
    assert_eq!(hear(&mut b, &output(&mut a)).unwrap(), ["finished, 1 lost"]);
    let arrived = b.arrived();
    assert_eq!((arrived.lost(), arrived.duplicates(), arrived.late()), (3, 1, 1));
}

#[test]
fn nothing_is_sent_before_the_hello_after_the_finish_or_after_the_end() {
    let mut early = new(options("T"));
    assert_eq!(early.send(&Headers::new(), None, put(b"")).unwrap_err().kind(), Kind::InvalidInput);
    let (mut a, mut b) = pair();
    a.finish();
    assert_eq!(a.send(&Headers::new(), None, put(b"")).unwrap_err().kind(), Kind::Closed);
    // The other direction is open.
    assert_eq!(hear(&mut a, &send(&mut b, "still")).unwrap(), ["1 still"]);
    let finish = output(&mut a);
    hear(&mut b, &finish).unwrap();
    assert!(matches!(hear(&mut b, &finish), Ok(events) if events == ["finished, 0 lost"]));
    b.goodbye("");
    assert_eq!(b.send(&Headers::new(), None, put(b"")).unwrap_err().kind(), Kind::Closed);
    assert_eq!(hear(&mut a, &output(&mut b)).unwrap(), ["closed: "]);
    assert!(a.has_ended() && b.has_ended());
}

#[test]
fn a_message_too_large_for_the_other_side_is_an_error_before_it_is_sent() {
    let mut small = options("T");
    small.hello.max_frame = 1024;
    let (mut a, mut b) = (new(options("T")), new(small));
    hear(&mut b, &output(&mut a)).unwrap();
    hear(&mut a, &output(&mut b)).unwrap();
    let zeros = [0; 1005];
    let sized = |size: usize| put(&zeros[..size]);
    assert_eq!(a.send(&Headers::new(), None, sized(1004)).unwrap(), 1);
    assert_eq!(a.send(&Headers::new(), None, sized(1005)).unwrap_err().kind(), Kind::TooLarge);
    let mut headers = Headers::new();
    headers.append("Large", "x".repeat(block::MAX)).unwrap();
    assert_eq!(b.send(&headers, None, put(b"")).unwrap_err().kind(), Kind::TooLarge);
    assert_eq!(hear(&mut b, &output(&mut a)).unwrap().len(), 1);
    assert_eq!(
        b.terms().unwrap().receiving,
        Direction { codec: Codec::Postcard, may_compress: false, max_frame: 1024 }
    );
}

#[test]
fn a_compressed_payload_is_bounded_by_what_was_said() {
    let (mut a, mut b) = pair();
    a.send(&Headers::new(), Some(10), put(&[0])).unwrap();
    let bytes = output(&mut a);
    assert_eq!(hear(&mut b, &bytes), Err(Violation::Inflated { found: 10, limit: 0 }));
    let mut inflating = options("T");
    (inflating.hello.zstd, inflating.hello.max_frame) = (true, 1024);
    for (length, is_taken) in [(1024, true), (1025, false)] {
        let (mut a, mut b) = (new(options("T")), new(inflating.clone()));
        hear(&mut b, &output(&mut a)).unwrap();
        hear(&mut a, &output(&mut b)).unwrap();
        a.send(&Headers::new(), Some(length), put(&[0])).unwrap();
        assert_eq!(hear(&mut b, &output(&mut a)).is_ok(), is_taken, "{length}");
    }
}

#[test]
fn silence_is_asked_and_then_given_up() {
    let mut patient = options("T");
    patient.keep_alive = Some(5 * SECOND);
    let (mut a, mut b) = (new(patient), new(options("T")));
    hear(&mut b, &output(&mut a)).unwrap();
    hear(&mut a, &output(&mut b)).unwrap();
    assert_eq!(a.tick(START + 4 * SECOND).unwrap(), START + 5 * SECOND);
    assert_eq!(a.tick(START + 5 * SECOND).unwrap(), START + 10 * SECOND);
    hear(&mut b, &output(&mut a)).unwrap();
    let pong = output(&mut b);
    let Step::Took(count, None) = a.step(&pong, START + 6 * SECOND, &equal).unwrap() else { panic!() };
    assert_eq!((count, a.tick(START + 7 * SECOND).unwrap()), (pong.len(), START + 11 * SECOND));
    a.tick(START + 11 * SECOND).unwrap();
    assert_eq!(a.tick(START + 16 * SECOND).unwrap_err().kind(), Kind::Disconnected);
    // Without a keep-alive time silence is nothing.
    assert_eq!(b.tick(START + 1000 * SECOND).unwrap(), Mono::MAX);
}

#[test]
fn a_hello_that_does_not_come_is_waited_for_so_long() {
    let mut session = new(options("T"));
    assert_eq!(session.tick(START).unwrap(), START + 10 * SECOND);
    assert_eq!(session.tick(START + 10 * SECOND).unwrap_err().kind(), Kind::Timeout);
}

#[test]
fn a_hello_beyond_its_bounds_is_never_said() {
    let mut long = options("T");
    long.hello.name = "x".repeat(300);
    assert_eq!(Session::new(long, START).err().map(|error| error.kind()), Some(Kind::InvalidInput));
}

#[test]
fn frames_out_of_turn_end_the_connection() {
    let (mut a, mut b) = pair();
    let message = send(&mut a, "x");
    let mut fresh = new(options("T"));
    let mut bytes = PREAMBLE.to_vec();
    bytes.extend(&message);
    assert!(matches!(hear(&mut fresh, &bytes), Err(Violation::OutOfTurn { .. })));
    let hello = output(&mut new(options("T")));
    assert!(matches!(hear(&mut b, &hello[PREAMBLE.len()..]), Err(Violation::OutOfTurn { .. })));
    let mut huge = Vec::new();
    huge.extend_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(hear(&mut b, &huge), Err(Violation::TooLong { .. })));
}

#[test]
fn a_message_that_could_not_be_written_leaves_nothing_behind() {
    let (mut a, mut b) = pair();
    a.send(&Headers::new(), None, put(b"one")).unwrap();
    let half = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"half");
        Err(Error::new(Kind::InvalidInput, "no"))
    };
    assert_eq!(a.send(&Headers::new(), None, half).unwrap_err().kind(), Kind::InvalidInput);
    a.send(&Headers::new(), None, put(b"two")).unwrap();
    assert_eq!(hear(&mut b, &output(&mut a)).unwrap(), ["1 one", "2 two"]);
}

#[test]
fn of_many_questions_that_were_not_answered_yet_the_last_alone_is() {
    let (mut one, _other) = pair();
    let mut questions = Vec::new();
    for number in 1..=1000 {
        head::append(&mut questions, FrameKind::Ping, 0, number, HEAD, |_| {}).unwrap();
    }
    hear(&mut one, &questions).unwrap();
    assert_eq!(one.pending(), HEAD);
    let answer = output(&mut one);
    let Parsed::Frame(frame, HEAD) = head::parse(&answer, HEAD).unwrap() else { panic!("one answer") };
    assert_eq!((frame.kind, frame.number, one.pending()), (FrameKind::Pong, 1000, 0));
    hear(&mut one, &questions[..HEAD]).unwrap();
    assert_eq!(output(&mut one).len(), HEAD, "the next is answered again");
}
