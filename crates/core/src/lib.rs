//! The words every Crosstie part speaks: endpoints, subjects, messages, deadlines, errors.
//!
//! Nothing here does I/O, starts a thread or reads a clock on its own account. Time, randomness, storage and byte
//! transports are traits ([`Clock`], [`Randomness`], [`Storage`], [`ByteTransport`]), so that everything built on them can be
//! replayed from a seed.
//!
//! Values are parsed once and cannot be built wrong: an [`Endpoint`], a [`Subject`] or a [`SubjectPattern`] that exists is
//! valid, and nobody checks it again.
#![forbid(unsafe_code)]

mod clock;
mod codec;
mod deadline;
mod endpoint;
mod error;
pub mod fault;
mod fencing_token;
mod headers;
mod message;
mod randomness;
pub mod schema;
mod storage;
mod subject;
mod transport;

pub use crate::{
    clock::{Clock, ManualClock, Mono, SystemClock, Wall},
    codec::{Codec, UnknownCodec},
    deadline::{Deadline, LONGEST_WAIT, instant_after},
    endpoint::{
        Compression, Credentials, Durability, Endpoint, EndpointError, FaultSpec, HostPort, Options, Probability,
        Target, UnixAddress, Wait,
    },
    error::{Error, Kind, Result},
    fencing_token::FencingToken,
    headers::{HeaderError, Headers},
    message::{Message, Status},
    randomness::{Randomness, Seeded},
    schema::{Schema, SchemaText},
    storage::{MemoryStorage, Storage},
    subject::{Subject, SubjectError, SubjectPattern, is_valid_pattern, is_valid_subject, matches, pattern_covers},
    transport::ByteTransport,
};
