//! What a sender of datagrams makes of its messages.

use std::{
    hash::{BuildHasher, RandomState},
    marker::PhantomData,
    time::Duration,
};

use crosstie_core::{Clock, Codec, Endpoint, Error, Headers, Kind, Mono, Result, SystemClock};
use crosstie_net::{Datagrams, send_datagrams};
use crosstie_proto::frame::{DATAGRAM_HEAD, Datagram, Described, MAX_DESCRIPTION};

use crate::{
    ChannelOptions, Payload,
    compression::{Packed, Packer},
};

/// How often a sender describes its type at most.
const EVERY: Duration = Duration::from_secs(1);

/// A sender without what carries its datagrams.
pub(crate) struct Writing<S> {
    pub(crate) options: ChannelOptions,
    codec: Codec,
    schema: Option<Described>,
    id: u64,
    number: u64,
    clock: SystemClock,
    described: Option<Mono>,
    /// What is prepared has a description.
    describes: bool,
    packer: Packer,
    plain: Vec<u8>,
    bytes: Vec<u8>,
    types: PhantomData<fn(S)>,
}

impl<S: Payload> Writing<S> {
    /// A sender to `endpoint`, and what carries its datagrams.
    pub(crate) fn open(endpoint: &Endpoint, options: ChannelOptions) -> Result<(Self, Datagrams)> {
        let options = options.said_by(endpoint)?;
        let codecs = options.offer::<S>()?;
        // One that names its fields can be read by other versions, and nobody is asked here.
        let codec = codecs.iter().copied().find(|codec| *codec != Codec::Postcard).unwrap_or(codecs[0]);
        let schema = S::described()?;
        let carrier = match &options.faults {
            Some(faults) => faults.send_datagrams(endpoint)?,
            None => send_datagrams(endpoint)?,
        };
        let writing = Self {
            options,
            codec,
            schema,
            id: RandomState::new().hash_one(0),
            number: 0,
            clock: SystemClock::new(),
            described: None,
            describes: false,
            packer: Packer::default(),
            plain: Vec::new(),
            bytes: Vec::new(),
            types: PhantomData,
        };
        Ok((writing, carrier))
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn codec(&self) -> Codec {
        self.codec
    }

    /// How long a payload may be, of a message without headers, where datagrams may have `most` bytes.
    pub(crate) fn longest(&self, most: usize) -> usize {
        let hash = if self.schema.is_some() { size_of::<[u8; 16]>() } else { 0 };
        most.saturating_sub(DATAGRAM_HEAD + hash)
    }

    /// The datagram of the next message, of at most `most` bytes.
    pub(crate) fn prepare(&mut self, value: &S, headers: &Headers, most: usize) -> Result<&[u8]> {
        let (payload, inflated) = if self.options.compress {
            match self.packer.pack(self.options.max_frame, |out| value.encode(self.codec, out))? {
                Packed::Plain(bytes) => (bytes, None),
                Packed::Zstd(bytes, before) => (bytes, Some(before as usize)),
            }
        } else {
            self.plain.clear();
            value.encode(self.codec, &mut self.plain)?;
            (&self.plain[..], None)
        };
        let now = self.clock.mono();
        let is_due = self.described.is_none_or(|described| now.since(described) >= EVERY);
        let text = self.schema.as_ref().map(|schema| &schema.text[..]);
        let mut message = Datagram {
            codec: self.codec,
            number: self.number + 1,
            sender: self.id,
            schema: self.schema.as_ref().map(|schema| schema.hash),
            description: text.filter(|text| is_due && text.len() <= MAX_DESCRIPTION),
            headers: headers.clone(),
            inflated,
            payload,
        };
        self.bytes.clear();
        message.append(&mut self.bytes)?;
        if self.bytes.len() > most && message.description.is_some() {
            message.description = None;
            self.bytes.clear();
            message.append(&mut self.bytes)?;
        }
        self.describes = message.description.is_some();
        let len = self.bytes.len();
        if len > most {
            let text = format!(
                "the message has {len} bytes, {} of them its payload, and a datagram there has {most}: split it, or use a stream",
                message.payload.len(),
            );
            return Err(Error::new(Kind::TooLarge, text));
        }
        Ok(&self.bytes)
    }

    /// Takes note that what was prepared is on its way.
    pub(crate) fn sent(&mut self) {
        self.number += 1;
        if self.describes {
            self.described = Some(self.clock.mono());
        }
    }
}
