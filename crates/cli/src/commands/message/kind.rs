//! Which kind of message an endpoint carries.

use crosstie_core::{Codec, Endpoint, Error, Kind, Target};
use crosstie_link::ChannelOptions;

use crate::exit::Failure;

/// True if the endpoint is for datagrams: `udp:` has nothing else, others if that is said.
pub(super) fn is_datagram(endpoint: &Endpoint, asked: bool) -> bool {
    asked || matches!(endpoint.target(), Target::Udp { .. })
}

/// The options of a channel at `endpoint`, without limits in time.
pub(super) fn options(endpoint: &Endpoint, codec: Option<Codec>) -> Result<ChannelOptions, Failure> {
    let mut options = ChannelOptions::of(endpoint)?;
    options.codec = codec.or(options.codec);
    options.name = format!("crosstie {}", std::process::id());
    Ok(options)
}

/// The same error of an end that has said no hello, with what may be behind it.
pub(super) fn no_hello(error: Error) -> Error {
    match error.kind() {
        Kind::Timeout | Kind::Disconnected => {
            let text = "no channel was opened; if somebody is there, is it 'crosstie recv', 'send' or a typed program, with a place left?";
            Error::new(error.kind(), format!("{error}: {text} Bytes as they are go by 'crosstie pipe' and 'listen'"))
        }
        _ => error,
    }
}

/// Refuses what a datagram of bytes cannot carry.
pub(super) fn check_datagram(codec: Option<Codec>, has_headers: bool) -> Result<(), Failure> {
    match (codec, has_headers) {
        (Some(_), _) => Err(Failure::usage("--codec: a datagram carries bytes as they are, unless it is --typed")),
        (_, true) => Err(Failure::usage("--header: a datagram carries bytes alone, unless it is --typed")),
        _ => Ok(()),
    }
}

/// A codec by its name.
pub(super) fn codec(text: &str) -> Result<Codec, String> {
    let known = [Codec::Raw, Codec::Json, Codec::Cbor, Codec::MessagePack];
    let found = known.into_iter().find(|codec| codec.name() == text);
    found.ok_or_else(|| "expected raw, json, cbor or msgpack".to_owned())
}
