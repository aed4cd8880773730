//! The driver of a simulated client: what the client's thread does with a socket and a clock, this does with a wire and an agenda.

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use bytes::BytesMut;
use crosstie_client::session::{Act, Event, Reader, Session};
use crosstie_core::{Error, HostPort, Kind, Mono, Seeded, Target};

use crate::{
    fact::{Fact, Place},
    frames::{Frames, Way, delivery, subscription},
    plan::Plan,
    sabotage::Saboteur,
    wire::{Side, Wire},
};

/// A connection in use.
struct Carried {
    wire: Arc<Wire>,
    input: BytesMut,
    output: Vec<u8>,
    written: usize,
    frames: Frames,
}

/// One client program, without its user.
pub(crate) struct Guest {
    id: usize,
    pub(crate) session: Session,
    events: Reader<Event>,
    carried: Option<Carried>,
    /// The attempt under way, and when to give it up.
    dialing: Option<(u64, Mono)>,
    attempts: u64,
    epoch: u64,
    /// Reads nothing for a while.
    pub(crate) is_stalled: bool,
    pub(crate) has_ended: bool,
}

/// What a client waits for.
pub(crate) struct Wants {
    /// An attempt to connect, by its number.
    pub(crate) dial: Option<u64>,
    /// To be looked at again at this time at the latest.
    pub(crate) until: Mono,
}

impl Guest {
    pub(crate) fn new(id: usize, plan: &Plan) -> Self {
        let server = Target::Tcp { host: HostPort { host: "broker".into(), port: 4222 } };
        let random: Seeded = plan.random("client", id as u64);
        let session = Session::new(vec![server], plan.connect_options(id), Box::new(random));
        let events = session.events();
        Self {
            id,
            session,
            events,
            carried: None,
            dialing: None,
            attempts: 0,
            epoch: 0,
            is_stalled: false,
            has_ended: false,
        }
    }

    /// The connection with which what is published now goes out.
    pub(crate) fn epoch_of_publication(&self) -> u64 {
        self.epoch + u64::from(!self.session.is_connected())
    }

    /// Does what the session wants, writes what there is, and says what the client waits for. Call it after whatever was done to the session.
    pub(crate) fn turn(&mut self, plan: &Plan, now: Mono, facts: &mut Vec<Fact>, saboteur: &mut Saboteur) -> Wants {
        let mut dial = None;
        loop {
            self.note_events(facts);
            if self.dialing.is_some_and(|(_, until)| now >= until) {
                self.drop_connection();
                self.session.lost(now, Error::new(Kind::Timeout, "nobody answered"));
                continue;
            }
            match self.session.poll(now) {
                Act::End => {
                    self.finish(facts, saboteur);
                    return Wants { dial: None, until: Mono::MAX };
                }
                Act::HangUp => self.lose(now, Error::new(Kind::Timeout, "the server did not answer in time")),
                // Nobody in here asks for TLS, which is no part of what is pure.
                Act::Secure(_) => self.lose(now, Error::new(Kind::Unsupported, "there is no TLS here")),
                Act::Dial(_) => {
                    self.attempts += 1;
                    self.dialing = Some((self.attempts, now + plan.connect_timeout));
                    dial = Some(self.attempts);
                }
                Act::Wait(until) => {
                    self.measure(plan, facts);
                    if let Err(error) = self.write(facts, saboteur) {
                        self.lose(now, error.into());
                        continue;
                    }
                    let give_up = self.dialing.map_or(Mono::MAX, |(_, until)| until);
                    return Wants { dial, until: until.min(give_up) };
                }
            }
        }
    }

    /// An attempt has succeeded. False if nobody waits for it any more.
    pub(crate) fn dialed(&mut self, attempt: u64, wire: Arc<Wire>, now: Mono, facts: &mut Vec<Fact>) -> bool {
        if self.dialing.is_none_or(|(current, _)| current != attempt) {
            wire.close(Side::Client);
            return false;
        }
        self.dialing = None;
        facts.push(Fact::Dialed { client: self.id });
        let frames = Frames::new(Way::ToClient);
        self.carried = Some(Carried { wire, input: BytesMut::new(), output: Vec::new(), written: 0, frames });
        self.session.dialed(now);
        true
    }

    /// An attempt was refused.
    pub(crate) fn refused(&mut self, attempt: u64, now: Mono) {
        if self.dialing.is_some_and(|(current, _)| current == attempt) {
            self.dialing = None;
            self.session.lost(now, Error::new(Kind::Disconnected, "nobody listens there"));
        }
    }

