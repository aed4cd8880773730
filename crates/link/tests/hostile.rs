//! Peers that keep the rules of frames, or nearly, and do harm all the same: nobody waits longer for them than was said.

use std::{
    io::{Read, Write},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crosstie_core::{Codec, Endpoint, Headers, Kind, Mono};
use crosstie_link::{
    Channel, ChannelListener, ChannelOptions, Payload, Raw, Select,
    blocking::{self, ChannelListener as BlockingListener},
};
use crosstie_net::{Connection, connector};
use crosstie_proto::frame::{
    Described, Event, FrameKind, Hello, Options, Session, Step,
    head::{self, HEAD},
};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

fn places() -> [Endpoint; 3] {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("hostile-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    [format!("mem:{name}"), format!("unix:@{name}"), format!("shm:{name}")].map(|text| text.parse().unwrap())
}

/// Connects, says hello, and then the same frames again and again until nobody takes them any more. Reads nothing.
fn flood(at: Endpoint, frames: Vec<u8>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut connection = connector(&at).unwrap().connect(LONG).unwrap();
        let mut hello = Hello::default();
        (hello.writes, hello.reads) = (vec![Codec::Raw], vec![Codec::Raw]);
        let options = Options { hello, connect_timeout: LONG, keep_alive: None };
        let (mut session, mut out) = (Session::new(options, Mono::ZERO).unwrap(), Vec::new());
        session.take_output(&mut out);
        connection.write_all(&out).unwrap();
        open(&mut connection, &mut session);
        while connection.write_all(&frames).is_ok() {}
    })
}

fn open(connection: &mut Connection, session: &mut Session) {
    let (mut input, mut buf) = (Vec::new(), [0; 4096]);
    loop {
        match session.step(&input, Mono::ZERO, &|_, _| Ok(())).unwrap() {
            Step::Took(_, Some(Event::Opened(_))) => return,
            Step::Took(count, _) => drop(input.drain(..count)),
            Step::NeedMore(_) => {
                let count = connection.read(&mut buf).unwrap();
                input.extend_from_slice(&buf[..count]);
            }
        }
    }
}

/// Questions, and a message that was there already, a thousand times: nothing that a user is told.
fn words() -> [Vec<u8>; 2] {
    let frames = |kind, number| {
        let mut one = Vec::new();
        head::append(&mut one, kind, 0, number, HEAD, |_| {}).unwrap();
        one.repeat(1000)
    };
    [frames(FrameKind::Ping, 7), frames(FrameKind::Message, 1)]
}

/// What `act` gives, within a time that is long for whoever keeps its own.
fn in_time<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(act()));
    told.recv_timeout(LONG).unwrap_or_else(|_| panic!("{what}: a wait of {SHORT:?} does not end"))
}

/// Takes the one message that a flood of messages has.
fn is_over(kind: Kind, number: u64) -> bool {
    kind == Kind::Timeout && number <= 1
}

#[test]
fn words_without_messages_end_no_wait_late_for_threads() {
    for place in places() {
        for frames in words() {
            let listener = BlockingListener::<Raw>::bind(&place).unwrap();
            let flood = flood(place.clone(), frames);
            let channel = listener.accept(LONG).unwrap().open().unwrap();
            let channel = in_time(&place.to_string(), move || {
                let (sender, mut receiver) = channel.split();
                let error = (0..2).find_map(|_| receiver.recv_within(SHORT).err()).unwrap();
                assert!(is_over(error.kind(), receiver.stats().last));
                assert!(receiver.try_recv().unwrap().is_none());
                let error = blocking::Select::new().ready(&mut [&mut receiver], SHORT).unwrap_err();
                assert_eq!(error.kind(), Kind::Timeout);
                (sender, receiver)
            });
            drop(channel);
            flood.join().unwrap();
        }
    }
}

#[test]
fn words_without_messages_end_no_wait_late_for_tasks() {
    for place in places() {
        for frames in words() {
            in_time(&place.to_string(), {
                let place = place.clone();
                move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        let listener = ChannelListener::<Raw>::bind(&place).unwrap();
                        let flood = flood(place.clone(), frames);
                        let mut channel = listener.accept(LONG).await.unwrap().open().await.unwrap();
                        // The one message that a flood of messages has.
                        let mut error = channel.receiver().recv_within(SHORT).await.err();
                        if error.is_none() {
                            error = channel.receiver().recv_within(SHORT).await.err();
                        }
                        assert!(is_over(error.unwrap().kind(), channel.stats().last));
                        let error = Select::new().ready(&mut [channel.receiver()], SHORT).await.unwrap_err();
                        assert_eq!(error.kind(), Kind::Timeout);
                        drop(channel);
                        tokio::task::spawn_blocking(|| flood.join().unwrap()).await.unwrap();
                    });
                }
            });
        }
    }
}

