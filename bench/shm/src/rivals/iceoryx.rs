//! iceoryx2: one service for each direction, a queue of as many samples as our ring has slots, nothing overwritten.

use iceoryx2::{
    port::{publisher::Publisher, subscriber::Subscriber},
    prelude::*,
    service::port_factory::{PortFactory as _, publish_subscribe::PortFactory},
};

use super::link::{Link, Message};
use crate::case::{Failure, Place, Side};

struct Iceoryx {
    publisher: Publisher<ipc::Service, Message, ()>,
    subscriber: Subscriber<ipc::Service, Message, ()>,
    /// Kept, and asked whether the other side is there.
    there: PortFactory<ipc::Service, Message, ()>,
    _back: PortFactory<ipc::Service, Message, ()>,
    _node: Node<ipc::Service>,
    is_met: bool,
}

const SLOTS: usize = 1024;

pub(super) fn link(place: &Place<'_>) -> Result<impl Link + use<>, Failure> {
    set_log_level(LogLevel::Error);
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let service = |direction: &str| -> Result<PortFactory<ipc::Service, Message, ()>, Failure> {
        let name = format!("{}/{direction}", place.folder.display());
        Ok(node
            .service_builder(&name.as_str().try_into()?)
            .publish_subscribe::<Message>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(SLOTS)
            .history_size(0)
            .max_publishers(1)
            .max_subscribers(1)
            .open_or_create()?)
    };
    let names = if place.side == Side::Measurer { ["there", "back"] } else { ["back", "there"] };
    let (there, back) = (service(names[0])?, service(names[1])?);
    let publisher =
        there.publisher_builder().backpressure_strategy(BackpressureStrategy::RetryUntilDelivered).create()?;
    let subscriber = back.subscriber_builder().create()?;
    Ok(Iceoryx { publisher, subscriber, there, _back: back, _node: node, is_met: false })
}

impl Link for Iceoryx {
    fn send(&mut self, message: Message) -> Result<(), Failure> {
        if !self.is_met {
            // What is sent before the other side is there is lost.
            while self.there.dynamic_config().number_of_subscribers() == 0 {
                std::hint::spin_loop();
            }
            self.is_met = true;
        }
        self.publisher.loan_uninit()?.write_payload(message).send()?;
        Ok(())
    }

    fn receive(&mut self) -> Result<Message, Failure> {
        loop {
            if let Some(sample) = self.subscriber.receive()? {
                return Ok(*sample);
            }
            std::hint::spin_loop();
        }
    }
}
