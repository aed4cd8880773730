//! What can go wrong, and when it does.

use std::{fmt, str::FromStr, time::Duration};

use crosstie_core::{Mono, Randomness};

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A client's connection breaks. What is on its way is lost, or still arrives; each end notices after a while of its own, or never by
    /// itself: then only silence can tell it.
    Cut { client: usize, loses: bool, client_notices: Option<Duration>, broker_notices: Option<Duration> },
    /// A client reads nothing for a while.
    Stall { client: usize, time: Duration },
    /// A client program dies. Its system may say so to the broker, or go down with it.
    Kill { client: usize, silently: bool },
    /// Connecting fails at once for a while.
    Refuse { time: Duration },
    /// Connecting leads nowhere for a while.
    Hang { time: Duration },
    /// The broker dies with all it knows and comes back. Its system may say so to the clients, or go down with it.
    Restart { silently: bool, time: Duration },
    /// The broker leaves politely and comes back.
    LameDuck { grace: Duration, time: Duration },
}

/// The kinds of faults, as a user names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Cut,
    Stall,
    Kill,
    Refuse,
    Hang,
    Restart,
    LameDuck,
}

impl FaultKind {
    const ALL: [Self; 7] =
        [Self::Cut, Self::Stall, Self::Kill, Self::Refuse, Self::Hang, Self::Restart, Self::LameDuck];

    pub(crate) const fn of(fault: &Fault) -> Self {
        match fault {
            Fault::Cut { .. } => Self::Cut,
            Fault::Stall { .. } => Self::Stall,
            Fault::Kill { .. } => Self::Kill,
            Fault::Refuse { .. } => Self::Refuse,
            Fault::Hang { .. } => Self::Hang,
            Fault::Restart { .. } => Self::Restart,
            Fault::LameDuck { .. } => Self::LameDuck,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Stall => "stall",
            Self::Kill => "kill",
            Self::Refuse => "refuse",
            Self::Hang => "hang",
            Self::Restart => "restart",
            Self::LameDuck => "lame-duck",
        }
    }
}

/// Which faults may happen in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<FaultKind>);

impl Faults {
    /// Every kind of fault; one seed in eight has none.
    pub fn all() -> Self {
        Self(FaultKind::ALL.to_vec())
    }

    /// No fault at all: delivery must be complete.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => return Ok(Self::all()),
            "none" => return Ok(Self::none()),
            _ => {}
        }
        let kind = |name: &str| {
            let names = || FaultKind::ALL.map(FaultKind::name).join(", ");
            let known = FaultKind::ALL.into_iter().find(|kind| kind.name() == name);
            known.ok_or_else(|| format!("expected 'all', 'none' or some of {}, found '{name}'", names()))
        };
        text.split(',').map(kind).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::all() {
            return f.write_str("all");
        }
        if self.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.0.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(","))
    }
}

impl Fault {
    /// The faults of a run, by time. All are over within `busy`.
    pub(crate) fn draw_all(
        faults: Faults,
        clients: usize,
        busy: Duration,
        random: &mut dyn Randomness,
    ) -> Vec<(Mono, Self)> {
        let count = 2 + random.below(10);
        let mut drawn: Vec<_> = (0..count)
            .map(|_| {
                let at = Mono::from_nanos(random.below(busy.as_nanos() as u64));
                let left = (Mono::ZERO + busy).since(at);
                let kind = faults.0[random.below(faults.0.len() as u64) as usize];
                (at, Self::draw(kind, clients, left, random))
            })
            .collect();
        drawn.sort_by_key(|(at, _)| *at);
        drawn
    }

    fn draw(kind: FaultKind, clients: usize, left: Duration, random: &mut dyn Randomness) -> Self {
        let client = random.below(clients as u64) as usize;
        let mut up_to = |millis: u64| Duration::from_millis(random.below(millis)).min(left);
        let (time, short) = (up_to(1200), up_to(200));
        let (soon, later) = (up_to(100), up_to(2000));
        let mut odds = |one_in: u64| random.below(one_in) == 0;
        match kind {
            FaultKind::Cut => Self::Cut {
                client,
                loses: !odds(3),
                client_notices: (!odds(4)).then(|| if odds(3) { later } else { soon }),
                broker_notices: (!odds(4)).then(|| if odds(3) { later } else { short }),
            },
            FaultKind::Stall => Self::Stall { client, time: (time * 2).min(left) },
            FaultKind::Kill => Self::Kill { client, silently: odds(2) },
            FaultKind::Refuse => Self::Refuse { time },
            FaultKind::Hang => Self::Hang { time },
            FaultKind::Restart => Self::Restart { silently: odds(3), time: short },
            FaultKind::LameDuck => Self::LameDuck { grace: short, time: short },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        for text in ["all", "none", "cut", "stall,lame-duck"] {
            assert_eq!(text.parse::<Faults>().unwrap().to_string(), text);
        }
        assert!("cut,rain".parse::<Faults>().unwrap_err().contains("found 'rain'"));
    }
}
