//! What is measured, on which processors, and what is wanted of it.

use super::place::Place;
use super::rounds::Rounds;
use super::{floors, ours};
use crate::error::Result;
use crate::targets::Target;

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// There and back.
    Micros,
    /// One way: millions of messages per second.
    Millions,
    /// One way, messages of 64 KiB: gigabytes per second.
    Gigabytes,
}

/// One thing to measure.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    /// Rounds of a repetition: some tenths of a second at most.
    pub(super) count: u64,
    pub(super) one_processor: bool,
    pub(super) open: fn(&mut Place) -> Result<Rounds>,
    /// The case that it is compared with.
    pub(super) floor: Option<&'static str>,
    pub(super) target: Option<Target>,
}

/// All of them, floors first.
pub(super) static CASES: &[Case] = &[
    Case::echo("echo/bare", floors::echo).on_one_processor(),
    Case::echo("echo/bytes-unix", ours::unix_echo).on_one_processor().over("echo/bare"),
    Case::echo("echo/channel-unix", ours::channel_unix_echo)
        .on_one_processor()
        .over("echo/bare")
        .wants(Target::Most(1.3)),
    Case::echo("echo/tokio", floors::tokio_echo).on_one_processor(),
    Case::echo("echo/channel-tokio", ours::channel_tokio_echo)
        .on_one_processor()
        .over("echo/tokio")
        .wants(Target::Most(1.3)),
    Case::echo("busy/one-line", floors::line).of(100_000),
    Case::echo("busy/bytes-shm", ours::busy_echo).of(50_000).over("busy/one-line").wants(Target::Below(1.2)),
    Case::echo("busy/channel-shm", ours::channel_busy_echo).of(50_000).over("busy/one-line"),
    Case::echo("busy/bytes-adaptive", ours::shm_echo).over("busy/one-line"),
    Case::large("64KiB/bare", floors::one_way_large),
    Case::large("64KiB/bytes-unix", ours::unix_one_way_large).over("64KiB/bare"),
    Case::large("64KiB/bytes-shm", ours::shm_one_way_large).over("64KiB/bare").wants(Target::Least(1.5)),
    Case::large("64KiB/channel-shm", ours::channel_shm_one_way_large).over("64KiB/bare"),
    Case::small("64B/bare", floors::one_way_small).of(50_000),
    Case::small("64B/channel-unix", ours::channel_unix_one_way).over("64B/bare").wants(Target::Above(3.0)),
    Case::small("64B/bytes-shm", ours::shm_one_way_small).over("64B/bare"),
    Case::small("64B/channel-shm", ours::channel_shm_one_way).over("64B/bare").wants(Target::Above(8.0)),
    Case::small("64B/typed-shm", ours::channel_shm_one_way_typed).over("64B/bare"),
];

type Open = fn(&mut Place) -> Result<Rounds>;

impl Case {
    const fn new(name: &'static str, unit: Unit, count: u64, open: Open) -> Self {
        Self { name, unit, count, one_processor: false, open, floor: None, target: None }
    }

    const fn echo(name: &'static str, open: Open) -> Self {
        Self::new(name, Unit::Micros, 10_000, open)
    }

    const fn small(name: &'static str, open: Open) -> Self {
        Self::new(name, Unit::Millions, 400_000, open)
    }

    const fn large(name: &'static str, open: Open) -> Self {
        Self::new(name, Unit::Gigabytes, 4_000, open)
    }

    const fn of(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    const fn on_one_processor(mut self) -> Self {
        self.one_processor = true;
        self
    }

    const fn over(mut self, floor: &'static str) -> Self {
        self.floor = Some(floor);
        self
    }

    const fn wants(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }
}
