//! Channels whose messages are lost, doubled, overtaken, held back and cut on purpose: what the log says is what the channel tells.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use crosstie_core::{
    Endpoint, Kind,
    fault::{Direction, Fault, parse_log},
};
use crosstie_link::{
    ChannelOptions, ChannelStats, Raw, Untyped,
    blocking::{Channel, ChannelListener},
};
use crosstie_net::{FaultLog, Faults, pipe_pair};

type Number = Untyped<(u64, String)>;

const LONG: Duration = Duration::from_secs(60);
const COUNT: u64 = 2000;

/// A place to listen for each scheme that has addresses, and what keeps it.
fn places() -> (tempfile::TempDir, Vec<Endpoint>) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = tempfile::tempdir().unwrap();
    let unique = format!("link-faults-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let texts = [
        format!("mem:{unique}"),
        format!("unix:{}", folder.path().join("s").display()),
        format!("unix:@{unique}"),
        format!("shm:{unique}"),
        "tcp://127.0.0.1:0".to_owned(),
    ];
    (folder, texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn faulty(endpoint: &Endpoint, faults: &str) -> Endpoint {
    let mut options = endpoint.options().clone();
    options.fault = Some(faults.parse().unwrap());
    endpoint.clone().with_options(options).trusted().allow_faults()
}

/// The end that makes the faults, and the other one.
fn pair(place: &Endpoint, faults: &str) -> (Channel<Number>, Channel<Number>) {
    let listener = ChannelListener::<Number>::bind(place).unwrap();
    let target = faulty(listener.endpoint(), faults);
    let near = thread::spawn(move || Channel::<Number>::connect(&target).unwrap());
    let far = listener.accept(LONG).unwrap().open().unwrap();
    (near.join().unwrap(), far)
}

fn value(number: u64) -> Number {
    Untyped((number, "x".repeat((number % 300) as usize)))
}

/// Sends all and finishes, while the other end receives; the numbers that came, and how the end was told.
fn carry(from: Channel<Number>, to: &mut Channel<Number>) -> (Vec<u64>, String) {
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            let (mut sender, receiver) = from.split();
            for number in 1..=COUNT {
                sender.feed(&value(number)).unwrap();
            }
            sender.finish().unwrap();
            receiver
        });
        let (mut came, mut last) = (Vec::new(), 0);
        let end = loop {
            match to.receiver().recv_within(LONG) {
                Ok(message) => {
                    assert_eq!(message.value, value(message.number), "whole, and itself");
                    assert_eq!(message.lost, message.number - last - 1, "the gap is told with the message after it");
                    last = message.number;
                    came.push(message.number);
                }
                Err(error) => break error,
            }
        };
        assert_eq!(end.kind(), Kind::Closed, "{end}");
        drop(sending.join().unwrap());
        (came, end.to_string())
    })
}

/// What was told is what was done.
fn compare(log: &FaultLog, direction: Direction, stats: ChannelStats, came: &[u64]) {
    let of = |fault| log.taken().into_iter().filter(move |it| it.direction == direction && it.fault == fault);
    let count = |fault| of(fault).count() as u64;
    let (drops, dups, reorders) = (count(Fault::Drop), count(Fault::Dup), count(Fault::Reorder));
    assert!(drops > 50 && dups > 50 && reorders > 50, "{drops} {dups} {reorders}");
    assert_eq!(stats.lost, drops + reorders, "what was overtaken is missed first");
    assert_eq!(stats.late, reorders);
    assert_eq!(stats.duplicates, dups);
    assert_eq!(stats.last, COUNT);
    let gone: BTreeSet<u64> = of(Fault::Drop).chain(of(Fault::Reorder)).map(|taken| taken.frame).collect();
    let expected: Vec<u64> = (1..=COUNT).filter(|number| !gone.contains(number)).collect();
    assert_eq!(came, expected, "each by its number");
}

const THE_SEED: &str = "seed:7,drop:5%,dup:5%,reorder:5%";

