//! What a channel is told before it opens.

use std::time::Duration;

use crosstie_core::{Codec, Compression, Endpoint, Error, Kind, Result};
use crosstie_net::Faults;
use crosstie_proto::frame::{DEFAULT_MAX_FRAME, Hello, Options};

use crate::{Payload, compression};

/// How a channel behaves. [`ChannelOptions::of`] takes what an endpoint's options say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChannelOptions {
    /// The one codec to use; else the best that both sides have.
    pub codec: Option<Codec>,
    /// Whether what this side sends is compressed with zstd where that makes it shorter, from 256 bytes on. The other side has to undo it, or there is no
    /// channel.
    pub compress: bool,
    /// How long any wait may last, 10 seconds unless set; `None` is without limit.
    pub deadline: Option<Duration>,
    /// How long the other side's hello may take: 10 seconds.
    pub connect_timeout: Duration,
    /// How many bytes of messages wait to be written before whoever sends more has to wait: 256 KiB.
    pub buffer: usize,
    /// How many messages wait to be written at most; without limit unless set.
    pub window: Option<u32>,
    /// The longest frame that is taken: 16 MiB.
    pub max_frame: usize,
    /// How long the other side may be silent before it is asked whether it is there; after as long again without an answer the channel is `Disconnected`.
    /// A side answers only while it receives, so one that computes for longer than this time may be taken for lost. `None`, as unless set, asks never:
    /// over `tcp:` and `tls:` the kernel asks for the machine, and each wait has its deadline.
    pub keep_alive: Option<Duration>,
    /// How many senders of datagrams are remembered, some 200 bytes each; of more the one who has been silent the longest is forgotten: 256.
    pub senders: usize,
    /// The name of this process, for people.
    pub name: String,
    /// Faults on purpose, instead of those that the endpoint asks for.
    pub faults: Option<Faults>,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            codec: None,
            compress: false,
            deadline: Some(Duration::from_secs(10)),
            connect_timeout: Duration::from_secs(10),
            buffer: 256 * 1024,
            window: None,
            max_frame: DEFAULT_MAX_FRAME,
            keep_alive: None,
            senders: 256,
            name: String::new(),
            faults: None,
        }
    }
}

impl ChannelOptions {
    /// What `endpoint` says, and the defaults.
    ///
    /// # Errors
    ///
    /// `Unsupported` for `compress=zstd` in a build without it; `InvalidInput` for a window of no message.
    pub fn of(endpoint: &Endpoint) -> Result<Self> {
        Self::default().said_by(endpoint)
    }

    /// What `endpoint` says, and the rest as it is: whoever writes the address has the last word.
    pub(crate) fn said_by(self, endpoint: &Endpoint) -> Result<Self> {
        let options = endpoint.options();
        let compress = options.compress.map_or(self.compress, |compression| compression == Compression::Zstd);
        if compress && !compression::IS_THERE {
            let text = format!("'{endpoint}': this build has no zstd: enable the feature 'zstd' of crosstie");
            return Err(Error::new(Kind::Unsupported, text));
        }
        if options.window == Some(0) {
            let text = format!("'{endpoint}': expected a window of at least 1 message, found 0");
            return Err(Error::new(Kind::InvalidInput, text));
        }
        Ok(Self {
            codec: options.codec.or(self.codec),
            compress,
            deadline: options.deadline.or(self.deadline),
            connect_timeout: options.deadline.unwrap_or(self.connect_timeout),
            window: options.window.or(self.window),
            ..self
        })
    }

    /// What a side says of itself that sends `S` and receives `R`.
    pub(crate) fn session<S: Payload, R: Payload>(&self) -> Result<Options> {
        let mut hello = Hello::default();
        (hello.writes, hello.reads) = (self.offer::<S>()?, self.offer::<R>()?);
        (hello.sends, hello.receives) = (S::described()?, R::described()?);
        (hello.max_frame, hello.name) = (self.max_frame, self.name.clone());
        hello.zstd = compression::IS_THERE;
        Ok(Options { hello, connect_timeout: self.connect_timeout, keep_alive: self.keep_alive })
    }

    /// The codecs of those that `T` has which may be used.
    pub(crate) fn offer<T: Payload>(&self) -> Result<Vec<Codec>> {
        let can = T::codecs();
        match self.codec {
            None => Ok(can.to_vec()),
            Some(codec) if can.contains(&codec) => Ok(vec![codec]),
            Some(codec) => {
                let names: Vec<_> = can.iter().map(|codec| codec.name()).collect();
                let text = format!("expected a codec that carries this type ({}), found {codec}", names.join(", "));
                Err(Error::new(Kind::Unsupported, text))
            }
        }
    }
}
