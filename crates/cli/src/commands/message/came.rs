//! What came over an endpoint, and how it is shown.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crosstie_core::{Error, Headers};
use crosstie_link::{Received, ReceivedDatagram};
use crosstie_net::Peer;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::anything::Anything;
use crate::{
    commands::stream::peer_json,
    exit::{Code, Failure},
    output::{Output, bytes_json, printable},
};

/// A message or datagram that came.
pub(super) struct Came {
    pub(super) payload: Vec<u8>,
    pub(super) headers: Headers,
    pub(super) facts: Value,
}

impl Came {
    pub(super) fn of_message(message: Received<Anything>, from: Option<(u64, Peer)>) -> Self {
        let mut facts = json!({ "number": message.number, "lost": message.lost, "codec": message.value.codec.name() });
        if let Some((connection, peer)) = from {
            (facts["connection"], facts["peer"]) = (json!(connection), peer_json(peer));
        }
        Self { payload: message.value.bytes, headers: message.headers, facts }
    }

    pub(super) fn of_datagram(message: ReceivedDatagram<Anything>) -> Self {
        let facts = json!({
            "number": message.number, "lost": message.lost, "unheard": message.unheard, "codec": message.value.codec.name(),
            "sender": format!("{:016x}", message.sender), "from": message.from.map(|from| from.to_string()),
            "peer": message.process.map(|process| peer_json(Peer::Local(process))),
        });
        Self { payload: message.value.bytes, headers: message.headers, facts }
    }
}

/// Where what came goes, and where it is counted what cannot go there.
#[derive(Clone)]
pub(super) struct Sink {
    tell: mpsc::Sender<Came>,
    skipped: Arc<AtomicU64>,
    output: Output,
}

/// How many that are left out are told each, and then each how manieth.
const TOLD: u64 = 10;
const EVERY: u64 = 1000;

impl Sink {
    pub(super) fn new(tell: mpsc::Sender<Came>, output: &Output) -> Self {
        Self { tell, skipped: Arc::default(), output: output.clone() }
    }

    /// False if nobody takes any more.
    pub(super) async fn give(&self, came: Came) -> bool {
        self.tell.send(came).await.is_ok()
    }

    /// Waits until all that was given is taken.
    pub(super) async fn drained(&self) {
        while self.tell.capacity() < self.tell.max_capacity() {
            tokio::task::yield_now().await;
        }
    }

    /// Says that one was left out. Who sends nothing else does not fill the screen.
    pub(super) fn skip(&self, from: &str, error: &Error) {
        let count = self.skipped.fetch_add(1, Ordering::Relaxed) + 1;
        if count <= TOLD || count.is_multiple_of(EVERY) {
            let text = format!("left out ({count} so far){from}: {error}");
            self.output.event_with(
                "left_out",
                &text,
                &[("reason", json!(error.kind().name())), ("count", json!(count))],
            );
        }
    }

    /// What an end in order is, if something was left out.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        match self.skipped.load(Ordering::Relaxed) {
            0 => Ok(()),
            1 => Err(Failure::new(Code::Failure, "left_out", "1 message was not valid, and was left out")),
            count => Err(Failure::new(
                Code::Failure,
                "left_out",
                format!("{count} messages were not valid, and were left out"),
            )),
        }
    }
}

/// Prints one. On a terminal nothing that came from others may move the cursor or change the colours.
pub(super) fn show(came: &Came, raw: bool, output: &Output) -> Result<(), Failure> {
    let lost = came.facts["lost"].as_u64().unwrap_or(0);
    if lost > 0 {
        output.note(&format!("{lost} messages before this one are lost"));
    }
    let mut value = bytes_json(&came.payload);
    value["size"] = json!(came.payload.len());
    if let (Some(value), Some(facts)) = (value.as_object_mut(), came.facts.as_object()) {
        value.extend(facts.clone());
    }
    let headers: Vec<Value> = came.headers.iter().map(|(name, value)| json!([name, value])).collect();
    if !headers.is_empty() {
        value["headers"] = json!(headers);
    }
    output.data(&value, || {
        if raw {
            return came.payload.clone();
        }
        let is_shown = output.data_is_shown();
        let (dim, plain) = if output.has_colour() { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
        let mut text = if is_shown { printable(&came.payload).into_bytes() } else { came.payload.clone() };
        text.push(b'\n');
        for (name, value) in came.headers.iter() {
            let value = if is_shown { printable(value.as_bytes()) } else { value.to_owned() };
            text.extend_from_slice(format!("{dim}    {name}: {value}{plain}\n").as_bytes());
        }
        text
    })
}
