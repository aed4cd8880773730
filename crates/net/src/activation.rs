//! Listeners that systemd has bound and handed over when it started this process.
//!
//! The protocol is that of `sd_listen_fds(3)`: `LISTEN_PID` says whom it is for, `LISTEN_FDS` how many there are, from descriptor 3 on, and
//! `LISTEN_FDNAMES` what they are called, with colons between.

use std::env;

use crosstie_core::{Error, Kind, Target};

use crate::{listener::Listener, reach::stay_here, scheme::fd};

/// The first descriptor that is handed over.
const FIRST: u32 = 3;
/// What allows everybody to come, if it is 1: `crosstie serve` has the same.
const INSECURE: &str = "CROSSTIE_INSECURE";
/// More than anybody has.
const MOST: u32 = 1024;

/// A listener that was handed over.
pub struct Activated {
    /// What it is called in the socket unit: `FileDescriptorName=`, else the unit's name; empty if that was not said.
    pub name: String,
    /// The listener. Its file, if it has one, is systemd's and stays.
    pub listener: Box<dyn Listener>,
}

/// The listeners that this process was started with; none if it was not started for a socket. They can be had once.
///
/// # Errors
///
/// [`Kind::InvalidInput`] if the variables say something else than systemd does; [`Kind::Io`] if a descriptor is no listening stream socket,
/// or was taken already; [`Kind::Denied`] if one can be reached from other machines, unless the unit says `Environment=CROSSTIE_INSECURE=1`.
pub fn activated() -> Result<Vec<Activated>, Error> {
    activated_by(|name| env::var(name).ok(), std::process::id())
}

fn activated_by(variable: impl Fn(&str) -> Option<String>, pid: u32) -> Result<Vec<Activated>, Error> {
    // They are inherited by children, for whom they are not meant.
    if variable("LISTEN_PID").and_then(|text| text.parse().ok()) != Some(pid) {
        return Ok(Vec::new());
    }
    let count = variable("LISTEN_FDS").unwrap_or_default();
    let count: u32 = count.parse().ok().filter(|count| *count <= MOST).ok_or_else(|| {
        Error::new(Kind::InvalidInput, format!("expected LISTEN_FDS to be a number up to {MOST}, found '{count}'"))
    })?;
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let is_insecure = variable(INSECURE).is_some_and(|value| value == "1");
    (0..count)
        .map(|at| {
            let number = FIRST + at;
            let told = |error| Error::new(Kind::Io, format!("the socket handed over as 'fd:{number}'")).because(error);
            let listener = Box::new(fd::listen(number).map_err(told)?);
            if let (Target::Tcp { host }, false) = (listener.endpoint().target(), is_insecure) {
                let instead = format!("bind it to 127.0.0.1, or say 'Environment={INSECURE}=1' in its unit");
                stay_here(listener.endpoint(), host, "nothing says who comes", &instead)?;
            }
            Ok(Activated { name: names.next().unwrap_or_default().to_owned(), listener })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_another_process_is_left_alone() {
        let set = |pid: &'static str, count: &'static str| {
            move |name: &str| match name {
                "LISTEN_PID" => Some(pid.to_owned()),
                "LISTEN_FDS" => Some(count.to_owned()),
                _ => None,
            }
        };
        assert!(activated_by(set("1", "1"), 2).unwrap().is_empty());
        assert!(activated_by(|_| None, 2).unwrap().is_empty());
        assert!(activated_by(set("2", "0"), 2).unwrap().is_empty());
        for broken in ["", "x", "-1", "100000"] {
            assert_eq!(activated_by(set("2", broken), 2).err().unwrap().kind(), Kind::InvalidInput, "{broken}");
        }
    }
}
