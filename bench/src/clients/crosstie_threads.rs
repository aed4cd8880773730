//! Our client, the blocking face.

use std::net::SocketAddr;
use std::time::Duration;

use crosstie_client::blocking;
use crosstie_core::Subject;

use super::client::Client;
use super::payloads::{CHUNK, Order, Payloads};
use crate::error::{Error, Result};
use crate::load::Gate;
use crate::wire::SUBJECT;

/// How long an empty subscription is waited for before the end is looked for.
const PAUSE: Duration = Duration::from_millis(10);

/// One connection with its own threads.
pub(super) struct Threads {
    client: blocking::Client,
    subscription: Option<blocking::Subscription>,
}

impl Threads {
    pub(super) fn connect(server: SocketAddr, subscribes: bool) -> Result<Self> {
        let endpoint = format!("nats://{server}");
        let client = blocking::Client::connect(endpoint.as_str()).map_err(Error::during("crosstie connects"))?;
        let mut subscription = None;
        if subscribes {
            subscription = Some(client.subscribe(SUBJECT).map_err(Error::during("crosstie subscribes"))?);
            client.flush().map_err(Error::during("crosstie flushes"))?;
        }
        Ok(Self { client, subscription })
    }
}

impl Client for Threads {
    fn publish(&mut self, mut payloads: Payloads, gate: &Gate) -> Result<u64> {
        let subject = Subject::try_from(SUBJECT).map_err(Error::during("the subject"))?;
        let mut sent = 0;
        while !gate.stopped() {
            if !gate.admits(sent, CHUNK) {
                gate.wait(sent);
                continue;
            }
            for _ in 0..CHUNK {
                let published = self.client.publish(subject.clone(), payloads.take());
                published.map_err(Error::during("crosstie publishes"))?;
            }
            sent += CHUNK;
        }
        self.client.flush().map_err(Error::during("crosstie flushes"))?;
        Ok(sent)
    }

    fn receive(&mut self, mut order: Order, gate: &Gate, sent: &dyn Fn() -> Option<u64>) -> Result<()> {
        let subscription = self.subscription.as_mut().expect("it was connected to subscribe");
        while !gate.failed() && sent() != Some(order.count()) {
            let Ok(message) = subscription.next_timeout(PAUSE) else {
                continue;
            };
            let message = message.ok_or_else(|| Error::new("crosstie: the subscription ended"))?;
            gate.progress(0, order.take(&message.payload)?);
            while let Some(message) = subscription.try_next() {
                gate.progress(0, order.take(&message.payload)?);
            }
        }
        Ok(())
    }
}
