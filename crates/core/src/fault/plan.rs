//! What happens to which frame: a pure function.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use super::{Direction, Fault, Taken};
use crate::{FaultSpec, Randomness, Seeded};

/// Which frames meet which fault.
///
/// ```
/// use crosstie_core::fault::{Direction, Plan};
///
/// let plan = Plan::seeded("seed:42,drop:50%".parse()?);
/// let dropped: Vec<u64> = (1..=8).filter(|frame| plan.decide(1, Direction::Out, *frame, 64).drop).collect();
/// assert_eq!(dropped, [3, 5, 7, 8]);
/// # Ok::<_, crosstie_core::EndpointError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plan(Source);

#[derive(Clone, Debug)]
enum Source {
    Seed(FaultSpec),
    Log(BTreeMap<(u64, Direction, u64), Decision>),
}

/// What happens to one frame. [`Self::cut`] goes before [`Self::drop`], and that before the others, which may come together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The connection is cut after so many of its bytes.
    pub cut: Option<u32>,
    /// It vanishes.
    pub drop: bool,
    /// It comes twice.
    pub dup: bool,
    /// The next one comes first.
    pub reorder: bool,
    /// A read or write ends after so many of its bytes.
    pub short: Option<u32>,
    /// It is held back so long.
    pub delay: Option<Duration>,
}

impl Plan {
    /// The plan that follows from a seed.
    pub const fn seeded(spec: FaultSpec) -> Self {
        Self(Source::Seed(spec))
    }

    /// The plan that does again what was done, and nothing else.
    ///
    /// ```
    /// use crosstie_core::fault::{Direction, Plan, parse_log};
    ///
    /// let plan = Plan::replay(parse_log("1 out 17 drop")?);
    /// assert!(plan.decide(1, Direction::Out, 17, 64).drop);
    /// assert!(!plan.decide(1, Direction::In, 17, 64).drop);
    /// # Ok::<_, crosstie_core::fault::TakenError>(())
    /// ```
    pub fn replay(log: impl IntoIterator<Item = Taken>) -> Self {
        let mut decisions = BTreeMap::<_, Decision>::new();
        for taken in log {
            let decision = decisions.entry((taken.connection, taken.direction, taken.frame)).or_default();
            match taken.fault {
                Fault::Drop => decision.drop = true,
                Fault::Dup => decision.dup = true,
                Fault::Reorder => decision.reorder = true,
                Fault::Delay(delay) => decision.delay = Some(delay),
                Fault::Short(bytes) => decision.short = Some(bytes),
                Fault::Cut(bytes) => decision.cut = Some(bytes),
            }
        }
        Self(Source::Log(decisions))
    }

    /// What happens to frame number `frame`, of `len` bytes, of a direction of a connection. A function of its arguments: it may be asked any number
    /// of times, in any order.
    ///
    /// Places within the frame are from 1 to below `len`, so what is not at least 2 bytes long is neither cut nor shortened.
    pub fn decide(&self, connection: u64, direction: Direction, frame: u64, len: u32) -> Decision {
        match &self.0 {
            Source::Seed(spec) => seeded(spec, connection, direction, frame, len),
            Source::Log(decisions) => decisions.get(&(connection, direction, frame)).copied().unwrap_or_default(),
        }
    }

