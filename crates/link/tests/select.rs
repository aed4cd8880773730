//! Waiting for several channels, for threads and for tasks.

use std::{
    ops::Deref,
    thread,
    time::{Duration, Instant},
};

use crosstie_core::{Endpoint, Kind};
use crosstie_link::{Untyped, blocking};
use crosstie_testkit::certificates::Place;
use rustix::time::{ClockId, clock_gettime};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

type Number = Untyped<u32>;

fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A place of each scheme that several channels may be opened to.
struct Places {
    all: Vec<Endpoint>,
    /// Its files are there as long as they are read.
    _certificates: Place,
}

impl Deref for Places {
    type Target = [Endpoint];

    fn deref(&self) -> &[Endpoint] {
        &self.all
    }
}

fn places() -> Places {
    let certificates = Place::new();
    let unique = format!("select-{}-{}", std::process::id(), next_number());
    let texts = [
        format!("mem:{unique}"),
        format!("unix:@{unique}"),
        format!("shm:{unique}"),
        "tcp://127.0.0.1:0".to_owned(),
        // Its end of a listener is that of a client, too.
        format!("tls://127.0.0.1:0?{}", certificates.mutual()),
        "pipe:".to_owned(),
    ];
    let all = texts.iter().map(|text| text.parse::<Endpoint>().unwrap().trusted()).collect();
    Places { all, _certificates: certificates }
}

/// So many channels to one place: who connected, and who accepted.
fn pairs(place: &Endpoint, count: usize) -> Vec<(blocking::Channel<Number>, blocking::Channel<Number>)> {
    let listener = crosstie_net::listen(place).unwrap();
    let connector = listener.connector().unwrap();
    let open = |connection| blocking::Channel::over(connection, Default::default()).unwrap();
    let pair = |_| {
        thread::scope(|scope| {
            let far = scope.spawn(|| open(listener.accept(LONG).unwrap()));
            (open(connector.connect(LONG).unwrap()), far.join().unwrap())
        })
    };
    (0..count).map(pair).collect()
}

/// All that comes over several, up to each end; how the numbers of each were in order.
fn take_all(mut receivers: Vec<blocking::Receiver<Number>>) -> Vec<Vec<u32>> {
    let mut came = vec![Vec::new(); receivers.len()];
    let (mut select, mut ends) = (blocking::Select::new(), 0);
    loop {
        let mut among: Vec<&mut dyn blocking::Selectable> = receivers.iter_mut().map(|one| one as _).collect();
        match select.ready(&mut among, LONG) {
            Ok(index) => match receivers[index].recv_within(Duration::ZERO) {
                Ok(message) => came[index].push(message.value.0),
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Closed, "{error}");
                    ends += 1;
                }
            },
            Err(error) => {
                assert_eq!(error.kind(), Kind::Closed, "{error}");
                assert_eq!(ends, came.len(), "each end was told once");
                return came;
            }
        }
    }
}

#[test]
fn all_messages_of_all_come_in_their_order_and_then_each_end_once() {
    const COUNT: u32 = 2000;
    for place in places().iter() {
        let (near, far): (Vec<_>, Vec<_>) = pairs(place, 3).into_iter().unzip();
        thread::scope(|scope| {
            for (who, mut sender) in near.into_iter().enumerate() {
                scope.spawn(move || {
                    // Some in one go, some one by one, and not as many of each.
                    for number in 0..COUNT * (who as u32 + 1) {
                        sender.sender().feed(&Untyped(number)).unwrap();
                        if number % 7 == 0 {
                            sender.sender().flush().unwrap();
                        }
                    }
                    sender.close("").unwrap();
                });
            }
            let (_senders, receivers): (Vec<_>, Vec<_>) = far.into_iter().map(blocking::Channel::split).unzip();
            for (who, came) in take_all(receivers).iter().enumerate() {
                assert!(came.iter().copied().eq(0..COUNT * (who as u32 + 1)), "{place}: {who}");
            }
        });
    }
}

#[test]
fn one_with_many_messages_does_not_keep_those_of_another() {
    let mut all = pairs(&places()[0], 2);
    let ((flood, busy), (quiet, idle)) = {
        let mut all = all.iter_mut();
        let (one, other) = (all.next().unwrap(), all.next().unwrap());
        ((&mut one.0, &mut one.1), (&mut other.0, &mut other.1))
    };
    for number in 0..100 {
        flood.send(&Untyped(number)).unwrap();
    }
    quiet.send(&Untyped(7)).unwrap();
    let mut select = blocking::Select::new();
    let mut found = Vec::new();
    for _ in 0..4 {
        let index = select.ready(&mut [busy.receiver() as _, idle.receiver() as _], LONG).unwrap();
        [&mut *busy, &mut *idle][index].recv().unwrap();
        found.push(index);
    }
    assert_eq!(found, [0, 1, 0, 0]);
    // The control: whoever does not remember whose turn it is always takes the first.
    quiet.send(&Untyped(8)).unwrap();
    for _ in 0..10 {
        let index = blocking::Select::new().ready(&mut [busy.receiver() as _, idle.receiver() as _], LONG).unwrap();
        assert_eq!(index, 0);
        busy.recv().unwrap();
    }
}

