//! Typed messages: what is sent one by one goes at once, and what is only fed goes with what comes after it.

use bytes::Bytes;
use crosstie::{
    Raw,
    blocking::{Channel, ChannelListener, Receiver, Sender},
};
use crosstie_core::{Endpoint, Error};

use super::end::{Line, PATIENCE};

struct Typed {
    sender: Sender<Raw>,
    receiver: Receiver<Raw>,
}

impl Line for Typed {
    fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.sender.feed(&Raw(Bytes::copy_from_slice(message)))
    }

    fn receive(&mut self, message: &mut [u8]) -> Result<bool, Error> {
        let received = self.receiver.recv_within(PATIENCE)?;
        message.copy_from_slice(&received.value.0);
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.sender.flush()
    }
}

fn line(channel: Channel<Raw, Raw>) -> Box<dyn Line> {
    let (sender, receiver) = channel.split();
    Box::new(Typed { sender, receiver })
}

pub(super) fn connect(endpoint: &Endpoint) -> Result<Box<dyn Line>, Error> {
    Ok(line(Channel::connect(endpoint)?))
}

pub(super) fn accept(
    endpoint: &Endpoint,
    ready: impl FnOnce(String) -> Result<(), Error>,
) -> Result<Box<dyn Line>, Error> {
    let listener = ChannelListener::bind(endpoint)?;
    ready(listener.endpoint().to_string())?;
    Ok(line(listener.accept(PATIENCE)?.open()?))
}