#[test]
fn control_a_message_among_such_words_is_received() {
    let [place, ..] = places();
    let listener = BlockingListener::<Raw>::bind(&place).unwrap();
    let [mut frames, _] = words();
    head::append(&mut frames, FrameKind::Message, 0, 1, HEAD + 5, |out| out.extend_from_slice(b"hello")).unwrap();
    let flood = flood(place, frames);
    let mut channel = listener.accept(LONG).unwrap().open().unwrap();
    assert_eq!(channel.recv().unwrap().value.0, "hello");
    drop(channel);
    flood.join().unwrap();
}

/// A type whose description takes more than there is room for on the way.
struct Wide;

impl Payload for Wide {
    fn described() -> crosstie_core::Result<Option<Described>> {
        Ok(Some(Described { hash: [7; 16], text: "w".repeat(60_000) }))
    }

    fn codecs() -> &'static [Codec] {
        &[Codec::Postcard]
    }

    fn encode(&self, _: Codec, out: &mut Vec<u8>) -> crosstie_core::Result<()> {
        out.push(7);
        Ok(())
    }

    fn decode(_: Codec, _: &[u8]) -> crosstie_core::Result<Self> {
        Ok(Self)
    }
}

/// Two 60 KB descriptions each way, over what holds 64 KiB: neither may wait for the other to read before it reads itself.
#[test]
fn two_who_have_much_to_say_of_themselves_hear_each_other() {
    let [place, ..] = places();
    let listener = BlockingListener::<Wide>::bind(&place).unwrap();
    let at = place.clone();
    let here = thread::spawn(move || blocking::Channel::<Wide>::connect(&at).unwrap().send(&Wide).unwrap());
    let mut there = listener.accept(LONG).unwrap().open().unwrap();
    there.recv().unwrap();
    here.join().unwrap();
    drop((there, listener));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = ChannelListener::<Wide>::bind(&place).unwrap();
        let here = tokio::spawn(async move { Channel::<Wide>::connect(&place).await.unwrap().send(&Wide).await });
        listener.accept(LONG).await.unwrap().open().await.unwrap().recv().await.unwrap();
        here.await.unwrap().unwrap();
    });
}

#[test]
fn a_time_beyond_the_end_of_clocks_is_a_long_time() {
    const FOREVER: Duration = Duration::MAX;
    let [place, ..] = places();
    // As it may stand in a URL that another process has sent.
    let at: Endpoint = format!("{place}?deadline={}s", u64::MAX).parse().unwrap();
    let options = ChannelOptions::of(&at).unwrap();
    assert_eq!(options.deadline, Some(Duration::from_secs(u64::MAX)));

    let listener = BlockingListener::<Raw>::bind(&at).unwrap();
    let here = thread::spawn({
        let at = at.clone();
        move || {
            let mut channel = blocking::Channel::<Raw>::connect(&at).unwrap();
            channel.sender().send_with(&Raw("one".into()), &Headers::new()).unwrap();
            assert_eq!(channel.recv().unwrap().value.0, "two");
        }
    });
    let mut channel = listener.accept(FOREVER).unwrap().open().unwrap();
    assert_eq!(blocking::Select::new().ready(&mut [channel.receiver()], FOREVER).unwrap(), 0);
    assert_eq!(channel.receiver().recv_within(FOREVER).unwrap().value.0, "one");
    channel.send(&Raw("two".into())).unwrap();
    here.join().unwrap();
    drop(listener);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = ChannelListener::<Raw>::bind(&at).unwrap();
        let here = tokio::spawn({
            let at = at.clone();
            async move { Channel::<Raw>::connect(&at).await?.send(&Raw("one".into())).await }
        });
        let mut channel = listener.accept(FOREVER).await.unwrap().open().await.unwrap();
        assert_eq!(Select::new().ready(&mut [channel.receiver()], FOREVER).await.unwrap(), 0);
        assert_eq!(channel.receiver().recv_within(FOREVER).await.unwrap().value.0, "one");
        here.await.unwrap().unwrap();
    });
    assert!(Instant::now().checked_add(FOREVER).is_none(), "the control: a clock does not go that far");
}
