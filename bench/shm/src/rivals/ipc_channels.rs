//! ipc-channel: a channel for each direction, over Unix sockets.

use std::fs;

use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender};

use super::link::{Link, Message};
use crate::case::{Failure, Place, Side};

type Ends = (IpcSender<Message>, IpcReceiver<Message>);

enum Channels {
    /// The other side has not come yet.
    Awaited(Option<IpcOneShotServer<Ends>>),
    Open(Ends),
}

pub(super) fn link(place: &Place<'_>) -> Result<impl Link + use<>, Failure> {
    let whereabouts = place.folder.join("server");
    match place.side {
        Side::Measurer => {
            let (server, name) = IpcOneShotServer::new()?;
            fs::write(whereabouts, name)?;
            Ok(Channels::Awaited(Some(server)))
        }
        Side::Peer => {
            let (there, receiver) = ipc::channel()?;
            let (sender, back) = ipc::channel()?;
            IpcSender::connect(fs::read_to_string(whereabouts)?)?.send((there, back))?;
            Ok(Channels::Open((sender, receiver)))
        }
    }
}

impl Channels {
    fn ends(&mut self) -> Result<&Ends, Failure> {
        if let Self::Awaited(server) = self {
            let (_, ends) = server.take().ok_or("the other side did not come")?.accept()?;
            *self = Self::Open(ends);
        }
        match self {
            Self::Open(ends) => Ok(ends),
            Self::Awaited(_) => Err("the other side did not come".into()),
        }
    }
}

impl Link for Channels {
    fn send(&mut self, message: Message) -> Result<(), Failure> {
        Ok(self.ends()?.0.send(message)?)
    }

    fn receive(&mut self) -> Result<Message, Failure> {
        Ok(self.ends()?.1.recv()?)
    }
}
