//! The tests themselves. Each names what it holds for; a scheme has it or the matrix says that it has not.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crosstie_core::{Endpoint, Error, Kind, fault::Fault};
use crosstie_net::{Datagrams, Identity, Overflow, send_datagrams};

use super::{
    faults::{Count, faulty, logs_of_another_process},
    numbered::{ROOM, Tally, letter, number_of},
    peer::{LONG, Role},
    subject::{Subject, process},
};
use crate::{
    matrix::{self, Subject as _, Test, tests},
    network::{NEAR, Network, Way},
    open_descriptors,
};

/// For waits that are meant to end with their time.
const SHORT: Duration = Duration::from_millis(30);

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Datagrams that one sender sends.
    pub letters: u32,
    /// Senders that come and go one after the other.
    pub cycles: usize,
}

impl Sizes {
    /// What fits into `cargo test`.
    pub const SHORT: Self = Self { letters: 5000, cycles: 200 };
    /// What the promises say.
    pub const FULL: Self = Self { letters: 30_000, cycles: 10_000 };
    /// What a link of 10 Mbit/s and 80 ms there and back carries in some seconds.
    pub const FAR: Self = Self { letters: 200, cycles: 20 };
}

const TESTS: &[Test<Subject, Sizes>] = tests! {
    each_is_one_message_empty_ones_too if |_| true;
    the_longest_arrives_and_a_longer_one_is_refused_before_it_is_sent if |_| true;
    one_that_does_not_fit_is_an_error_and_never_cut if |_| true;
    what_finds_no_room_is_told_or_lost_as_the_matrix_says if |_| true;
    whoever_waits_for_room_has_it_when_it_comes if |it| it.overflow == Overflow::Told;
    waits_end_with_their_time if |_| true;
    tokio_carries_the_same if |_| true;
    many_senders_reach_one_receiver if |_| true;
    one_more_than_there_are_places_for_is_told if |it| it.senders.is_some();
    who_sent_one_is_known if |_| true;
    a_group_reaches_several if |it| it.groups;
    nobody_there_is_told_and_the_address_is_free_again if |it| it.tells_absence;
    control_where_absence_is_not_seen_nothing_is_promised if |it| !it.tells_absence;
    a_sender_that_is_killed_tears_nothing if |it| it.identity != Identity::ThisProcess;
    a_receiver_that_is_killed_is_told if |it| it.tells_absence && it.identity != Identity::ThisProcess;
    descriptors_stay_as_many_as_they_were if |_| true;
};

/// What needs a way that loses and doubles nothing by itself.
const NEAR_TESTS: &[Test<Subject, Sizes>] = tests! {
    what_is_done_on_purpose_is_what_comes if |_| true;
    the_same_seed_makes_the_same_faults_in_two_processes if |_| true;
};

/// What is seen only where there is a way that can be cut.
const FAR_TESTS: &[Test<Subject, Sizes>] = tests! {
    what_is_sent_while_the_way_is_cut_is_lost_and_nothing_else if |it| it.remote;
};

/// Runs the tests whose full name (`scheme::test`) contains `wanted`; how many failed.
///
/// What they leave in the file system is in `folder`.
pub fn run(folder: &Path, sizes: &Sizes, wanted: &str) -> usize {
    let subjects = Subject::all(folder);
    matrix::run("datagrams", &subjects, TESTS, sizes, wanted)
        + matrix::run("datagrams", &subjects, NEAR_TESTS, sizes, wanted)
}

/// As [`run`], over the schemes that reach other machines, from one end of a network to the other.
pub fn run_far(folder: &Path, network: &Arc<Network>, wanted: &str) -> usize {
    let subjects = Subject::far(folder, network);
    matrix::run("datagrams", &subjects, TESTS, &Sizes::FAR, wanted)
        + matrix::run("datagrams", &subjects, FAR_TESTS, &Sizes::FAR, wanted)
}

