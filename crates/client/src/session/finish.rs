//! Being sure, and coming to an end: flush, drain, close.

use std::sync::Arc;

use crosstie_core::{Error, Kind, Result};
use crosstie_proto::nats::write;

use super::state::{AfterPong, Session};
use crate::mailbox::Mailbox;

impl Session {
    /// Something to wait on until the server has read all that was written so far.
    ///
    /// # Errors
    ///
    /// `Disconnected` if the server is away, `Closed`.
    pub fn flush(&mut self) -> Result<Arc<Mailbox<Result<()>>>> {
        self.check_open()?;
        if !self.is_connected() {
            return Err(Error::new(Kind::Disconnected, "the server is away: nothing can be flushed to it now"));
        }
        let mailbox = Arc::new(Mailbox::new(1));
        self.ping(AfterPong::Flushed(Arc::clone(&mailbox)));
        Ok(mailbox)
    }

    /// Ends all subscriptions, delivers and writes what is under way, then closes.
    /// Until then publishing goes on, for the answers to what was received. If the server is away it closes at once, and the mailbox tells
    /// of `Disconnected` if something was kept for it.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn drain(&mut self) -> Result<Arc<Mailbox<Result<()>>>> {
        self.check_open()?;
        let mailbox = Arc::new(Mailbox::new(1));
        if !self.is_connected() {
            let kept = std::mem::take(&mut self.kept).len();
            self.end();
            mailbox.put(if kept == 0 {
                Ok(())
            } else {
                let text = format!("the server is away: {kept} bytes that were published meanwhile were not sent");
                Err(Error::new(Kind::Disconnected, text))
            });
            return Ok(mailbox);
        }
        self.draining = true;
        let sids = self.sids();
        for sid in &sids {
            write::unsubscribe(&mut self.out, *sid, None);
        }
        self.ping(AfterPong::AllEnded(sids, Arc::clone(&mailbox)));
        Ok(mailbox)
    }

    /// Closes at once.
    pub fn close(&mut self) {
        self.end();
    }
}
