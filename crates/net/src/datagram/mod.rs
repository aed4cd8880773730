//! Datagrams: one message each, whole or not at all. One file for each scheme that has them.

mod alarm;
mod capabilities;
mod carrier;
mod datagrams;
mod faulty;
mod mem;
mod shm;
mod socket;
mod udp;
mod unix;

use std::io;

use crosstie_core::{Endpoint, Error, Kind, Target};

use crate::{
    fault::{Scope, permitted},
    reach::stay_here,
    socket::cannot,
};

pub use self::{
    capabilities::{DatagramCapabilities, Overflow},
    carrier::Received,
    datagrams::{AsyncDatagrams, Datagrams},
};

/// Receives datagrams at an endpoint, a multicast group among them.
///
/// # Errors
///
/// [`Kind::Denied`] beyond loopback without `?insecure`; [`Kind::Unsupported`] for a scheme without datagrams; [`Kind::Io`] where the operating
/// system refuses.
pub fn receive_datagrams(endpoint: &Endpoint) -> Result<Datagrams, Error> {
    check(endpoint)?;
    let faults = permitted(endpoint, Scope::Datagrams)?;
    let bound = match endpoint.target() {
        Target::Mem { name } => mem::receive(name),
        Target::Unix { address } => unix::receive(address),
        Target::Shm { name } => shm::receive(name),
        Target::Udp { host } => {
            if !endpoint.options().insecure {
                stay_here(endpoint, host, "nothing says who sends", "receive on 127.0.0.1, or say '?insecure'")?;
            }
            udp::receive(host, endpoint)
        }
        _ => return Err(unsupported(endpoint)),
    };
    let bound = bound.map_err(|error| cannot("receive at", endpoint, error))?;
    let bound = match faults {
        Some(faults) => bound.with_faults(&faults)?,
        None => bound,
    };
    Ok(if matches!(endpoint.target(), Target::Mem { .. }) { bound } else { bound.announced() })
}

/// Sends datagrams to an endpoint. Nothing is sent yet, and over UDP nobody need be there.
///
/// # Errors
///
/// [`Kind::NoResponders`] if nobody receives there, except over UDP; [`Kind::Unsupported`] for a scheme without datagrams; [`Kind::Io`] where the
/// operating system refuses.
pub fn send_datagrams(endpoint: &Endpoint) -> Result<Datagrams, Error> {
    check(endpoint)?;
    let faults = permitted(endpoint, Scope::Datagrams)?;
    let connected = match endpoint.target() {
        Target::Mem { name } => mem::send(name, endpoint),
        Target::Unix { address } => unix::send(address, endpoint),
        Target::Shm { name } => shm::send(name, endpoint),
        Target::Udp { host } => udp::send(host, endpoint),
        _ => return Err(unsupported(endpoint)),
    };
    let connected = connected.map_err(|error| {
        let is_nobody = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        let kind = if is_nobody { Kind::NoResponders } else { Kind::Io };
        Error::new(kind, format!("cannot send to '{endpoint}'")).because(error)
    })?;
    match faults {
        Some(faults) => connected.with_faults(&faults),
        None => Ok(connected),
    }
}

fn check(endpoint: &Endpoint) -> Result<(), Error> {
    if !endpoint.may_be_opened() {
        let text = format!("'{endpoint}' must come from the caller's own code or command line (`Endpoint::trusted`)");
        return Err(Error::new(Kind::Denied, text));
    }
    Ok(())
}

fn unsupported(endpoint: &Endpoint) -> Error {
    Error::new(Kind::Unsupported, format!("datagrams need mem:, unix:, shm: or udp:, found '{endpoint}'"))
}