/// Nothing runs in the background for what is held back on purpose: whoever waits has to come again in time.
#[test]
fn what_is_delayed_on_purpose_wakes_who_waits_when_it_is_due() {
    // A pipe has no name to connect to.
    for place in places().iter().filter(|place| place.scheme() != "pipe") {
        let listener = blocking::ChannelListener::<Number>::bind(place).unwrap();
        let mut options = listener.endpoint().options().clone();
        options.fault = Some("seed:1,delay:20ms..40ms".parse().unwrap());
        let at = listener.endpoint().clone().with_options(options).trusted().allow_faults();
        thread::scope(|scope| {
            let far = scope.spawn(|| listener.accept(LONG).unwrap().open().unwrap());
            let (_sender, receiver) = blocking::Channel::<Number>::connect(&at).unwrap().split();
            let mut far = far.join().unwrap();
            scope.spawn(move || {
                (0..20).for_each(|number| far.send(&Untyped(number)).unwrap());
                far.close("").unwrap();
            });
            assert_eq!(take_all(vec![receiver]), [(0..20).collect::<Vec<_>>()]);
        });
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

#[test]
fn a_wait_ends_with_its_time_and_takes_none_of_the_processor() {
    const WAIT: Duration = Duration::from_millis(150);
    for place in places().iter() {
        let mut all = pairs(place, 3);
        let mut receivers: Vec<_> = all.iter_mut().map(|(_, far)| far.receiver()).collect();
        let mut among: Vec<&mut dyn blocking::Selectable> = receivers.iter_mut().map(|one| &mut **one as _).collect();
        let (began, worked) = (Instant::now(), processor_time());
        let error = blocking::Select::new().ready(&mut among, WAIT).unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout, "{error}");
        assert!(began.elapsed() >= WAIT && began.elapsed() < LONG);
        let worked = processor_time() - worked;
        assert!(worked < WAIT / 4, "{place}: {worked:?} of {WAIT:?}");
    }
    // The control: whoever asks again and again is seen to.
    let mut all = pairs(&places()[0], 1);
    let (worked, until) = (processor_time(), Instant::now() + LONG);
    while processor_time() - worked < WAIT / 4 {
        assert!(all[0].1.receiver().try_recv().unwrap().is_none());
        assert!(Instant::now() < until, "the processor is never ours");
    }
}

#[test]
fn who_waits_is_woken_and_one_that_is_lost_does_not_end_the_others() {
    for place in places().iter() {
        let mut all = pairs(place, 2);
        let (near, mut lost) = all.pop().unwrap();
        let (mut sender, mut whole) = all.pop().unwrap();
        let mut select = blocking::Select::new();
        thread::scope(|scope| {
            let waiting =
                scope.spawn(|| select.ready(&mut [whole.receiver() as _, lost.receiver() as _], LONG).unwrap());
            near.close("enough").unwrap();
            assert_eq!(waiting.join().unwrap(), 1);
        });
        assert_eq!(lost.recv().unwrap_err().kind(), Kind::Closed);
        thread::scope(|scope| {
            let waiting =
                scope.spawn(|| select.ready(&mut [whole.receiver() as _, lost.receiver() as _], LONG).unwrap());
            sender.send(&Untyped(5)).unwrap();
            assert_eq!(waiting.join().unwrap(), 0);
        });
        assert_eq!(whole.recv().unwrap().value.0, 5);
    }
}

mod tasks {
    use crosstie_link::{Channel, Receiver, Select, Selectable};

    use super::*;

    async fn pair(place: &Endpoint) -> (Channel<Number>, Channel<Number>) {
        let listener = crosstie_net::listen(place).unwrap();
        let connector = listener.connector().unwrap();
        let (near, far) = thread::scope(|scope| {
            let far = scope.spawn(|| listener.accept(LONG).unwrap());
            (connector.connect(LONG).unwrap(), far.join().unwrap())
        });
        let (near, far) = tokio::join!(Channel::over(near, Default::default()), Channel::over(far, Default::default()));
        (near.unwrap(), far.unwrap())
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(LONG, test).await.expect("in time") });
    }

    /// Waits that are given up all the time, and nothing is lost by it.
    #[test]
    fn all_messages_come_however_often_a_wait_is_dropped() {
        const COUNT: u32 = 1500;
        run(async {
            for place in places().iter() {
                let (mut one, far_one) = pair(place).await;
                // The second is of another place, since each of these listens alone.
                let (mut other, far_other) = pair(&places()[0]).await;
                let sending = tokio::spawn(async move {
                    for number in 0..COUNT {
                        one.send(&Untyped(number)).await.unwrap();
                        if number % 3 == 0 {
                            other.send(&Untyped(number)).await.unwrap();
                        }
                        tokio::task::yield_now().await;
                    }
                    one.close("").await.unwrap();
                    other.close("").await.unwrap();
                });
                let ((_kept, one), (_too, other)) = (far_one.split(), far_other.split());
                let mut receivers: [Receiver<Number>; 2] = [one, other];
                let (mut select, mut came, mut dropped) = (Select::new(), [Vec::new(), Vec::new()], 0);
                loop {
                    let [one, other] = &mut receivers;
                    let mut among: [&mut dyn Selectable; 2] = [one, other];
                    let waiting = select.ready(&mut among, LONG);
                    let found = tokio::select! {
                        biased;
                        found = waiting => found,
                        () = std::future::ready(()), if dropped <= came[0].len() => {
                            dropped += 1;
                            continue;
                        }
                    };
                    match found {
                        Ok(index) => {
                            if let Ok(message) = receivers[index].recv().await {
                                came[index].push(message.value.0);
                            }
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), Kind::Closed, "{error}");
                            break;
                        }
                    }
                }
                sending.await.unwrap();
                assert!(dropped > 0, "the control: waits were dropped");
                assert!(came[0].iter().copied().eq(0..COUNT), "{place}");
                assert!(came[1].iter().copied().eq((0..COUNT).step_by(3)), "{place}");
            }
        });
    }

    #[test]
    fn a_wait_ends_with_its_time_and_one_that_is_lost_is_told() {
        run(async {
            for place in places().iter() {
                let (near, mut far) = pair(place).await;
                let (mut sender, mut whole) = pair(&places()[0]).await;
                let mut select = Select::new();
                let error = select.ready(&mut [far.receiver() as _, whole.receiver() as _], SHORT).await.unwrap_err();
                assert_eq!(error.kind(), Kind::Timeout, "{error}");
                near.close("enough").await.unwrap();
                assert_eq!(select.ready(&mut [far.receiver() as _, whole.receiver() as _], LONG).await.unwrap(), 0);
                assert_eq!(far.recv().await.unwrap_err().kind(), Kind::Closed);
                sender.send(&Untyped(5)).await.unwrap();
                assert_eq!(select.ready(&mut [far.receiver() as _, whole.receiver() as _], LONG).await.unwrap(), 1);
                assert_eq!(whole.recv().await.unwrap().value.0, 5);
            }
        });
    }
}