    /// Reads what has arrived.
    pub(crate) fn readable(&mut self, wire: u64, now: Mono, facts: &mut Vec<Fact>, saboteur: &mut Saboteur) {
        while let Some(carried) = self.carried.as_mut().filter(|carried| carried.wire.id() == wire) {
            let read = match carried.wire.read(Side::Client) {
                Ok(bytes) if bytes.is_empty() => Err(Error::new(Kind::Disconnected, "the server ended the connection")),
                Ok(bytes) => {
                    carried.take_in(self.id, &bytes, facts, saboteur);
                    self.session.received(&mut carried.input, now)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => Err(error.into()),
            };
            self.note_events(facts);
            if let Err(error) = read {
                self.lose(now, error);
            }
        }
    }

    pub(crate) const fn id(&self) -> usize {
        self.id
    }

    /// True if something waits for room on the wire.
    pub(crate) fn has_backlog(&self) -> bool {
        self.carried.as_ref().is_none_or(|carried| carried.written < carried.output.len())
    }

    /// The wire it uses now.
    pub(crate) fn wire(&self) -> Option<&Arc<Wire>> {
        self.carried.as_ref().map(|carried| &carried.wire)
    }

    fn lose(&mut self, now: Mono, error: Error) {
        self.drop_connection();
        self.session.lost(now, error);
    }

    fn drop_connection(&mut self) {
        self.dialing = None;
        if let Some(carried) = self.carried.take() {
            carried.wire.close(Side::Client);
        }
    }

    fn note_events(&mut self, facts: &mut Vec<Fact>) {
        while let Some(event) = self.events.try_next() {
            match event {
                Event::Connected | Event::Reconnected => {
                    self.epoch += 1;
                    facts.push(Fact::Connected { client: self.id, epoch: self.epoch });
                }
                Event::Disconnected(_) => facts.push(Fact::Lost { client: self.id }),
                _ => {}
            }
        }
    }

    fn measure(&self, plan: &Plan, facts: &mut Vec<Fact>) {
        let (output, kept) = self.session.waiting();
        facts.push(Fact::Held { place: Place::Kept, bytes: kept, limit: plan.limits.kept });
        facts.push(Fact::Held { place: Place::Output, bytes: output, limit: plan.limits.most_output() });
    }

    /// Writes what there is, as far as the wire takes it.
    fn write(&mut self, facts: &mut Vec<Fact>, saboteur: &mut Saboteur) -> io::Result<()> {
        let Some(carried) = &mut self.carried else { return Ok(()) };
        loop {
            if carried.written == carried.output.len() {
                carried.output.clear();
                carried.written = 0;
                self.session.take_output(&mut carried.output);
                if carried.output.is_empty() {
                    return Ok(());
                }
                carried.look_over(self.id, self.epoch, facts, saboteur);
            }
            match carried.wire.write(Side::Client, &[IoSlice::new(&carried.output[carried.written..])]) {
                Ok(count) => carried.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    carried.wire.watch_room(Side::Client);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes what is left, as far as the wire takes it, and goes.
    fn finish(&mut self, facts: &mut Vec<Fact>, saboteur: &mut Saboteur) {
        // The server may be gone already; nobody is left to be told.
        let _ = self.write(facts, saboteur);
        self.drop_connection();
        self.note_events(facts);
        if !std::mem::replace(&mut self.has_ended, true) {
            facts.push(Fact::Gone { client: self.id, is_killed: false });
        }
    }
}

impl Carried {
    /// Notes the deliveries that are whole with `bytes`, and passes on what the session is to see of them.
    fn take_in(&mut self, client: usize, bytes: &[u8], facts: &mut Vec<Fact>, saboteur: &mut Saboteur) {
        let mut frames = self.frames.push(bytes);
        if saboteur.meddles() {
            frames = frames.into_iter().flat_map(|frame| saboteur.incoming(client, frame)).collect();
            frames.iter().for_each(|frame| self.input.extend_from_slice(frame));
        } else {
            self.input.extend_from_slice(bytes);
        }
        facts.extend(frames.iter().filter_map(|frame| {
            let msg = delivery(frame)?;
            Some(Fact::Framed { client, sid: msg.sid, subject: String::from_utf8_lossy(msg.subject).into_owned() })
        }));
    }

    /// Notes what the session has just said, before it is written.
    fn look_over(&mut self, client: usize, epoch: u64, facts: &mut Vec<Fact>, saboteur: &mut Saboteur) {
        let mut frames = Frames::new(Way::ToBroker).push(&self.output);
        for (sid, pattern, group) in frames.iter().filter_map(|frame| subscription(frame)) {
            saboteur.wired(client, sid, &pattern, group);
            facts.push(Fact::Wired { client, sid, pattern });
        }
        if saboteur.meddles() {
            frames.retain(|frame| saboteur.lets_out(epoch, frame));
            self.output = frames.concat();
        }
    }
}
