//! There and back, and one way, over whatever moves messages.

use crate::case::{Failure, Rounds, Side, timed};

/// What every rival moves.
pub(super) type Message = [u64; 8];

/// Both directions between the two processes.
pub(super) trait Link {
    fn send(&mut self, message: Message) -> Result<(), Failure>;
    fn receive(&mut self) -> Result<Message, Failure>;
}

pub(super) fn round_trip(mut link: impl Link + 'static, side: Side) -> Rounds {
    Box::new(move |count| {
        timed(count, |number| {
            if side == Side::Measurer {
                link.send([number; 8])?;
            }
            let message = link.receive()?;
            if message != [number; 8] {
                return Err(format!("expected {number}, came {message:?}").into());
            }
            if side == Side::Peer {
                link.send(message)?;
            }
            Ok(())
        })
    })
}

pub(super) fn one_way(mut link: impl Link + 'static, side: Side) -> Rounds {
    Box::new(move |count| {
        let took = timed(count, |number| {
            if side == Side::Measurer {
                link.send([number; 8])?;
            } else if link.receive()? != [number; 8] {
                return Err("another message came".into());
            }
            Ok(())
        });
        if side == Side::Measurer {
            link.receive()?;
        } else {
            link.send([0; 8])?;
        }
        took
    })
}
