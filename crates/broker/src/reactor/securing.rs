//! Handshakes: what comes before a client of TLS is one like any other.
//!
//! A handshake costs a few tenths of a millisecond of a processor, a thousand times what a message costs. So those who come where TLS is
//! spoken begin with the busy twin, in the line of the busy, one step a turn: whoever says a word now and then does not wait for them, whatever
//! many handshakes are asked for. The core knows them as unauthenticated from the start, with all that bounds those.

use crosstie_core::{Clock, Mono};
use crosstie_net::{Handshake, Peer, SocketTransport};

use super::{Reactor, entry::Securing, link::SocketLink, turns::HANDSHAKE};
use crate::core::Next;

/// Of how many at most what they have said of a handshake is kept. Beyond it, whoever began first goes.
const MOST_BEGUN: usize = 256;

impl<C: Clock> Reactor<C> {
    /// What becomes of an accepted connection: its link, and what is known of its handshake if it is to make one.
    pub(super) fn link(
        &self,
        transport: Box<dyn SocketTransport>,
        peer: Peer,
        token: u64,
        now: Mono,
    ) -> (SocketLink, Option<Securing>) {
        let poller = self.mailbox.poller.clone();
        // Whoever comes over a Unix socket is on this machine, and the kernel says who it is.
        match self.offers.now().filter(|_| peer.address().is_some()) {
            Some(offer) => {
                let (transport, greet_at) = offer.over(transport, now);
                (SocketLink::over_tls(transport, poller, token), Some(Securing { greet_at, has_begun: false }))
            }
            None => (SocketLink::new(transport, poller, token), None),
        }
    }

    /// Goes on with a handshake as far as that is possible now.
    pub(super) fn secure(&mut self, token: u64, now: Mono) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        let Some(securing) = &mut entry.securing else { return };
        let is_new = !std::mem::replace(&mut securing.has_begun, true);
        entry.usage.note(HANDSHAKE, false, false);
        if entry.connection.peer().is_dismissed() {
            self.close(token, now);
            return;
        }
        match entry.link.handshake() {
            Ok(Handshake::Wait(interest)) => {
                entry.link.watch_handshake(interest);
                if is_new {
                    self.note_begun(token, now);
                }
            }
            Ok(outcome) => {
                entry.securing = None;
                let tls = if outcome == Handshake::Done { entry.link.tls() } else { None };
                entry.link.secured();
                self.core.secured(&mut entry.connection, &mut self.worker, tls, now);
                // What was to be said meanwhile, the greeting above all.
                self.core.writable(&entry.connection, &mut self.worker, now);
                entry.due = now;
                self.begun.retain(|begun| *begun != token);
                self.schedule(token, now);
                // What it has said already was read with the end of the handshake: no socket tells of it.
                self.queue(token);
            }
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake has failed");
                let next = self.core.not_secured(&mut entry.connection);
                self.begun.retain(|begun| *begun != token);
                if let Next::Close = next {
                    self.close(token, now);
                }
            }
        }
    }

    fn note_begun(&mut self, token: u64, now: Mono) {
        self.begun.push_back(token);
        while self.begun.len() > MOST_BEGUN {
            let Some(first) = self.begun.pop_front() else { return };
            if let Some(entry) = self.slots.get_mut(first).filter(|entry| entry.securing.is_some()) {
                let _ = self.core.not_secured(&mut entry.connection);
                self.close(first, now);
            }
        }
    }

    /// Greets in the clear whoever was given time to begin by itself, and has not.
    pub(super) fn greet_if_due(&mut self, token: u64, now: Mono) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        let Some(securing) = entry.securing.as_mut().filter(|securing| now >= securing.greet_at) else { return };
        securing.greet_at = Mono::MAX;
        if entry.link.greet() {
            self.core.writable(&entry.connection, &mut self.worker, now);
        }
    }
}
