//! One message is one datagram: what does not arrive is lost, and that is counted.

use crosstie_core::{Endpoint, Error, Kind};
use crosstie_net::{Datagrams, receive_datagrams, send_datagrams};

use super::end::{LOST, Line, PATIENCE, place};

struct Pair {
    to: Datagrams,
    from: Datagrams,
}

impl Line for Pair {
    fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.to.send(message, PATIENCE)
    }

    fn receive(&mut self, message: &mut [u8]) -> Result<bool, Error> {
        match self.from.receive(message, LOST) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == Kind::Timeout => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn max_len(&self) -> usize {
        self.to.max_len()
    }
}

/// Where the answers come.
pub(crate) struct Back(Datagrams);

/// Receives at a place beside `endpoint`.
pub(super) fn back(endpoint: &Endpoint) -> Result<Back, Error> {
    let text = endpoint.to_string();
    // For UDP the system chooses a port; elsewhere a name is chosen here.
    let beside = match text.strip_prefix("udp://").and_then(|rest| rest.rsplit_once(':')) {
        Some((host, _)) => format!("udp://{host}:0"),
        None => format!("{text}.back"),
    };
    Ok(Back(receive_datagrams(&place(&beside)?)?))
}

impl Back {
    pub(super) fn endpoint(&self) -> String {
        self.0.endpoint().to_string()
    }

    pub(super) fn open(self, endpoint: &Endpoint) -> Result<Box<dyn Line>, Error> {
        Ok(Box::new(Pair { to: send_datagrams(endpoint)?, from: self.0 }))
    }
}

pub(super) fn far(
    endpoint: &Endpoint,
    back: Option<&Endpoint>,
    ready: impl FnOnce(String) -> Result<(), Error>,
) -> Result<Box<dyn Line>, Error> {
    let from = receive_datagrams(endpoint)?;
    let back = back.ok_or_else(|| Error::new(Kind::InvalidInput, "nobody said where answers go"))?;
    let to = send_datagrams(back)?;
    ready(from.endpoint().to_string())?;
    Ok(Box::new(Pair { to, from }))
}
