//! What `fault=` says: deliberate misbehaviour, the same each time.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use super::part::{EndpointError, Part, duration_text};

/// A share of all frames, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Probability(f64);

impl Probability {
    /// The share `value`; `None` unless it is from 0 to 1.
    pub fn new(value: f64) -> Option<Self> {
        // Minus zero is a zero too, and is shown as one.
        (0.0..=1.0).contains(&value).then_some(Self(value.abs()))
    }

    /// The share as a number from 0 to 1.
    pub const fn value(self) -> f64 {
        self.0
    }

    fn parse(part: Part<'_>) -> Result<Self, EndpointError> {
        // The point moves in the text, where that is exact: a division would round once more.
        let share = part.text().strip_suffix('%').and_then(|number| format!("{number}e-2").parse().ok());
        share.and_then(Self::new).ok_or_else(|| part.expected("a share from 0% to 100%"))
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The point moves in the text, as in `parse`: a hundredfold of a binary fraction has a tail that nobody wrote.
        let share = self.0.to_string();
        let (whole, fraction) = share.split_once('.').unwrap_or((&share, ""));
        let digits = format!("{whole}{fraction:0<2}");
        let (percent, tail) = digits.split_at(whole.len() + 2);
        let percent = percent.trim_start_matches('0');
        let point = if tail.is_empty() { "" } else { "." };
        write!(f, "{}{point}{tail}%", if percent.is_empty() { "0" } else { percent })
    }
}

/// Deliberate misbehaviour, the same each time: `seed:42,drop:1%,dup:1%,delay:5ms..50ms,reorder:2%,cut:0.1%`.
///
/// [`Plan`](crate::fault::Plan) makes decisions of it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FaultSpec {
    /// Where the decisions come from; zero unless given.
    pub seed: u64,
    /// Frames that vanish.
    pub drop: Probability,
    /// Frames that come twice.
    pub dup: Probability,
    /// Frames that are overtaken.
    pub reorder: Probability,
    /// Frames in the middle of which the connection is cut.
    pub cut: Probability,
    /// Frames in the middle of which a read or write ends.
    pub short: Probability,
    /// How long frames are held back.
    pub delay: Option<RangeInclusive<Duration>>,
}

impl FaultSpec {
    /// The longest delay.
    pub const MAX_DELAY: Duration = Duration::from_secs(60);

    pub(super) fn parse(part: Part<'_>) -> Result<Self, EndpointError> {
        let mut spec = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for item in part.split(',') {
            let (name, value) = item.split_once(':').ok_or_else(|| item.expected(FORM))?;
            if seen.contains(&name.text()) {
                return Err(name.expected(format!("the fault '{}' once", name.text())));
            }
            seen.push(name.text());
            match name.text() {
                "seed" => {
                    spec.seed =
                        value.text().parse().map_err(|_| value.expected("a seed, a number from 0 to 2^64-1"))?;
                }
                "drop" => spec.drop = Probability::parse(value)?,
                "dup" => spec.dup = Probability::parse(value)?,
                "reorder" => spec.reorder = Probability::parse(value)?,
                "cut" => spec.cut = Probability::parse(value)?,
                "short" => spec.short = Probability::parse(value)?,
                "delay" => spec.delay = Some(delay(value)?),
                _ => return Err(name.expected("one of the faults seed, drop, dup, delay, reorder, cut, short")),
            }
        }
        Ok(spec)
    }

