//! The life of a connection: dialed, greeted, welcomed, kept alive, lost.

use crosstie_core::{Credentials, Error, Kind, Mono, Result, Target};
use crosstie_proto::nats::{Connect, write};

use super::{
    event::Event,
    state::{AfterPong, Link, Session},
};

/// What a driver does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// Connect to this address, then call `dialed` or `lost`.
    Dial(Target),
    /// Read, write, and poll again at this time at the latest.
    Wait(Mono),
    /// Drop the connection, then call `lost`.
    HangUp,
    /// Write what is left and end.
    End,
}

impl Session {
    /// What to do now. Call it again after every other call, and at the time it names.
    pub fn poll(&mut self, now: Mono) -> Act {
        match self.link {
            Link::Closed => Act::End,
            Link::Away { retry_at } if now >= retry_at => {
                self.link = Link::Dialing;
                Act::Dial(self.servers.next())
            }
            Link::Away { retry_at } => Act::Wait(retry_at),
            Link::Dialing => Act::Wait(Mono::MAX),
            Link::Greeting { until } if now >= until => Act::HangUp,
            Link::Greeting { until } => Act::Wait(until),
            Link::Connected if now >= self.next_ping => {
                if self.pings_out >= self.options.max_pings_out {
                    return Act::HangUp;
                }
                self.pings_out += 1;
                self.ping(AfterPong::Alive);
                self.next_ping = now + self.options.ping_interval;
                Act::Wait(self.next_ping)
            }
            Link::Connected => Act::Wait(self.next_ping),
        }
    }

    /// The connection is there; the server's greeting is expected.
    pub fn dialed(&mut self, now: Mono) {
        if self.link == Link::Dialing {
            self.link = Link::Greeting { until: now + self.options.connect_timeout };
        }
    }

    /// The connection is gone, or could not be made.
    pub fn lost(&mut self, now: Mono, reason: Error) {
        if self.link == Link::Closed {
            return;
        }
        let was_connected = self.link == Link::Connected;
        self.wanted = 0;
        self.pings_out = 0;
        // What is left in `out` is lost, as is what the connection had taken: see the module's text.
        self.out.clear();
        let text = format!("the connection to the server was lost ({})", reason.message());
        if was_connected {
            // Without a connection, every request is still kept here: it goes out with the next one.
            self.pending.fail_all(|| Error::new(Kind::Disconnected, text.clone()));
        }
        for pong in std::mem::take(&mut self.pongs) {
            match pong {
                AfterPong::Flushed(mailbox) | AfterPong::Drained(mailbox) => {
                    mailbox.put(Err(Error::new(Kind::Disconnected, text.clone())));
                }
                // Nothing is under way any more, so these have ended; they must not be made again.
                AfterPong::Ended(sids) => self.close_wishes(&sids),
                AfterPong::AllEnded(sids, mailbox) => {
                    self.close_wishes(&sids);
                    mailbox.put(Err(Error::new(Kind::Disconnected, text.clone())));
                }
                AfterPong::Alive | AfterPong::Welcome => {}
            }
        }
        self.make_room();
        if was_connected {
            self.events.put(Event::Disconnected(reason.to_string()));
            self.servers.dropped(now.since(self.welcomed_at) >= self.options.backoff.1);
        } else {
            self.servers.failed();
        }
        let first = !self.ready_told && !self.options.retry_initial;
        let tried_all = self.servers.have_all_failed();
        let denied = reason.kind() == Kind::Denied;
        let exhausted = self.options.max_reconnects.is_some_and(|max| self.servers.failures() > max);
        if self.draining || exhausted || (first && (denied || tried_all)) {
            self.tell_ready(Err(reason));
            self.end();
            return;
        }
        let pause = self.servers.pause(self.options.backoff, &mut *self.random);
        self.link = Link::Away { retry_at: now + pause };
    }

    pub(super) fn greeted(&mut self, json: &[u8]) -> Result<()> {
        self.info = serde_json::from_slice(json)
            .map_err(|error| Error::new(Kind::Protocol, "the server's greeting cannot be read").because(error))?;
        self.servers.learn(&self.info.connect_urls, self.options.shuffle.then_some(&mut *self.random));
        if self.info.ldm {
            self.events.put(Event::LameDuck);
        }
        if matches!(self.link, Link::Greeting { .. }) {
            if self.info.tls_required {
                return Err(Error::new(
                    Kind::Unsupported,
                    "the server needs TLS, which this client does not speak yet",
                ));
            }
            let connect = self.introduction();
            write::connect(&mut self.out, &connect);
            self.ping(AfterPong::Welcome);
        }
        Ok(())
    }

    pub(super) fn introduction(&self) -> Connect {
        let mut connect = Connect {
            verbose: false,
            pedantic: false,
            name: self.options.name.clone(),
            lang: "rust-crosstie".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: 1,
            echo: self.options.echo,
            headers: true,
            no_responders: true,
            ..Connect::default()
        };
        match &self.options.credentials {
            Some(Credentials::Password { user, password }) => {
                (connect.user, connect.pass) = (Some(user.clone()), Some(password.clone()));
            }
            Some(Credentials::Token(token)) => connect.auth_token = Some(token.clone()),
            None => {}
        }
        connect
    }

    pub(super) fn complaint(&mut self, text: &str) -> Result<()> {
        let lower = text.to_ascii_lowercase();
        let denied = ["authorization violation", "authentication timeout", "authentication expired"]
            .iter()
            .any(|known| lower.contains(known));
        if denied {
            return Err(Error::new(Kind::Denied, format!("the server refused the credentials: {text}")));
        }
        if matches!(self.link, Link::Greeting { .. }) {
            return Err(Error::new(Kind::Rejected, format!("the server refused the connection: {text}")));
        }
        self.pending.deny(text);
        self.events.put(Event::ServerError(text.to_owned()));
        Ok(())
    }

    pub(super) fn pong(&mut self, now: Mono) {
        self.pings_out = 0;
        // Whoever waits for the answer must find what came before it.
        self.hand_over();
        match self.pongs.pop_front() {
            Some(AfterPong::Welcome) => self.welcomed(now),
            Some(AfterPong::Flushed(mailbox)) => {
                mailbox.put(Ok(()));
            }
            Some(AfterPong::Ended(sids)) => self.close_wishes(&sids),
            Some(AfterPong::AllEnded(sids, mailbox)) => {
                self.close_wishes(&sids);
                self.ping(AfterPong::Drained(mailbox));
            }
            Some(AfterPong::Drained(mailbox)) => {
                mailbox.put(Ok(()));
                self.end();
            }
            Some(AfterPong::Alive) | None => {}
        }
    }

    pub(super) fn welcomed(&mut self, now: Mono) {
        self.link = Link::Connected;
        self.welcomed_at = now;
        self.next_ping = now + self.options.ping_interval;
        self.servers.succeeded();
        for sid in self.sids() {
            let Some(wish) = self.wishes.get_mut(&sid) else {
                continue;
            };
            wish.before = wish.delivered;
            write::subscribe(&mut self.out, &wish.pattern, wish.queue.as_deref(), sid);
            if let Some(max) = wish.counted_by_server() {
                write::unsubscribe(&mut self.out, sid, Some(max));
            }
        }
        self.out.append(&mut self.kept);
        let first = !self.ready_told;
        self.tell_ready(Ok(()));
        self.stats.reconnects += u64::from(!first);
        self.events.put(if first { Event::Connected } else { Event::Reconnected });
        self.make_room();
    }
}