/// The names of all tests.
pub fn names(folder: &Path) -> BTreeSet<String> {
    let subjects = Subject::all(folder);
    &matrix::names(&subjects, TESTS) | &matrix::names(&subjects, NEAR_TESTS)
}

fn put(sender: &Datagrams, bytes: &[u8]) {
    sender.send(bytes, LONG).unwrap_or_else(|error| panic!("{}: {error}", sender.endpoint()));
}

fn get(receiver: &Datagrams) -> Vec<u8> {
    let mut buf = vec![0; ROOM];
    let came = receiver.receive(&mut buf, LONG).unwrap_or_else(|error| panic!("{}: {error}", receiver.endpoint()));
    buf.truncate(came.len);
    buf
}

/// Tries until something is there; it fails if that never is.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what} never was");
        thread::yield_now();
    }
}

fn each_is_one_message_empty_ones_too(subject: &Subject, _: &Sizes) {
    let (receiver, sender) = subject.pair();
    let texts = [&b"one"[..], b"", b"three"];
    texts.iter().for_each(|text| put(&sender, text));
    for text in texts {
        assert_eq!(get(&receiver), text);
    }
    assert!(receiver.try_receive(&mut [0; 8]).unwrap().is_none(), "no more came than were sent");
}

fn the_longest_arrives_and_a_longer_one_is_refused_before_it_is_sent(subject: &Subject, _: &Sizes) {
    let (receiver, sender) = subject.pair();
    let most = sender.max_len();
    // How long one over a Unix socket may be is set by whoever runs the system.
    if subject.capabilities().scheme != "unix" {
        assert_eq!(most, subject.capabilities().longest);
    }
    let text: Vec<u8> = (0..=most).map(|at| (at % 251) as u8).collect();
    let error = sender.send(&text, LONG).unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge, "{error}");
    let mut buf = vec![0; most + 1];
    assert!(receiver.try_receive(&mut buf).unwrap().is_none(), "nothing of the longer one has come");
    for _ in 0..3 {
        put(&sender, &text[..most]);
        let came = receiver.receive(&mut buf, LONG).unwrap();
        assert!(came.len == most && buf[..most] == text[..most], "whole, up to its last byte");
    }
}

fn one_that_does_not_fit_is_an_error_and_never_cut(subject: &Subject, _: &Sizes) {
    let (receiver, sender) = subject.pair();
    put(&sender, b"much too long");
    put(&sender, b"fits");
    let mut buf = [0; 4];
    let error = receiver.receive(&mut buf, LONG).unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge, "{error}");
    assert!(error.to_string().contains("13 bytes"), "{error}");
    // The control: the next one fits, and nothing is left of the one before.
    assert_eq!(receiver.receive(&mut buf, LONG).unwrap().len, 4);
    assert_eq!(&buf, b"fits");
}

/// Numbered datagrams to a receiver that takes none: each is delivered, refused in words, or lost where the matrix says so.
fn what_finds_no_room_is_told_or_lost_as_the_matrix_says(subject: &Subject, _: &Sizes) {
    let (receiver, sender) = subject.pair();
    let (mut sent, mut full) = (0, 0);
    // Far more bytes than are kept anywhere.
    for number in 0..2000 {
        match sender.try_send(&letter(number)) {
            Ok(()) => sent += 1,
            Err(error) => {
                assert_eq!(error.kind(), Kind::Full, "{error}");
                full += 1;
            }
        }
    }
    let tally = taken(subject, &receiver);
    assert_eq!((tally.doubles, tally.torn, tally.late), (0, 0, 0));
    let lost = sent - tally.seen();
    match subject.capabilities().overflow {
        Overflow::Told => assert!(full > 0 && lost == 0, "told {full} times, lost {lost}"),
        Overflow::Lost => assert!(lost > 0, "who does not keep up loses some"),
    }
    // There is room again.
    put(&sender, b"more");
    assert_eq!(get(&receiver), b"more");
}