    /// The name of the first fault among `names` that may come of it.
    pub fn first_of(&self, names: &[&'static str]) -> Option<&'static str> {
        match &self.0 {
            Source::Seed(spec) => spec.first_of(names),
            Source::Log(decisions) => names.iter().copied().find(|name| decisions.values().any(|it| it.asks_for(name))),
        }
    }
}

impl Decision {
    /// True if nothing happens to the frame.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn asks_for(&self, name: &str) -> bool {
        match name {
            "drop" => self.drop,
            "dup" => self.dup,
            "reorder" => self.reorder,
            "delay" => self.delay.is_some(),
            "short" => self.short.is_some(),
            "cut" => self.cut.is_some(),
            _ => false,
        }
    }
}

/// Seven draws, always in this order and always all of them: changing one share changes no other fault.
fn seeded(spec: &FaultSpec, connection: u64, direction: Direction, frame: u64, len: u32) -> Decision {
    let way = match direction {
        Direction::Out => 1,
        Direction::In => 2,
    };
    // Each number is mixed in by the generator itself, so neighbours have nothing in common.
    let state =
        [connection, way, frame].into_iter().fold(spec.seed, |state, part| Seeded::new(state).next_u64() ^ part);
    let mut random = Seeded::new(state);
    let cut = random.chance(spec.cut.value());
    let drop = random.chance(spec.drop.value());
    let dup = random.chance(spec.dup.value());
    let reorder = random.chance(spec.reorder.value());
    let short = random.chance(spec.short.value());
    let delay = random.next_u64();
    let place = random.next_u64();
    // From 1 to below the length.
    let place = (len >= 2).then(|| 1 + within(place, u64::from(len) - 1) as u32);
    Decision {
        cut: place.filter(|_| cut),
        drop,
        dup,
        reorder,
        short: place.filter(|_| short),
        delay: spec.delay.as_ref().map(|range| drawn(range, delay)),
    }
}

/// Whole microseconds, so that the log can say it exactly.
fn drawn(range: &RangeInclusive<Duration>, random: u64) -> Duration {
    let micros = |duration: &Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let (low, high) = (micros(range.start()), micros(range.end()));
    Duration::from_micros(low + within(random, (high - low).saturating_add(1)))
}

/// A number below `bound`, as [`Randomness::below`] makes it.
fn within(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(spec: &str) -> Plan {
        Plan::seeded(spec.parse().unwrap())
    }

    fn all(plan: &Plan, direction: Direction, connection: u64) -> Vec<Decision> {
        (1..=2000).map(|frame| plan.decide(connection, direction, frame, 4096)).collect()
    }

    const ALL: &str = "seed:7,drop:5%,dup:5%,reorder:5%,cut:1%,short:10%,delay:1ms..9ms";

    #[test]
    fn a_decision_is_the_same_whenever_and_in_whichever_order_it_is_asked_for() {
        let (one, other) = (plan(ALL), plan(ALL));
        let forward = all(&one, Direction::Out, 1);
        let backward: Vec<_> = (1..=2000).rev().map(|frame| other.decide(1, Direction::Out, frame, 4096)).collect();
        assert!(forward.iter().eq(backward.iter().rev()));
    }

    #[test]
    fn control_another_seed_connection_or_direction_decides_otherwise() {
        let known = all(&plan(ALL), Direction::Out, 1);
        assert_ne!(known, all(&plan(&ALL.replace("seed:7", "seed:8")), Direction::Out, 1));
        assert_ne!(known, all(&plan(ALL), Direction::Out, 2));
        assert_ne!(known, all(&plan(ALL), Direction::In, 1));
    }

    #[test]
    fn decisions_are_those_of_the_release() {
        // Golden: a log that was kept must replay with later versions.
        let plan = plan("seed:7,drop:5%,dup:5%,reorder:5%");
        let of = |name: fn(&Decision) -> bool| -> Vec<u64> {
            (1..=100).filter(|frame| name(&plan.decide(1, Direction::Out, *frame, 64))).collect()
        };
        assert_eq!(of(|it| it.drop), [9, 36, 41, 58, 70, 76]);
        assert_eq!(of(|it| it.dup), [31, 32, 44, 88]);
        assert_eq!(of(|it| it.reorder), [29, 86, 87, 95]);
    }

    #[test]
    fn shares_are_about_what_was_asked_for_and_independent() {
        let decisions = all(&plan(ALL), Direction::Out, 1);
        let count = |is: fn(&Decision) -> bool| decisions.iter().filter(|decision| is(decision)).count();
        for (found, expected) in [
            (count(|it| it.drop), 100),
            (count(|it| it.dup), 100),
            (count(|it| it.reorder), 100),
            (count(|it| it.cut.is_some()), 20),
            (count(|it| it.short.is_some()), 200),
            (count(|it| it.delay.is_some()), 2000),
        ] {
            assert!((expected / 2..=expected * 2).contains(&found), "expected about {expected}, found {found}");
        }
        let without_drop = all(&plan(&ALL.replace("drop:5%,", "")), Direction::Out, 1);
        assert!(decisions.iter().zip(&without_drop).all(|(a, b)| *b == Decision { drop: false, ..*a }));
    }

    #[test]
    fn places_and_delays_keep_their_bounds() {
        let plan = plan("seed:1,cut:100%,short:100%,delay:5ms..6ms");
        for frame in 1..1000 {
            let decision = plan.decide(1, Direction::In, frame, 3);
            assert!(matches!(decision.cut, Some(1 | 2)), "{decision:?}");
            let delay = decision.delay.unwrap();
            assert!((Duration::from_millis(5)..=Duration::from_millis(6)).contains(&delay));
        }
        assert_eq!(plan.decide(1, Direction::In, 1, 1).cut, None);
    }

    #[test]
    fn what_was_done_is_done_again() {
        let (seeded, mut log) = (plan(ALL), Vec::new());
        for frame in 1..=2000 {
            let decision = seeded.decide(1, Direction::Out, frame, 4096);
            let mut note = |fault| log.push(Taken { connection: 1, direction: Direction::Out, frame, fault });
            decision.cut.map(Fault::Cut).map(&mut note);
            decision.short.map(Fault::Short).map(&mut note);
            decision.delay.map(Fault::Delay).map(&mut note);
            decision.drop.then_some(Fault::Drop).map(&mut note);
            decision.dup.then_some(Fault::Dup).map(&mut note);
            decision.reorder.then_some(Fault::Reorder).map(&mut note);
        }
        let text: String = log.iter().map(|taken| format!("{taken}\n")).collect();
        let replayed = Plan::replay(super::super::parse_log(&text).unwrap());
        assert_eq!(all(&replayed, Direction::Out, 1), all(&seeded, Direction::Out, 1));
        assert!(all(&replayed, Direction::In, 1).iter().all(Decision::is_none), "and nothing else");
        assert_eq!(replayed.first_of(&["cut"]), Some("cut"));
    }
}
