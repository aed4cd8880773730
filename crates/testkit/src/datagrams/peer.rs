//! What another process does, until it is killed.

use std::{env, io::Read, process::ExitCode, time::Duration};

use crosstie_core::{Endpoint, Error};
use crosstie_net::{receive_datagrams, send_datagrams};

use super::numbered::{ROOM, letter};

/// For conditions that hold at once unless the machine is very busy.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// What the other process does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// Sends numbered datagrams without end.
    Flood,
    /// Takes one, says so, and takes nothing more.
    Deaf,
}

impl Role {
    const ALL: [Self; 2] = [Self::Flood, Self::Deaf];

    pub(super) fn name(self) -> String {
        format!("{self:?}")
    }

    fn play(self, endpoint: &Endpoint) -> Result<(), Error> {
        match self {
            Self::Flood => {
                let sender = send_datagrams(endpoint)?;
                for number in 0.. {
                    sender.send(&letter(number), LONG)?;
                }
            }
            Self::Deaf => {
                let receiver = receive_datagrams(endpoint)?;
                receiver.receive(&mut [0; ROOM], LONG)?;
                println!();
                // An orphan does not stay: standard input ends with whoever started it.
                std::io::stdin().read_to_end(&mut Vec::new())?;
            }
        }
        Ok(())
    }
}

/// The argument that makes a program a peer.
pub(super) const AS_PEER: &str = "--as-datagram-peer";

/// Plays the peer if that is what this process was started for.
pub(super) fn play_if_asked() -> Option<ExitCode> {
    let arguments: Vec<String> = env::args().collect();
    let [_, flag, endpoint, role] = &arguments[..] else { return None };
    if flag != AS_PEER {
        return None;
    }
    let role = Role::ALL.into_iter().find(|known| known.name() == *role).expect("a role");
    let endpoint: Endpoint = endpoint.parse().expect("an endpoint");
    Some(match role.play(&endpoint) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer {role:?} at {endpoint}: {error}");
            ExitCode::FAILURE
        }
    })
}
