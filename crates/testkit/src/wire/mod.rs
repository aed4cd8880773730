//! Raw conversations with a NATS server, as data, held with two servers and compared.
//!
//! The cases are in `corpus/*.cases`, the servers' configurations in `corpus/configs/`, the meant differences in
//! `corpus/differences.txt`, what nats-server answered in `corpus/recorded.txt`, and what our broker answers where it means to differ in
//! `corpus/meant.txt`.

mod case;
mod compare;
mod conversation;
mod differences;
mod record;
mod server;
mod stage;
mod transcript;

pub use case::{Case, CaseError, Flags, Hello, Step, read_all};
pub use compare::{Findings, Reference, compare};
pub use conversation::{Pieces, hold};
pub use differences::Differences;
pub use record::{Transcripts, read as read_record, write as write_record};
pub use server::Server;
pub use stage::Stage;