#[test]
fn a_channel_tells_each_loss_and_duplicate_that_the_log_has() {
    let (_folder, places) = places();
    let mut logs = BTreeSet::new();
    for place in &places {
        let (near, mut far) = pair(place, THE_SEED);
        let log = near.faults().unwrap().clone();
        let (came, _) = carry(near, &mut far);
        compare(&log, Direction::Out, far.stats(), &came);

        let (mut near, far) = pair(place, THE_SEED);
        let log_back = near.faults().unwrap().clone();
        let (came, _) = carry(far, &mut near);
        compare(&log_back, Direction::In, near.stats(), &came);
        let lines = |log: &FaultLog| log.taken().iter().map(|taken| format!("{taken}\n")).collect::<String>();
        logs.insert(lines(&log) + &lines(&log_back));
    }
    assert_eq!(logs.len(), 1, "the same over every scheme");
    // The control: another seed makes others.
    let (near, mut far) = pair(&places[0], &THE_SEED.replace("seed:7", "seed:8"));
    let log = near.faults().unwrap().clone();
    carry(near, &mut far);
    assert!(!logs.iter().any(|known| known.starts_with(&log.taken()[0].to_string())));
}

#[test]
fn control_without_faults_nothing_is_missed() {
    let (_folder, places) = places();
    let (near, mut far) = pair(&places[1], "seed:7");
    let log = near.faults().unwrap().clone();
    let (came, end) = carry(near, &mut far);
    assert_eq!((came.len() as u64, log.taken().len()), (COUNT, 0));
    assert_eq!((far.stats().lost, far.stats().duplicates, far.stats().late), (0, 0, 0));
    assert!(!end.contains("lost"), "{end}");
}

#[test]
fn what_is_lost_at_the_end_is_told_with_the_end() {
    let (_folder, places) = places();
    for (finish, word) in [(true, "sent its last message"), (false, "closed the channel")] {
        let (mut near, mut far) = pair_by(&places[0], Faults::replay(parse_log("1 out 3 drop\n1 out 4 drop").unwrap()));
        for number in 1..=4 {
            near.send(&value(number)).unwrap();
        }
        let kept = if finish {
            let (sender, receiver) = near.split();
            sender.finish().unwrap();
            Some(receiver)
        } else {
            near.close("").unwrap();
            None
        };
        assert_eq!((far.recv().unwrap().number, far.recv().unwrap().number), (1, 2));
        let end = far.recv().unwrap_err().to_string();
        assert!(end.contains(word) && end.contains("2 before that are lost"), "{end}");
        assert_eq!(far.stats().lost, 2);
        drop(kept);
    }
}

/// The near end makes these faults.
fn pair_by(place: &Endpoint, faults: Faults) -> (Channel<Number>, Channel<Number>) {
    let listener = ChannelListener::<Number>::bind(place).unwrap();
    let target = listener.endpoint().clone();
    let mut options = ChannelOptions::default();
    options.faults = Some(faults);
    let near = thread::spawn(move || Channel::<Number>::connect_with(&target, options).unwrap());
    let far = listener.accept(LONG).unwrap().open().unwrap();
    (near.join().unwrap(), far)
}

#[test]
fn a_cut_in_the_middle_of_a_message_delivers_none_of_it() {
    let (_folder, places) = places();
    for place in &places {
        for at in [1, 20, 5000] {
            let listener = ChannelListener::<Raw>::bind(place).unwrap();
            let target = listener.endpoint().clone();
            let mut options = ChannelOptions::default();
            options.faults = Some(Faults::replay(parse_log(&format!("1 out 3 cut {at}")).unwrap()));
            let near = thread::spawn(move || Channel::<Raw>::connect_with(&target, options).unwrap());
            let mut far = listener.accept(LONG).unwrap().open().unwrap();
            let mut near = near.join().unwrap();
            let message = Raw(vec![7; 10_000].into());
            near.send(&message).unwrap();
            near.send(&message).unwrap();
            let error = near.send(&message).unwrap_err();
            assert_eq!(error.kind(), Kind::Disconnected);
            assert!(error.to_string().contains(&format!("1 out 3 cut {at}")), "{error}");
            assert_eq!(far.recv().unwrap().value, message);
            assert_eq!(far.recv().unwrap().value, message);
            let error = far.recv().unwrap_err();
            assert!(matches!(error.kind(), Kind::Disconnected | Kind::PeerDied), "{place} {at}: {error}");
        }
    }
}