/// All that is there or on its way.
fn taken(subject: &Subject, receiver: &Datagrams) -> Tally {
    let (mut tally, mut buf) = (Tally::default(), vec![0; ROOM]);
    loop {
        match receiver.receive(&mut buf, subject.on_the_way()) {
            Ok(came) => tally.came(&buf[..came.len]),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Timeout, "{error}");
                return tally;
            }
        }
    }
}

fn whoever_waits_for_room_has_it_when_it_comes(subject: &Subject, sizes: &Sizes) {
    let (receiver, sender) = subject.pair();
    // Room for one of them at a time, and for many short ones.
    for len in [sender.max_len(), sender.max_len() / 3, 100] {
        let text = vec![7; len];
        let count = if len > 1000 { 50 } else { sizes.letters };
        thread::scope(|scope| {
            scope.spawn(|| (0..count).for_each(|_| put(&sender, &text)));
            let mut buf = vec![0; len];
            for _ in 0..count {
                assert_eq!(receiver.receive(&mut buf, LONG).unwrap().len, len);
            }
        });
        assert!(receiver.try_receive(&mut [0; 8]).unwrap().is_none());
    }
}

fn waits_end_with_their_time(subject: &Subject, _: &Sizes) {
    let (receiver, sender) = subject.pair();
    let mut buf = vec![0; ROOM];
    let began = Instant::now();
    let error = receiver.receive(&mut buf, SHORT).unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    assert!(began.elapsed() >= SHORT && began.elapsed() < LONG);
    if subject.capabilities().overflow == Overflow::Told {
        while sender.try_send(&[0; 1000]).is_ok() {}
        let error = sender.send(&[0; 1000], SHORT).unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout, "{error}");
        // The control: with room, there is nothing to wait for.
        while receiver.try_receive(&mut buf).unwrap().is_some() {}
    }
    sender.send(b"in time", SHORT).unwrap();
    assert_eq!(get(&receiver), b"in time");
}

fn tokio_carries_the_same(subject: &Subject, sizes: &Sizes) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (receiver, sender) = subject.pair();
    // Of those that may be lost, no more at a time than are kept.
    let ahead = if subject.capabilities().overflow == Overflow::Told { u32::MAX } else { 10 };
    let exchange = async {
        let (receiver, sender) = (receiver.into_async().unwrap(), sender.into_async().unwrap());
        // A wait that is dropped takes nothing with it.
        let mut buf = [0; ROOM];
        assert!(tokio::time::timeout(SHORT, receiver.receive(&mut buf)).await.is_err());
        let (permits, taken) = (tokio::sync::Semaphore::new(ahead.min(1 << 20) as usize), sizes.letters);
        let sending = async {
            for number in 0..taken {
                permits.acquire().await.unwrap().forget();
                sender.send(&letter(number)).await.unwrap();
            }
        };
        let receiving = async {
            for number in 0..taken {
                let came = receiver.receive(&mut buf).await.unwrap();
                assert_eq!(number_of(&buf[..came.len]), Some(number));
                permits.add_permits(1);
            }
        };
        tokio::join!(sending, receiving);
    };
    runtime.block_on(async { tokio::time::timeout(LONG, exchange).await.expect("in time") });
}

fn many_senders_reach_one_receiver(subject: &Subject, sizes: &Sizes) {
    const SENDERS: u32 = 8;
    let receiver = subject.receiver();
    let each = sizes.letters / SENDERS;
    let is_told = subject.capabilities().overflow == Overflow::Told;
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let at = receiver.endpoint();
            scope.spawn(move || {
                let it = send_datagrams(at).unwrap();
                for number in 0..each {
                    put(&it, &[&sender.to_le_bytes()[..], &letter(number)].concat());
                }
            });
        }
        let mut tallies: BTreeMap<u32, Tally> = BTreeMap::new();
        let mut buf = vec![0; ROOM + 4];
        for _ in 0..each * SENDERS {
            // Where some may be lost, there may be no last one to wait for.
            let wait = if is_told { LONG } else { SHORT * 10 };
            let came = match receiver.receive(&mut buf, wait) {
                Ok(came) => came,
                Err(error) if !is_told && error.kind() == Kind::Timeout => break,
                Err(error) => panic!("{error}"),
            };
            let (sender, rest) = buf[..came.len].split_first_chunk().unwrap();
            tallies.entry(u32::from_le_bytes(*sender)).or_default().came(rest);
        }
        assert!(!is_told || tallies.len() == SENDERS as usize, "each was heard");
        for (sender, tally) in tallies {
            assert_eq!((tally.doubles, tally.torn, tally.late), (0, 0, 0), "sender {sender}");
            assert!(!is_told || tally.seen() == each as usize, "sender {sender}: {} of {each}", tally.seen());
        }
    });
}

