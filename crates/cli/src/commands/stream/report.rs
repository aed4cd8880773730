//! How a join went: for people, as JSON, and as an exit code.

use std::time::Duration;

use crosstie_net::Peer;
use serde_json::{Value, json};

use super::{
    end::peer_json,
    join::{Ending, How, Side},
};
use crate::{
    exit::{Code, Failure},
    values::size_text,
};

/// What is told of one join after it has ended.
pub(crate) struct Report {
    pub(crate) number: u64,
    pub(crate) names: [String; 2],
    pub(crate) peers: [Peer; 2],
    /// Bytes by the side where they came from.
    pub(crate) bytes: [u64; 2],
    pub(crate) took: Duration,
    pub(crate) limit: Option<u64>,
    pub(crate) ending: Ending,
}

impl Report {
    pub(crate) fn json(&self) -> Value {
        let (seconds, total) = (self.took.as_secs_f64(), self.bytes.iter().sum::<u64>());
        let (ended, side) = self.ended();
        let mut value = json!({
            "connection": self.number,
            "a_to_b": self.bytes[0], "b_to_a": self.bytes[1],
            "seconds": seconds, "bytes_per_second": (total as f64 / seconds.max(1e-9)) as u64,
            "rate_limit": self.limit,
            "first_to_end": self.ending.first.map(Side::name),
            "ended": ended, "side": side.map(Side::name),
        });
        for side in Side::BOTH {
            value[side.name()] =
                json!({ "endpoint": self.names[side as usize], "peer": peer_json(self.peers[side as usize]) });
        }
        value
    }

    /// One line for people.
    pub(crate) fn text(&self, names: [&str; 2]) -> String {
        let rate = self.bytes.iter().sum::<u64>() as f64 / self.took.as_secs_f64().max(1e-9);
        let limit = self.limit.map_or_else(String::new, |limit| format!(" (limit {}/s)", size_text(limit)));
        format!(
            "{} {}, {} {} in {:.1?}: {}/s{limit}",
            size_text(self.bytes[0]),
            names[0],
            size_text(self.bytes[1]),
            names[1],
            self.took,
            size_text(rate as u64)
        )
    }

    fn ended(&self) -> (&'static str, Option<Side>) {
        match &self.ending.how {
            How::Over => ("over", None),
            How::Idle(_) => ("idle", None),
            How::Lost { side, error } => (error.kind().name(), Some(*side)),
            How::Status { side, .. } => ("exit_status", Some(*side)),
            How::Tee(_) => ("tee", None),
            How::Unread => ("unread", None),
            How::Output(_) => ("output", None),
        }
    }

    /// Success, or the exit code and the words for what went wrong.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let named = |side: Side| format!("{} ({})", side.name(), self.names[side as usize]);
        match &self.ending.how {
            How::Over => Ok(()),
            How::Unread => Err(Failure::BrokenPipe),
            How::Idle(limit) => {
                let text = format!("nothing came for {}: --idle", humantime::format_duration(*limit));
                Err(Failure::new(Code::Deadline, "timeout", text))
            }
            How::Lost { side, error } => Err(Failure::on_the_way(error.kind(), format!("{}: {error}", named(*side)))),
            How::Status { side, status } => {
                let text = format!("{}: the program has failed ({status})", named(*side));
                Err(Failure::new(Code::Application, "exit_status", text))
            }
            How::Tee(error) => Err(Failure::new(Code::Failure, "io", format!("--tee: {error}"))),
            How::Output(error) => Err(Failure::new(Code::Failure, "io", format!("standard output: {error}"))),
        }
    }
}
