//! Channels between two network namespaces with a slow link that can be cut. Namespaces need a process of one thread, hence no usual harness.
//!
//! They take ten seconds of waiting, and the right to make namespaces: `cargo xtask test --only far` runs them, which sets `CROSSTIE_FAR`.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crosstie_core::{Endpoint, Kind};
use crosstie_link::{
    ChannelOptions, Untyped,
    blocking::{Channel, ChannelListener},
};
use crosstie_testkit::network::{DELAY, Network, Way};

const LONG: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_millis(800);

type Text = Untyped<String>;
type Test = (&'static str, fn(&Network));
type Pair = (Channel<Text>, Channel<Text>);

fn text(text: &str) -> Text {
    Untyped(text.to_owned())
}

/// Both ends of a channel through the network: the near one connects, the far one listens.
fn pair(network: &Network, options: &ChannelOptions) -> Pair {
    let far = options.clone();
    let listener = network.at_far(move || {
        let endpoint: Endpoint = "tcp://10.77.0.2:0?insecure".parse().unwrap();
        ChannelListener::<Text>::bind_with(&endpoint, far).unwrap()
    });
    let at = listener.endpoint().clone();
    thread::scope(|scope| {
        let accepted = scope.spawn(|| listener.accept(LONG).unwrap().open().unwrap());
        let near = Channel::connect_with(&at, options.clone()).unwrap();
        (near, accepted.join().unwrap())
    })
}

fn exchange((near, far): &mut Pair, what: &str) {
    near.send(&text(what)).unwrap();
    assert_eq!(far.receiver().recv_within(LONG).unwrap().value.0, what);
    far.send(&text(what)).unwrap();
    assert_eq!(near.receiver().recv_within(LONG).unwrap().value.0, what);
}

/// Whoever listens for life hears of a cut within twice the silence it bears, and is not told of a death.
fn a_cut_is_noticed_within_the_silence_that_is_borne(network: &Network) {
    for way in [Way::There, Way::Back] {
        let mut options = ChannelOptions::default();
        options.keep_alive = Some(SILENCE);
        let mut both = pair(network, &options);
        // The control: a link that is slow and whole is kept up.
        let began = Instant::now();
        while began.elapsed() < 2 * SILENCE {
            assert_eq!(both.0.receiver().recv_within(SILENCE).unwrap_err().kind(), Kind::Timeout);
            exchange(&mut both, "still here");
        }
        network.link().cut(way);
        thread::scope(|scope| {
            for end in [&mut both.0, &mut both.1] {
                scope.spawn(move || {
                    let began = Instant::now();
                    let error = end.receiver().recv_within(LONG).unwrap_err();
                    assert_eq!(error.kind(), Kind::Disconnected, "{error}");
                    assert!(began.elapsed() >= SILENCE, "it was given time");
                    assert!(began.elapsed() < LONG / 2, "and no more than it should have: {:?}", began.elapsed());
                });
            }
        });
        network.link().mend(way);
    }
}

/// Whoever bears any silence has its deadlines, and loses nothing.
fn a_cut_ends_waits_and_loses_nothing_once_it_is_mended(network: &Network) {
    for way in [Way::There, Way::Back] {
        let mut options = ChannelOptions::default();
        options.deadline = Some(5 * DELAY);
        let mut both = pair(network, &options);
        exchange(&mut both, "before");
        network.link().cut(way);
        let (near, far) = &mut both;
        let (sender, receiver) = match way {
            Way::There => (near, far),
            Way::Back => (far, near),
        };
        let (sender, receiver) = (sender.sender(), receiver.receiver());
        sender.send(&text("on its way")).unwrap();
        let began = Instant::now();
        assert_eq!(receiver.recv().unwrap_err().kind(), Kind::Timeout, "silence is no end");
        assert!(began.elapsed() < LONG / 2);
        // More than buffers hold: whoever sends is held up, for as long as it said.
        let large = Untyped("x".repeat(1 << 20));
        assert_eq!(sender.send(&large).unwrap_err().kind(), Kind::Timeout);
        network.link().mend(way);
        assert_eq!(receiver.recv_within(LONG).unwrap().value.0, "on its way");
        thread::scope(|scope| {
            // What could not be written in time goes on with the next.
            scope.spawn(|| while sender.flush().is_err_and(|error| error.kind() == Kind::Timeout) {});
            assert!(receiver.recv_within(LONG).unwrap().value.0 == large.0);
        });
        assert_eq!(receiver.stats().lost, 0);
    }
}

/// What says that a check could not be run here.
const NOT_RUN: i32 = 77;

fn main() {
    if std::env::var_os("CROSSTIE_FAR").is_none() {
        println!("\ntest result: ok. NOT RUN: `cargo xtask test --only far` runs them\n");
        return;
    }
    let network: Arc<Network> = match Network::separate() {
        Ok(network) => network,
        Err(error) => {
            println!("no two network namespaces with a link between them: {error}");
            std::process::exit(NOT_RUN);
        }
    };
    let tests: [Test; 2] = [
        ("a_cut_is_noticed_within_the_silence_that_is_borne", a_cut_is_noticed_within_the_silence_that_is_borne),
        ("a_cut_ends_waits_and_loses_nothing_once_it_is_mended", a_cut_ends_waits_and_loses_nothing_once_it_is_mended),
    ];
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for (name, test) in tests {
        if std::env::args().any(|argument| argument == "--list") {
            println!("{name}: test");
        } else if name.contains(&wanted) {
            let began = Instant::now();
            test(&network);
            println!("test {name} ... ok ({:.2?})", began.elapsed());
        }
    }
}
