//! What Crosstie wants to reach, and whether a figure does.

use serde::Serialize;

/// A bound on a figure of ours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// At least so many times the other's figure.
    Least(f64),
    /// At most so many times the other's figure.
    Most(f64),
    /// At most so much, whatever the other does.
    Below(f64),
    /// At least so much, whatever the other does.
    Above(f64),
}

impl Target {
    pub(crate) fn is_met(self, ours: f64, other: f64) -> bool {
        match self {
            Self::Least(ratio) => ours >= ratio * other,
            Self::Most(ratio) => ours <= ratio * other,
            Self::Below(bound) => ours <= bound,
            Self::Above(bound) => ours >= bound,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Least(ratio) => write!(f, "≥ {ratio}×"),
            Self::Most(ratio) => write!(f, "≤ {ratio}×"),
            Self::Below(bound) => write!(f, "≤ {bound}"),
            Self::Above(bound) => write!(f, "≥ {bound}"),
        }
    }
}

/// Deliveries per second, by payload and whether there are several subscribers.
pub(crate) const fn rate(payload: usize, subscribers: usize, publishers: usize) -> Option<Target> {
    match (payload, publishers, subscribers) {
        (..=128, _, _) => Some(Target::Least(2.0)),
        (1024, 1, 1) => Some(Target::Least(1.5)),
        (1024, 1, 8) => Some(Target::Least(1.1)),
        _ => None,
    }
}

/// Server processor time per delivery.
pub(crate) const fn cpu(payload: usize) -> Option<Target> {
    if payload <= 128 { Some(Target::Most(0.45)) } else { None }
}

/// Paced latency: p50.
pub(crate) const P50: Target = Target::Most(0.5);
/// Paced latency: p99.9.
pub(crate) const P999: Target = Target::Most(0.6);
/// Resident bytes per idle connection.
pub(crate) const IDLE_BYTES: Target = Target::Below(4096.0);
/// Our client library's rate against the raw generator's.
pub(crate) const OUR_CLIENT: Target = Target::Least(0.7);
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_met_up_to_its_edge() {
        assert!(Target::Least(2.0).is_met(4.0, 2.0) && !Target::Least(2.0).is_met(3.9, 2.0));
        assert!(Target::Most(0.5).is_met(1.0, 2.0) && !Target::Most(0.5).is_met(1.1, 2.0));
        assert!(IDLE_BYTES.is_met(4096.0, 0.0) && !IDLE_BYTES.is_met(4097.0, 9e9));
        assert!(Target::Above(8.0).is_met(8.0, 0.0) && !Target::Above(8.0).is_met(7.9, 0.0));
    }
}