#[test]
fn a_question_that_nothing_overtakes_goes_on_while_its_answer_is_waited_for() {
    let (_folder, places) = places();
    for place in &places {
        let faults =
            Faults::replay(parse_log("1 out 1 reorder\n1 in 1 reorder").unwrap()).hold(Duration::from_millis(50));
        let (mut near, mut far) = pair_by(place, faults.clone());
        let answering = thread::spawn(move || {
            let question = far.recv().unwrap();
            far.send(&question.value).unwrap();
            far
        });
        near.send(&value(1)).unwrap();
        assert_eq!(near.recv().unwrap().value, value(1));
        assert!(faults.log().taken().is_empty(), "nothing was overtaken");
        drop(answering.join().unwrap());
    }
}

#[test]
fn messages_that_are_held_back_keep_their_order_and_deadlines_hold() {
    let (_folder, places) = places();
    let (mut near, mut far) = pair(&places[1], "seed:1,delay:0ms..20ms");
    let began = Instant::now();
    for number in 1..=50 {
        near.sender().feed(&value(number)).unwrap();
    }
    near.sender().flush().unwrap();
    assert!((1..=50).all(|number| far.recv().unwrap().number == number));
    assert!(began.elapsed() < Duration::from_millis(50 * 20), "they are held back together: {:?}", began.elapsed());
    assert_eq!(near.faults().unwrap().count(|taken| matches!(taken.fault, Fault::Delay(_))), 50);

    let (mut near, mut far) = pair(&places[1], "seed:1,delay:1s");
    far.send(&value(1)).unwrap();
    let error = near.receiver().recv_within(Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    assert_eq!(near.receiver().recv_within(LONG).unwrap().number, 1, "it was not lost");
}

/// What is wrong is told before anything is opened.
#[test]
fn frames_refuse_what_they_have_no_place_for_and_what_is_not_allowed() {
    let (_folder, places) = places();
    let error = Channel::<Number>::connect(&faulty(&places[0], "short:1%")).err().unwrap();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("a bare stream of bytes takes 'short'"), "{error}");
    let not_allowed: Endpoint = format!("{}?fault=drop:1%", places[0]).parse().unwrap();
    assert_eq!(ChannelListener::<Number>::bind(&not_allowed).err().unwrap().kind(), Kind::Denied);
    assert_eq!(ChannelListener::<Number>::bind(&not_allowed.trusted()).err().unwrap().kind(), Kind::Denied);
}

/// A listener makes them too, each connection its own; and so does a channel over a connection that is there.
#[test]
fn whoever_accepts_makes_faults_of_each_connection() {
    let (_folder, places) = places();
    let listener = ChannelListener::<Number>::bind(&faulty(&places[0], "seed:7,drop:50%")).unwrap();
    let mut lost = Vec::new();
    for _ in 0..2 {
        let target = listener.endpoint().clone();
        let near = thread::spawn(move || Channel::<Number>::connect(&target).unwrap());
        let mut far = listener.accept(LONG).unwrap().open().unwrap();
        let near = near.join().unwrap();
        assert!(near.faults().is_none(), "one end makes them");
        let (came, _) = carry(near, &mut far);
        lost.push(came);
    }
    assert_ne!(lost[0], lost[1], "each connection has its own");

    let (connection, ends) = pipe_pair().unwrap();
    drop(ends);
    let mut options = ChannelOptions::default();
    options.faults = Some(Faults::seeded(1).short(0.5));
    assert_eq!(Channel::<Number>::over(connection, options).err().unwrap().kind(), Kind::Unsupported);
}

#[tokio::test]
async fn channels_for_tasks_tell_the_same() {
    let (_folder, places) = places();
    for place in &places {
        let listener = crosstie_link::ChannelListener::<Number>::bind(place).unwrap();
        let target = faulty(listener.endpoint(), THE_SEED);
        let near = tokio::spawn(async move { crosstie_link::Channel::<Number>::connect(&target).await.unwrap() });
        let mut far = listener.accept(LONG).await.unwrap().open().await.unwrap();
        let near = near.await.unwrap();
        let log = near.faults().unwrap().clone();
        let (mut sender, receiver) = near.split();
        let sending = tokio::spawn(async move {
            for number in 1..=COUNT {
                sender.feed(&value(number)).await.unwrap();
            }
            sender.finish().await.unwrap();
            receiver
        });
        let mut came = Vec::new();
        let end = loop {
            match far.receiver().recv_within(LONG).await {
                Ok(message) => came.push(message.number),
                Err(error) => break error,
            }
        };
        assert_eq!(end.kind(), Kind::Closed, "{end}");
        drop(sending.await.unwrap());
        compare(&log, Direction::Out, far.stats(), &came);
    }
}
