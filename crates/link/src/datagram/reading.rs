//! What a receiver makes of the datagrams that come.

use std::{marker::PhantomData, net::SocketAddr};

use crosstie_core::{Endpoint, Error, Headers, Kind, Result};
use crosstie_net::{Datagrams, PeerProcess, Received, receive_datagrams};
use crosstie_proto::frame::{Datagram, Heard, Senders, Violation};

use super::types::Types;
use crate::{ChannelOptions, Payload, compression::Unpacker};

/// A message that came in a datagram, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedDatagram<T> {
    /// What was sent.
    pub value: T,
    /// Control information.
    pub headers: Headers,
    /// Its number at its sender, from 1.
    pub number: u64,
    /// How many of its sender's between the last that came and this one are lost, or come too late.
    pub lost: u64,
    /// Of the first that came of a sender: how many numbers are before it. They are lost, or were sent before this side listened, or the sender was forgotten
    /// meanwhile.
    pub unheard: u64,
    /// What the sender has drawn for itself, to tell it from others. It proves nothing.
    pub sender: u64,
    /// Where it says it came from, which proves nothing; `None` over anything but UDP.
    pub from: Option<SocketAddr>,
    /// The process that sent it, for which the kernel vouches; `None` where nobody does.
    pub process: Option<PeerProcess>,
}

/// What has come to a receiver of datagrams so far, of all senders together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatagramStats {
    /// Messages that were received.
    pub delivered: u64,
    /// Messages that did not come, those included that came late.
    pub lost: u64,
    /// Numbers before the first message that came of a sender: lost, sent before this side listened, or of a sender that had been forgotten.
    pub unheard: u64,
    /// Messages that came again, and were dropped.
    pub duplicates: u64,
    /// Messages that came after later ones of their sender, and were dropped.
    pub late: u64,
    /// Messages of a type or in a codec that this side does not read. Each was told.
    pub foreign: u64,
    /// Datagrams that were none of a channel, changed on their way, or no message of their type. Each was told.
    pub broken: u64,
    /// Senders of whom nothing is remembered any more because there were too many.
    pub forgotten: u64,
}

/// Who sent one, as far as that is known: nobody counts among those of another address or process.
type Sender = (Option<SocketAddr>, Option<u32>, u64);

/// A receiver without what carries its datagrams.
pub(crate) struct Reading<R> {
    pub(crate) options: ChannelOptions,
    buf: Vec<u8>,
    types: Types,
    senders: Senders<Sender>,
    unpacker: Unpacker,
    delivered: u64,
    foreign: u64,
    broken: u64,
    values: PhantomData<fn() -> R>,
}

/// The longest datagram of all schemes: a sender may be set otherwise than this side.
const LONGEST: usize = 256 * 1024;

impl<R: Payload> Reading<R> {
    /// A receiver at `endpoint`, and what carries its datagrams.
    pub(crate) fn open(endpoint: &Endpoint, options: ChannelOptions) -> Result<(Self, Datagrams)> {
        let options = options.said_by(endpoint)?;
        let types = Types::new::<R>(&options)?;
        let carrier = match &options.faults {
            Some(faults) => faults.receive_datagrams(endpoint)?,
            None => receive_datagrams(endpoint)?,
        };
        let reading = Self {
            buf: vec![0; carrier.max_len().max(LONGEST)],
            types,
            senders: Senders::new(options.senders),
            unpacker: Unpacker::default(),
            delivered: 0,
            foreign: 0,
            broken: 0,
            values: PhantomData,
            options,
        };
        Ok((reading, carrier))
    }

    /// Where the next datagram goes.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.buf
    }

    /// What came of receiving into the room: a message, or nothing if it is one that was here or comes too late.
    ///
    /// # Errors
    ///
    /// That of receiving, and what is wrong with this datagram alone.
    pub(crate) fn take(&mut self, received: Result<Received>) -> Result<Option<ReceivedDatagram<R>>> {
        let received = received.inspect_err(|error| {
            // It did not fit, and is gone.
            self.broken += u64::from(error.kind() == Kind::TooLarge);
        })?;
        let message = Datagram::parse(&self.buf[..received.len]).map_err(|violation| {
            self.broken += 1;
            told(&received, Error::from(violation))
        })?;
        let sender = (received.from, received.sender.map(|process| process.pid), message.sender);
        let (lost, unheard) = match self.senders.note(sender, message.number) {
            Heard::First { unheard } => (0, unheard),
            Heard::After { lost } => (lost, 0),
            Heard::Duplicate | Heard::Late => return Ok(None),
        };
        if let Err(words) = self.types.fits(&message) {
            self.foreign += 1;
            return Err(told(&received, Error::new(Kind::Rejected, words.to_owned())));
        }
        let value = value(&mut self.unpacker, &message, self.options.max_frame).map_err(|error| {
            self.broken += 1;
            told(&received, error)
        })?;
        self.delivered += 1;
        Ok(Some(ReceivedDatagram {
            value,
            number: message.number,
            lost,
            unheard,
            sender: message.sender,
            headers: message.headers,
            from: received.from,
            process: received.sender,
        }))
    }

    pub(crate) fn stats(&self) -> DatagramStats {
        let tally = self.senders.tally();
        DatagramStats {
            delivered: self.delivered,
            lost: tally.lost,
            unheard: tally.unheard,
            duplicates: tally.duplicates,
            late: tally.late,
            foreign: self.foreign,
            broken: self.broken,
            forgotten: tally.forgotten,
        }
    }
}

fn value<R: Payload>(unpacker: &mut Unpacker, message: &Datagram<'_>, limit: usize) -> Result<R> {
    let payload = match message.inflated {
        None => message.payload,
        Some(found) if found > limit => return Err(Violation::Inflated { found, limit }.into()),
        Some(len) => unpacker.unpack(message.payload, len)?,
    };
    R::decode(message.codec, payload)
}

/// Says of whom it is.
fn told(received: &Received, error: Error) -> Error {
    let who = match (received.from, received.sender) {
        (Some(from), _) => format!("from {from}"),
        (None, Some(process)) => format!("from process {}", process.pid),
        (None, None) => "that came".to_owned(),
    };
    Error::new(error.kind(), format!("a datagram {who} was not taken: {error}"))
}