fn one_more_than_there_are_places_for_is_told(subject: &Subject, _: &Sizes) {
    let receiver = subject.receiver();
    let places = subject.capabilities().senders.unwrap();
    let mut senders: Vec<_> = (0..places).map(|_| send_datagrams(receiver.endpoint()).unwrap()).collect();
    for (number, sender) in senders.iter().enumerate() {
        put(sender, &number.to_le_bytes());
    }
    let heard: BTreeSet<_> = senders.iter().map(|_| get(&receiver)).collect();
    assert_eq!(heard.len(), places, "each has a place");
    let one_more = send_datagrams(receiver.endpoint()).unwrap();
    let error = eventually("a refusal", || {
        assert!(receiver.try_receive(&mut [0; 8]).unwrap().is_none(), "nothing of it is heard");
        // What was sent before it was told is lost.
        one_more.try_send(b"").err()
    });
    assert_eq!(error.kind(), Kind::Limit, "{error}");
    // The control: in the place of one who has left there is room.
    senders.pop();
    let next = eventually("a place", || {
        assert!(receiver.try_receive(&mut [0; 8]).unwrap().is_none());
        let next = send_datagrams(receiver.endpoint()).unwrap();
        next.send(b"hello", LONG).ok()?;
        receiver.receive(&mut [0; 8], SHORT).ok().map(|_| next)
    });
    put(&next, b"again");
    assert_eq!(get(&receiver), b"again");
}

fn who_sent_one_is_known(subject: &Subject, _: &Sizes) {
    let receiver = subject.receiver();
    let mut buf = vec![0; ROOM];
    let identity = subject.capabilities().identity;
    if identity == Identity::ThisProcess {
        put(&send_datagrams(receiver.endpoint()).unwrap(), b"x");
        let came = receiver.receive(&mut buf, LONG).unwrap();
        assert!(came.sender.is_none() && came.from.is_none());
        return;
    }
    let other = process(Role::Flood, receiver.endpoint());
    let came = receiver.receive(&mut buf, LONG).unwrap();
    match identity {
        Identity::Process => {
            let sender = came.sender.expect("the kernel says who");
            assert_eq!((sender.pid, sender.uid), (other.pid(), rustix::process::getuid().as_raw()));
        }
        Identity::Address => {
            assert!(came.sender.is_none() && came.from.is_some_and(|from| from.ip().is_loopback() || from.ip() == NEAR))
        }
        other => panic!("no scheme for datagrams has {other:?}"),
    }
}

fn a_group_reaches_several(subject: &Subject, _: &Sizes) {
    let parse = |text: &str| text.parse::<Endpoint>().unwrap();
    let [group, another] = subject.groups();
    let first = subject.receive(&parse(&group)).unwrap();
    let others: Vec<_> = (0..2).map(|_| subject.receive(first.endpoint()).unwrap()).collect();
    let sender = send_datagrams(first.endpoint()).unwrap();
    put(&sender, b"to all");
    for receiver in std::iter::once(&first).chain(&others) {
        assert_eq!(get(receiver), b"to all");
    }
    // The control: another group at the same port hears nothing of it.
    let port = first.endpoint().to_string().split(['?', ':']).nth(2).unwrap().to_owned();
    let other = subject.receive(&parse(&another.replace(":0?", &format!(":{port}?")))).unwrap();
    put(&sender, b"to all");
    get(&first);
    assert!(other.try_receive(&mut [0; 8]).unwrap().is_none());
}

