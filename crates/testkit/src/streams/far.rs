//! What is seen only over a way that takes its time and can be cut.

use std::{
    io::{ErrorKind, Read, Write},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crosstie_core::Kind;
use crosstie_net::Connection;

use super::{
    pattern::Pattern,
    peer::LONG,
    subject::{Subject, meet},
    suite::{self, Sizes},
};
use crate::{
    matrix::{self, Test, tests},
    network::{DELAY, Network, RATE, Way},
};

const TESTS: &[Test<Subject, Sizes>] = tests! {
    control_the_way_is_as_long_and_as_narrow_as_it_should_be if |_| true;
    a_cut_there_is_noticed_by_time_alone_and_mended_without_a_trace if |_| true;
    a_cut_back_is_noticed_by_time_alone_and_mended_without_a_trace if |_| true;
};

/// Runs the tests of [`run`](suite::run) and some more over the schemes that reach other machines, from one end of a network to the other.
pub fn run_far(folder: &Path, network: &Arc<Network>, wanted: &str) -> usize {
    let subjects = Subject::far(folder, network);
    matrix::run("streams", &subjects, suite::TESTS, &Sizes::FAR, wanted)
        + matrix::run("streams", &subjects, TESTS, &Sizes::FAR, wanted)
}

/// A wait that is meant to end with its time: longer than there and back.
const WAIT: Duration = Duration::from_millis(300);

fn pair(subject: &Subject) -> (Connection, Connection) {
    let (mut near, mut far) = meet(&*subject.listener().expect("a far scheme has listeners"));
    near.set_timeout(Some(LONG));
    far.set_timeout(Some(LONG));
    (near, far)
}

fn round_trip(near: &Connection, far: &Connection) -> Duration {
    let began = Instant::now();
    for (mut from, mut to) in [(near, far), (far, near)] {
        from.write_all(b"x").unwrap();
        to.read_exact(&mut [0]).unwrap();
    }
    began.elapsed()
}

fn control_the_way_is_as_long_and_as_narrow_as_it_should_be(subject: &Subject, sizes: &Sizes) {
    let (near, far) = pair(subject);
    assert!(round_trip(&near, &far) >= 2 * DELAY);
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| Pattern::new().write(&near, sizes.bytes).unwrap());
        let mut came = vec![0; usize::try_from(sizes.bytes).unwrap()];
        (&far).read_exact(&mut came).unwrap();
    });
    let least = Duration::from_millis(sizes.bytes * 8 * 1000 / RATE);
    assert!(began.elapsed() >= least, "{:?} for what takes {least:?}", began.elapsed());
}

fn a_cut_there_is_noticed_by_time_alone_and_mended_without_a_trace(subject: &Subject, sizes: &Sizes) {
    is_noticed_by_time_alone(subject, sizes, Way::There);
}

fn a_cut_back_is_noticed_by_time_alone_and_mended_without_a_trace(subject: &Subject, sizes: &Sizes) {
    is_noticed_by_time_alone(subject, sizes, Way::Back);
}

/// One way is cut. Both ends see silence, within their time; neither calls the other dead; and when it is mended, every byte comes.
fn is_noticed_by_time_alone(subject: &Subject, sizes: &Sizes, way: Way) {
    let (mut near, mut far) = pair(subject);
    round_trip(&near, &far);
    let link = subject.network().expect("a far scheme has a network").link();
    link.cut(way);
    let lost = link.lost(way);
    for silent in [&mut near, &mut far] {
        silent.set_timeout(Some(WAIT));
        let began = Instant::now();
        let error = (&*silent).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(began.elapsed() < LONG, "the wait had its end");
        assert_eq!(silent.explain(error).kind(), Kind::Timeout, "silence proves nothing");
    }
    // Who writes is held up once the buffers are full, whether the bytes are cut or what confirms them.
    let mut text = Vec::new();
    Pattern::new().write(&mut text, 64 * sizes.bytes).unwrap();
    let mut written = 0;
    let error = loop {
        assert!(written < text.len(), "somebody has taken it all");
        match (&near).write(&text[written..]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(near.explain(error).kind(), Kind::Timeout);
    assert!(link.lost(way) > lost, "the control: something was lost on the way");
    // Even an end of the connection, if it were one, would not be called a death.
    assert_eq!(near.explain(ErrorKind::ConnectionReset.into()).kind(), Kind::Disconnected);
    link.mend(way);
    near.set_timeout(Some(LONG));
    far.set_timeout(Some(LONG));
    near.end_writing().unwrap();
    assert_eq!(Pattern::new().read(&far, u64::MAX).unwrap(), Ok(written as u64), "all that was taken has come");
}
