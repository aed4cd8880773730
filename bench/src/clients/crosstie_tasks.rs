//! Our client, the async face.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crosstie_core::Subject;

use super::client::Client;
use super::payloads::{CHUNK, Order, Payloads};
use crate::error::{Error, Result};
use crate::load::Gate;
use crate::wire::SUBJECT;

/// How long a full window, or an empty subscription, is left alone.
const PAUSE: Duration = Duration::from_millis(1);

/// One connection on a runtime of one thread.
pub(super) struct Tasks {
    runtime: Runtime,
    client: crosstie_client::Client,
    subscription: Option<crosstie_client::Subscription>,
}

impl Tasks {
    pub(super) fn connect(server: SocketAddr, subscribes: bool) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (client, subscription) = runtime.block_on(async {
            let client = crosstie_client::Client::connect(format!("nats://{server}").as_str())
                .await
                .map_err(Error::during("crosstie connects"))?;
            let mut subscription = None;
            if subscribes {
                let opened = client.subscribe(SUBJECT).await.map_err(Error::during("crosstie subscribes"))?;
                client.flush().await.map_err(Error::during("crosstie flushes"))?;
                subscription = Some(opened);
            }
            Ok::<_, Error>((client, subscription))
        })?;
        Ok(Self { runtime, client, subscription })
    }
}

impl Client for Tasks {
    fn publish(&mut self, mut payloads: Payloads, gate: &Gate) -> Result<u64> {
        let subject = Subject::try_from(SUBJECT).map_err(Error::during("the subject"))?;
        self.runtime.block_on(async {
            let mut sent = 0;
            while !gate.stopped() {
                if !gate.admits(sent, CHUNK) {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                for _ in 0..CHUNK {
                    let published = self.client.publish(subject.clone(), payloads.take()).await;
                    published.map_err(Error::during("crosstie publishes"))?;
                }
                sent += CHUNK;
            }
            self.client.flush().await.map_err(Error::during("crosstie flushes"))?;
            Ok(sent)
        })
    }

    fn receive(&mut self, mut order: Order, gate: &Gate, sent: &dyn Fn() -> Option<u64>) -> Result<()> {
        let subscription = self.subscription.as_mut().expect("it was connected to subscribe");
        self.runtime.block_on(async {
            while !gate.failed() && sent() != Some(order.count()) {
                // The time-out is for the end alone: `sent` is known only after the last message has come.
                let Ok(message) = tokio::time::timeout(PAUSE * 10, subscription.next()).await else {
                    continue;
                };
                let message = message.ok_or_else(|| Error::new("crosstie: the subscription ended"))?;
                gate.progress(0, order.take(&message.payload)?);
                // What is there already is taken without a timer.
                while let Some(message) = subscription.try_next() {
                    gate.progress(0, order.take(&message.payload)?);
                }
            }
            Ok(())
        })
    }
}
