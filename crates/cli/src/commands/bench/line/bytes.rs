//! Bytes as they are: one write for each message, and as many reads as it takes.

use std::io::{Read, Write};

use crosstie_core::{Endpoint, Error};
use crosstie_net::{Connection, PipeEnds, connector, listen, pipe_pair};

use super::end::{Line, PATIENCE};

struct Bytes(Connection);

impl Line for Bytes {
    fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        Ok(self.0.write_all(message)?)
    }

    fn receive(&mut self, message: &mut [u8]) -> Result<bool, Error> {
        self.0.read_exact(message)?;
        Ok(true)
    }
}

fn line(connection: Connection) -> Box<dyn Line> {
    Box::new(Bytes(connection))
}

/// What the near end says first, for a named pipe shows that somebody is there by what is written alone.
const GREETING: [u8; 1] = *b"!";

pub(super) fn connect(endpoint: &Endpoint) -> Result<Box<dyn Line>, Error> {
    let mut connection = connector(endpoint)?.connect(PATIENCE)?;
    connection.write_all(&GREETING)?;
    Ok(line(connection))
}

pub(super) fn accept(
    endpoint: &Endpoint,
    ready: impl FnOnce(String) -> Result<(), Error>,
) -> Result<Box<dyn Line>, Error> {
    let listener = listen(endpoint)?;
    ready(listener.endpoint().to_string())?;
    let mut connection = listener.accept(PATIENCE)?;
    connection.read_exact(&mut GREETING.clone())?;
    Ok(line(connection))
}

pub(super) fn pipe() -> Result<(Box<dyn Line>, PipeEnds), Error> {
    let (connection, ends) = pipe_pair()?;
    Ok((line(connection), ends))
}

pub(super) fn standard_streams() -> Result<Box<dyn Line>, Error> {
    Ok(line(crosstie_net::standard_streams()?))
}
