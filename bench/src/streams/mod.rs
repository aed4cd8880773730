//! What streams and channels cost between two processes, beside bare sockets: one table.
//!
//! The measurer is bound to processor 0 and starts the peer, bound to processor 1, or to 0 as well where a case compares what the software costs.

mod case;
mod floors;
mod ours;
mod place;
mod rounds;
mod run;
mod table;

pub(crate) use self::run::{PeerArguments, StreamsArguments, run_peer, streams};