/// The first error of a sender, sooner or later.
fn first_error(sender: &Datagrams) -> Error {
    eventually("an error", || sender.try_send(b"x").err().filter(|error| error.kind() != Kind::Full))
}

fn nobody_there_is_told_and_the_address_is_free_again(subject: &Subject, _: &Sizes) {
    let (receiver, sender) = subject.pair();
    let at = receiver.endpoint().clone();
    assert!(subject.receive(&at).is_err(), "it has a receiver");
    put(&sender, b"x");
    assert_eq!(get(&receiver), b"x", "the one who was there is not hurt");
    drop(receiver);
    assert_eq!(first_error(&sender).kind(), Kind::NoResponders);
    assert_eq!(send_datagrams(&at).err().unwrap().kind(), Kind::NoResponders);
    let receiver = subject.receive(&at).unwrap();
    put(&send_datagrams(&at).unwrap(), b"y");
    assert_eq!(get(&receiver), b"y");
}

fn control_where_absence_is_not_seen_nothing_is_promised(subject: &Subject, _: &Sizes) {
    let (receiver, sender) = subject.pair();
    drop(receiver);
    // The first goes, wherever to.
    sender.send(b"x", LONG).unwrap();
}

fn a_sender_that_is_killed_tears_nothing(subject: &Subject, sizes: &Sizes) {
    let receiver = subject.receiver();
    let mut buf = vec![0; ROOM];
    for round in 0..(sizes.cycles / 100).clamp(1, 20) {
        let mut other = process(Role::Flood, receiver.endpoint());
        let mut tally = Tally::default();
        for _ in 0..100 + round * 37 {
            let came = receiver.receive(&mut buf, LONG).unwrap();
            tally.came(&buf[..came.len]);
        }
        other.kill();
        assert_eq!((tally.doubles, tally.torn, tally.late), (0, 0, 0));
        assert!(tally.seen() >= 100);
        // What it had sent is still there.
        let rest = taken(subject, &receiver);
        assert_eq!((rest.doubles, rest.torn, rest.late), (0, 0, 0));
    }
    // Others are heard as before.
    put(&send_datagrams(receiver.endpoint()).unwrap(), b"alive");
    assert_eq!(get(&receiver), b"alive");
}

fn a_receiver_that_is_killed_is_told(subject: &Subject, _: &Sizes) {
    let at = subject.endpoint();
    let mut other = process(Role::Deaf, &at);
    let sender = eventually("a receiver", || send_datagrams(&at).ok());
    put(&sender, b"the only one");
    other.said_something();
    // While it lives it is not called gone, however long it takes nothing.
    while sender.try_send(&[0; 1000]).is_ok() {}
    assert_eq!(sender.send(&vec![0; sender.max_len()], SHORT).unwrap_err().kind(), Kind::Timeout);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| sender.send(&vec![0; sender.max_len()], LONG).unwrap_err());
        other.kill();
        let error = waiting.join().unwrap();
        assert_eq!(error.kind(), Kind::NoResponders, "{error}");
    });
    assert_eq!(first_error(&sender).kind(), Kind::NoResponders);
    // The dead one does not keep its address.
    let receiver = subject.receive(&at).unwrap();
    put(&send_datagrams(&at).unwrap(), b"x");
    assert_eq!(get(&receiver), b"x");
}

