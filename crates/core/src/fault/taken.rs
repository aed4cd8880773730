//! A fault that was taken, in one line that can be read again.

use std::{fmt, str::FromStr, time::Duration};

/// Which way a frame goes, seen from the end that makes the faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To the peer.
    Out,
    /// From the peer.
    In,
}

/// What was done to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It vanished.
    Drop,
    /// It came twice.
    Dup,
    /// The next one came first.
    Reorder,
    /// It was held back so long.
    Delay(Duration),
    /// A read or write ended after so many of its bytes.
    Short(u32),
    /// The connection was cut after so many of its bytes.
    Cut(u32),
}

/// A fault that was taken. Its text is a line of the fault log, as `1 out 17 drop`.
///
/// ```
/// use crosstie_core::fault::{Direction, Fault, Taken};
///
/// let taken: Taken = "1 out 17 drop".parse()?;
/// assert_eq!(taken, Taken { connection: 1, direction: Direction::Out, frame: 17, fault: Fault::Drop });
/// assert_eq!(taken.to_string(), "1 out 17 drop");
/// # Ok::<_, crosstie_core::fault::TakenError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taken {
    /// Which connection, from 1.
    pub connection: u64,
    /// Which way.
    pub direction: Direction,
    /// Which frame of that direction, from 1.
    pub frame: u64,
    /// What was done to it.
    pub fault: Fault,
}

/// Why a text is no line of a fault log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a line of a fault log as '1 out 17 drop' or '1 in 4 delay 12500us', found '{0}'")]
pub struct TakenError(String);

/// The lines of a fault log. Empty ones and those that begin with `#` are left out.
///
/// # Errors
///
/// The first line that is none.
pub fn parse_log(text: &str) -> Result<Vec<Taken>, TakenError> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::parse).collect()
}

impl Fault {
    /// The word of it in `fault=` and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Dup => "dup",
            Self::Reorder => "reorder",
            Self::Delay(_) => "delay",
            Self::Short(_) => "short",
            Self::Cut(_) => "cut",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Out => "out",
            Self::In => "in",
        })
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.connection, self.direction, self.frame, self.fault.name())?;
        match self.fault {
            Fault::Delay(delay) => write!(f, " {}us", delay.as_micros()),
            Fault::Short(bytes) | Fault::Cut(bytes) => write!(f, " {bytes}"),
            Fault::Drop | Fault::Dup | Fault::Reorder => Ok(()),
        }
    }
}

impl FromStr for Taken {
    type Err = TakenError;

    fn from_str(text: &str) -> Result<Self, TakenError> {
        read(text).ok_or_else(|| TakenError(text.chars().take(80).collect()))
    }
}

fn read(text: &str) -> Option<Taken> {
    let mut words = text.split_ascii_whitespace();
    let connection = words.next()?.parse().ok()?;
    let direction = match words.next()? {
        "out" => Direction::Out,
        "in" => Direction::In,
        _ => return None,
    };
    let frame = words.next()?.parse().ok()?;
    let name = words.next()?;
    let mut number = || words.next()?.parse::<u32>().ok();
    let fault = match name {
        "drop" => Fault::Drop,
        "dup" => Fault::Dup,
        "reorder" => Fault::Reorder,
        "short" => Fault::Short(number()?),
        "cut" => Fault::Cut(number()?),
        "delay" => Fault::Delay(Duration::from_micros(words.next()?.strip_suffix("us")?.parse().ok()?)),
        _ => return None,
    };
    words.next().is_none().then_some(Taken { connection, direction, frame, fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_as_it_was_printed() {
        let faults = [
            Fault::Drop,
            Fault::Dup,
            Fault::Reorder,
            Fault::Delay(Duration::from_micros(12_345)),
            Fault::Short(7),
            Fault::Cut(4095),
        ];
        for fault in faults {
            for direction in [Direction::Out, Direction::In] {
                let taken = Taken { connection: 3, direction, frame: u64::MAX, fault };
                assert_eq!(taken.to_string().parse(), Ok(taken));
            }
        }
    }

    #[test]
    fn what_is_no_line_is_told() {
        for text in
            ["", "1 out 17", "1 off 17 drop", "1 out x drop", "1 out 1 delay 5ms", "1 out 1 cut", "1 in 1 drop 2"]
        {
            assert!(text.parse::<Taken>().is_err(), "{text}");
        }
        let log = parse_log("# a remark\n\n1 in 2 dup\n").unwrap();
        assert_eq!(log.len(), 1);
        assert!(parse_log("1 in 2 dup\nnonsense\n").unwrap_err().to_string().contains("'nonsense'"));
    }
}