/// A place of each scheme that carries datagrams.
fn datagram_places() -> Vec<Endpoint> {
    let unique = format!("select-datagrams-{}-{}", std::process::id(), next_number());
    let texts =
        [format!("mem:{unique}"), format!("unix:@{unique}"), format!("shm:{unique}"), "udp://127.0.0.1:0".to_owned()];
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn datagrams_are_waited_for_beside_channels() {
    for place in datagram_places() {
        let mut letters = blocking::DatagramReceiver::<Number>::bind(&place).unwrap();
        let mut sender = blocking::DatagramSender::<Number>::connect(letters.endpoint()).unwrap();
        let (mut near, mut far) = pairs(&places()[0], 1).remove(0);
        let mut select = blocking::Select::new();
        // Nothing is there, and nobody works meanwhile.
        let before = processor_time();
        let none = select.ready(&mut [&mut letters as _, far.receiver() as _], SHORT).unwrap_err();
        let used = processor_time() - before;
        assert!(none.kind() == Kind::Timeout && used < SHORT / 2, "{place}: {used:?}");
        // Whoever speaks while it waits wakes it, and each has its turn.
        let speaking = thread::spawn(move || {
            sender.send(&Untyped(1)).unwrap();
            near.send(&Untyped(2)).unwrap();
            (sender, near)
        });
        let mut came = Vec::new();
        while came.len() < 2 {
            came.push(match select.ready(&mut [&mut letters as _, far.receiver() as _], LONG).unwrap() {
                0 => letters.recv_within(Duration::ZERO).unwrap().value.0,
                _ => far.receiver().recv_within(Duration::ZERO).unwrap().value.0,
            });
        }
        came.sort_unstable();
        assert_eq!(came, [1, 2], "{place}");
        drop(speaking.join().unwrap());
    }
}

#[tokio::test]
async fn datagrams_are_waited_for_beside_channels_by_tasks() {
    for place in datagram_places() {
        let mut letters = crosstie_link::DatagramReceiver::<Number>::bind(&place).unwrap();
        let mut others = crosstie_link::DatagramReceiver::<Number>::bind(&datagram_places()[0]).unwrap();
        let mut sender = crosstie_link::DatagramSender::<Number>::connect(letters.endpoint()).unwrap();
        let mut select = crosstie_link::Select::new();
        let none = select.ready(&mut [&mut others as _, &mut letters as _], SHORT).await.unwrap_err();
        assert_eq!(none.kind(), Kind::Timeout, "{place}");
        let speaking = tokio::spawn(async move {
            sender.send(&Untyped(1)).await.unwrap();
            sender
        });
        assert_eq!(select.ready(&mut [&mut others as _, &mut letters as _], LONG).await.unwrap(), 1, "{place}");
        // What was found stays until it is taken, however often somebody looks.
        assert_eq!(select.ready(&mut [&mut others as _, &mut letters as _], LONG).await.unwrap(), 1, "{place}");
        assert_eq!(letters.recv_within(LONG).await.unwrap().value.0, 1);
        drop(speaking.await.unwrap());
    }
}