fn descriptors_stay_as_many_as_they_were(subject: &Subject, sizes: &Sizes) {
    let receiver = subject.receiver();
    let cycle = |receiver: &Datagrams| {
        put(&send_datagrams(receiver.endpoint()).unwrap(), b"x");
        get(receiver);
        assert!(receiver.try_receive(&mut [0; 8]).unwrap().is_none());
    };
    for _ in 0..3 {
        cycle(&receiver);
    }
    open_descriptors::settled(None);
    let before = open_descriptors::count();
    for number in 0..sizes.cycles {
        cycle(&receiver);
        // Receivers come and go as well.
        if number % 100 == 0 {
            cycle(&subject.receiver());
        }
    }
    assert!(receiver.try_receive(&mut [0; 8]).unwrap().is_none());
    assert!(open_descriptors::settled(Some(before)), "{} after, {before} before", open_descriptors::count());
    // The control: one that is kept is seen.
    let kept = subject.pair();
    assert!(open_descriptors::count() > before);
    drop(kept);
}

fn what_is_sent_while_the_way_is_cut_is_lost_and_nothing_else(subject: &Subject, _: &Sizes) {
    let link = subject.network().unwrap().link();
    let (receiver, sender) = subject.pair();
    put(&sender, b"before");
    assert_eq!(get(&receiver), b"before");
    // The other way is cut: nothing of ours goes there.
    link.cut(Way::Back);
    put(&sender, b"one way suffices");
    assert_eq!(get(&receiver), b"one way suffices");
    link.mend(Way::Back);
    link.cut(Way::There);
    put(&sender, b"lost");
    let error = receiver.receive(&mut [0; 64], subject.on_the_way()).unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "silence is no end: {error}");
    link.mend(Way::There);
    put(&sender, b"after");
    assert_eq!(get(&receiver), b"after");
}

fn what_is_done_on_purpose_is_what_comes(subject: &Subject, _: &Sizes) {
    const SENT: u32 = 1000;
    let receiver = subject.receiver();
    let sender =
        send_datagrams(&faulty(receiver.endpoint(), "seed:7,drop:5%,dup:5%,reorder:5%").allow_faults()).unwrap();
    let log = sender.faults().unwrap().clone();
    let of = |fault| usize::try_from(log.count(|taken| taken.fault == fault)).unwrap();
    let mut count = Count::default();
    for number in 0..SENT {
        sender.send(&letter(number), LONG).unwrap();
        count.take(&receiver);
    }
    drop(sender);
    let expected = SENT as usize - of(Fault::Drop);
    let until = Instant::now() + LONG;
    while count.tally.seen() < expected && Instant::now() < until {
        count.take(&receiver);
        thread::yield_now();
    }
    count.take(&receiver);
    assert!(of(Fault::Drop) > 20 && of(Fault::Dup) > 20 && of(Fault::Reorder) > 20, "{log}");
    let tally = &count.tally;
    assert_eq!((tally.seen(), tally.doubles, tally.late), (expected, of(Fault::Dup), of(Fault::Reorder)));
    assert_eq!(tally.torn, 0);
    // The control: without allowance there are none, and none that datagrams have no place for.
    let refused = |endpoint: &Endpoint| send_datagrams(endpoint).err().unwrap();
    assert_eq!(refused(&faulty(receiver.endpoint(), "drop:5%")).kind(), Kind::Denied);
    let cut = refused(&faulty(receiver.endpoint(), "cut:5%").allow_faults());
    assert!(cut.kind() == Kind::Unsupported && cut.to_string().contains("a stream of bytes takes 'cut'"), "{cut}");
}

fn the_same_seed_makes_the_same_faults_in_two_processes(subject: &Subject, _: &Sizes) {
    let logs = |face, seed: u32| {
        let spec = format!("seed:{seed},drop:10%,dup:10%,reorder:10%,delay:0us..500us");
        logs_of_another_process(subject.name(), subject.folder(), face, &spec)
    };
    let known = logs("thread", 42);
    for word in [" out ", " in ", " drop", " dup", " reorder", " delay "] {
        assert!(known.contains(word), "{known}");
    }
    assert_eq!(known, logs("thread", 42));
    assert_eq!(known, logs("task", 42), "on tokio, too");
    // The control.
    assert_ne!(known.replace("seed:42", ""), logs("thread", 43).replace("seed:43", ""));
}
