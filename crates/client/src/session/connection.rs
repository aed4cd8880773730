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
    /// Begin TLS with the server, whose certificate must be for this name, and hand in nothing that came before. Then call `secured` or `lost`.
    Secure(String),
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
                let target = self.servers.next();
                self.dialled = Some(target.clone());
                Act::Dial(target)
            }
            Link::Away { retry_at } => Act::Wait(retry_at),
            Link::Dialing => Act::Wait(Mono::MAX),
            Link::Secure { until } => {
                self.link = Link::Securing { until };
                Act::Secure(self.name_to_find())
            }
            Link::Securing { until } | Link::Greeting { until } | Link::Introduced { until } => {
                if now >= until {
                    Act::HangUp
                } else {
                    Act::Wait(until)
                }
            }
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
            let until = now + self.options.connect_timeout;
            self.is_secured = false;
            let is_first = self.options.tls.first && self.wants_tls();
            self.link = if is_first { Link::Secure { until } } else { Link::Greeting { until } };
        }
    }

    /// TLS is spoken from now on.
    pub fn secured(&mut self) {
        if let Link::Securing { until } = self.link {
            self.is_secured = true;
            if self.options.tls.first {
                self.link = Link::Greeting { until };
            } else {
                self.introduce(until);
            }
        }
    }

    /// A Unix socket needs no TLS: the kernel says who is there, and nobody is in between.
    fn wants_tls(&self) -> bool {
        self.options.tls.required && matches!(self.dialled, Some(Target::Tcp { .. }))
    }

    /// The name that the server's certificate has to be for. What a server tells of others are addresses as a rule, for which no certificate is
    /// made: there it is the name that the user gave.
    fn name_to_find(&self) -> String {
        let Some(Target::Tcp { host }) = &self.dialled else { return String::new() };
        let is_address = host.host.parse::<std::net::IpAddr>().is_ok();
        let given = self.servers.given();
        match given.first() {
            Some(Target::Tcp { host: first })
                if is_address && !given.iter().any(|target| Some(target) == self.dialled.as_ref()) =>
            {
                first.host.clone()
            }
            _ => host.host.clone(),
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
        self.is_secured = false;
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
        // Nobody has vouched for what came in the clear: who wants TLS does not follow it to other servers.
        if self.is_secured || !self.wants_tls() {
            self.servers.learn(&self.info.connect_urls, self.options.shuffle.then_some(&mut *self.random));
        }
        if self.info.ldm {
            self.events.put(Event::LameDuck);
        }
        let Link::Greeting { until } = self.link else { return Ok(()) };
        if self.is_secured || !(self.wants_tls() || self.info.tls_required) {
            self.introduce(until);
            return Ok(());
        }
        if !(self.info.tls_required || self.info.tls_available) {
            let text =
                "the server offers no TLS, and the URL or the options want nothing else ('tls:'): no password was sent";
            return Err(Error::new(Kind::Denied, text));
        }
        if cfg!(not(feature = "tls")) {
            let text = "the server needs TLS: build with the feature 'tls'";
            return Err(Error::new(Kind::Unsupported, text));
        }
        self.link = Link::Secure { until };
        Ok(())
    }

    fn introduce(&mut self, until: Mono) {
        self.link = Link::Introduced { until };
        let connect = self.introduction();
        write::connect(&mut self.out, &connect);
        self.ping(AfterPong::Welcome);
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
            tls_required: self.is_secured,
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
        if matches!(self.link, Link::Greeting { .. } | Link::Introduced { .. }) {
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