    /// The name of the first fault among `names` that this asks for.
    ///
    /// ```
    /// let endpoint: crosstie_core::Endpoint = "tcp://127.0.0.1:1?fault=drop:1%,cut:2%".parse()?;
    /// let spec = endpoint.options().fault.as_ref().expect("it has one");
    /// assert_eq!(spec.first_of(&["dup", "cut", "drop"]), Some("cut"));
    /// # Ok::<_, crosstie_core::EndpointError>(())
    /// ```
    pub fn first_of(&self, names: &[&'static str]) -> Option<&'static str> {
        let is_asked_for = |name: &str| match name {
            "delay" => self.delay.is_some(),
            _ => self.shares().iter().any(|(known, share)| *known == name && share.0 > 0.0),
        };
        names.iter().copied().find(|name| is_asked_for(name))
    }

    fn shares(&self) -> [(&'static str, Probability); 5] {
        [("drop", self.drop), ("dup", self.dup), ("reorder", self.reorder), ("cut", self.cut), ("short", self.short)]
    }
}

const FORM: &str = "faults as in 'seed:42,drop:1%,dup:1%,delay:5ms..50ms,reorder:2%,cut:0.1%'";

fn delay(part: Part<'_>) -> Result<RangeInclusive<Duration>, EndpointError> {
    let invalid = || part.expected("a delay as in '5ms' or '5ms..50ms', at most 60s");
    let read = |text: &str| humantime::parse_duration(text).map_err(|_| invalid());
    let (low, high) = match part.text().split_once("..") {
        Some((low, high)) => (read(low)?, read(high)?),
        None => (read(part.text())?, read(part.text())?),
    };
    if low > high || high > FaultSpec::MAX_DELAY { Err(invalid()) } else { Ok(low..=high) }
}

impl FromStr for FaultSpec {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        Self::parse(Part::new(text))
    }
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed:{}", self.seed)?;
        for (name, share) in self.shares() {
            if share.0 > 0.0 {
                write!(f, ",{name}:{share}")?;
            }
        }
        if let Some(delay) = &self.delay {
            write!(f, ",delay:{}..{}", duration_text(*delay.start()), duration_text(*delay.end()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_and_printed_alike() {
        for text in [
            "seed:42,drop:1%,dup:1%,reorder:2%,cut:0.1%,delay:5ms..50ms",
            "seed:18446744073709551615,drop:7%,short:100%",
            "seed:0,drop:17.503333333333%,dup:0.0000000000000001%,short:0.3%",
            "seed:0",
        ] {
            let fault: FaultSpec = text.parse().unwrap();
            assert_eq!(fault.to_string(), text);
            assert_eq!(fault.to_string().parse::<FaultSpec>().unwrap(), fault);
        }
        for (text, shown) in [("-0%", "0%"), ("007.50%", "7.5%"), (".5%", "0.5%"), ("100.0%", "100%"), ("+1%", "1%")] {
            let fault: FaultSpec = format!("drop:{text}").parse().unwrap();
            assert_eq!(fault.drop.to_string(), shown);
        }
        let fault: FaultSpec = "seed:42,drop:1%,delay:5ms..50ms".parse().unwrap();
        assert_eq!(fault.seed, 42);
        assert!((fault.drop.value() - 0.01).abs() < 1e-12);
        assert_eq!(fault.delay, Some(Duration::from_millis(5)..=Duration::from_millis(50)));
    }

    #[test]
    fn errors_point_at_what_is_wrong() {
        for (text, expected, column) in [
            ("drop:101%", "a share from 0% to 100%", 6),
            ("drop:-1%", "a share from 0% to 100%", 6),
            ("drop:nan%", "a share from 0% to 100%", 6),
            ("drop:1e1%", "a share from 0% to 100%", 6),
            ("drop:0.01", "a share from 0% to 100%", 6),
            ("seed:1,delay:9ms..1ms", "'5ms..50ms'", 14),
            ("delay:61s", "at most 60s", 7),
            ("seed:-1", "a seed", 6),
            ("lose:1%", "one of the faults seed, drop, dup", 1),
            ("drop:1%,drop:2%", "the fault 'drop' once", 9),
            ("drop", "faults as in", 1),
            ("", "faults as in", 1),
        ] {
            let error = text.parse::<FaultSpec>().unwrap_err();
            assert!(error.expected().contains(expected), "{text}: {error}");
            assert_eq!(error.column(), column, "{text}: {error}");
        }
        let error = "tcp://h:1?fault=seed:7,drop:2".parse::<crate::Endpoint>().unwrap_err();
        assert_eq!(error.column(), 29, "it points into the whole endpoint: {error}");
    }
}
