//! One end of a ring, taken by this process: what both kinds of rings and both ends of them do alike.

use std::task::Poll;

use crosstie_core::Deadline;
use crosstie_sys::{Incarnation, processors};

use super::{
    control::Control,
    corrupt::Corrupt,
    error::{ReceiveError, SendError},
    held::hold,
    seat::{Seat, Taken},
};
use crate::{
    clock,
    error::{Error, Result},
    events::Act,
    layout::ParticipantId,
    notifier::{Alarm, Armer},
    participant::{Life, Participant},
    segment::{Pinned, READY},
    sync::{AtomicU32, Ordering::Relaxed},
    wait::{Bell, EventCount, Fence, Notified, Peer, WaitEnd, WaitPolicy, Waiter},
};

/// Participants of a ring: the two ends, their successors while the dead are reaped, and some to look.
pub(super) const PARTICIPANTS: u32 = 8;

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Sender,
    Receiver,
}

impl Role {
    /// The bit of an object that its own end waits for, in the only ring of a segment.
    const fn bit(self) -> u32 {
        match self {
            Self::Receiver => 0,
            Self::Sender => 1,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
        }
    }
}

/// An end that this process has.
#[derive(Debug)]
pub(super) struct End {
    role: Role,
    participant: Participant,
    control: Pinned<Control>,
    /// The segment's state, kept by `participant`.
    state: &'static AtomicU32,
    incarnation: Incarnation,
    fence: Fence,
    waiter: Waiter,
    armer: Armer,
}

/// The other end, seen from this one.
struct Other<'a> {
    end: &'a Control,
    role: Role,
    participant: &'a Participant,
}

impl End {
    /// Sits down, unless somebody who lives sits there.
    pub(super) fn take(
        participant: &Participant,
        control: &Pinned<Control>,
        role: Role,
        policy: WaitPolicy,
    ) -> Result<Self> {
        participant.check()?;
        let incarnation = Incarnation::current().map_err(Error::system("telling this process from its children"))?;
        let processors = processors::allowed();
        let fence = Fence::choose(processors);
        let me = participant.id();
        let mut failure = None;
        let is_alive = |owner: ParticipantId| match participant.life(owner) {
            Ok(life) => life == Life::Alive,
            Err(error) => {
                failure = Some(error);
                true
            }
        };
        let outcome = seat(control, role).take(me, fence, processors, is_alive);
        if let Some(error) = failure {
            return Err(error);
        }
        outcome.map_err(|by| Error::SeatTaken {
            segment: participant.segment().label().to_owned(),
            seat: role.word(),
            by,
        })?;
        Ok(Self {
            role,
            participant: participant.clone(),
            control: control.clone(),
            // SAFETY: the participant beside it has a handle of the segment, and it is not given out.
            state: unsafe { hold(participant.segment().state_word()) },
            incarnation,
            fence,
            waiter: Waiter::new(policy, processors),
            armer: Armer::new(),
        })
    }

    pub(super) fn set_policy(&mut self, policy: WaitPolicy) {
        self.waiter = Waiter::new(policy, processors::allowed());
    }

    /// Nothing, if this process is the one that sat down and the segment is in use. A few loads.
    #[inline]
    pub(super) fn check(&self) -> Result<()> {
        if self.incarnation.is_current() && self.state.load(Relaxed) == READY {
            return Ok(());
        }
        self.participant.check()
    }

    /// Something was there without a wait.
    #[inline]
    pub(super) const fn flows(&mut self) {
        self.waiter.flows();
    }

    #[inline]
    pub(super) fn peer_has_left(&self) -> bool {
        seat(&self.control, other(self.role)).has_left()
    }

    /// What this end sleeps on.
    pub(super) fn event(&self) -> &EventCount {
        own_event(&self.control, self.role)
    }

    /// The fence that the other end uses before it looks for sleepers.
    pub(super) fn peer_fence(&self) -> Fence {
        seat(&self.control, other(self.role)).fence()
    }

    /// Who sits or sat at the other end.
    pub(super) fn peer(&self) -> Option<ParticipantId> {
        match seat(&self.control, other(self.role)).taken() {
            Taken::Never => None,
            Taken::By(peer) | Taken::LeftBy(peer) => Some(peer),
        }
    }

    /// True if the other end's process ended without leaving.
    pub(super) fn peer_has_died(&self) -> bool {
        self.other().has_died()
    }

    /// Tells the other end that there is something for it.
    #[inline]
    pub(super) fn notify(&self) {
        let event = match self.role {
            Role::Sender => &self.control.items,
            Role::Receiver => &self.control.room,
        };
        if event.notify(self.fence) == Notified::Ring {
            self.ring();
        }
    }

    /// Rings for the other end's process. If it is another one by now, that looks once in vain.
    #[cold]
    fn ring(&self) {
        let theirs = seat(&self.control, other(self.role));
        if let (Some(bit), Some(peer)) = (theirs.bit(), self.peer())
            && let Some(slot) = self.participant.segment().participant(peer.slot)
        {
            Bell::of(slot).ring(bit);
        }
    }

    /// From here on `alarm` rings once when the other end has done something, left or died. The object is to be looked at after this.
    fn arm(&mut self, alarm: Alarm) -> Result<()> {
        let role = self.role;
        self.armer.arm(&self.participant, role.bit(), alarm)?;
        // Before the flag: who finds the flag up finds the bit.
        seat(&self.control, role).set_bit(Some(role.bit()));
        self.event().arm(|| self.peer_fence());
        Ok(())
    }

    /// Looks whether `is_ready` says yes or the other end is gone, and if not, has `alarm` ring when it is worth another look.
    pub(super) fn poll(
        &mut self,
        alarm: Alarm,
        mut is_ready: impl FnMut() -> Result<bool, Corrupt>,
    ) -> Result<Poll<Result<(), WaitEnd>>> {
        let mut alarm = Some(alarm);
        let ended = loop {
            self.check()?;
            // Leaving comes after the last thing that was done: pairs with the Release in Seat::leave.
            let has_left = self.peer_has_left();
            match is_ready() {
                Ok(true) => break Ok(()),
                Ok(false) if has_left => break Err(WaitEnd::Left),
                Ok(false) => {}
                Err(what) => return Err(self.damaged(what)),
            }
            if let Some(alarm) = alarm.take() {
                self.arm(alarm)?;
                continue;
            }
            if !self.peer_has_died() {
                return Ok(Poll::Pending);
            }
            break match is_ready() {
                Ok(true) => Ok(()),
                Ok(false) => Err(WaitEnd::Died),
                Err(what) => return Err(self.damaged(what)),
            };
        };
        if alarm.is_none() {
            // Spares the other end a system call. Only this end arms here.
            self.armer.disarm();
            self.event().disarm();
        }
        Ok(Poll::Ready(ended))
    }

    /// As [`Self::poll`], on behalf of a sender.
    pub(super) fn poll_to_send(
        &mut self,
        alarm: Alarm,
        has_room: impl FnMut() -> Result<bool, Corrupt>,
    ) -> Poll<Result<(), SendError<()>>> {
        match self.poll(alarm, has_room) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(outcome)) => Poll::Ready(outcome.map_err(|end| self.not_sent(end))),
            Err(error) => Poll::Ready(Err(SendError::Failed { message: (), error })),
        }
    }

    /// As [`Self::poll`], on behalf of a receiver.
    pub(super) fn poll_to_receive(
        &mut self,
        alarm: Alarm,
        is_there: impl FnMut() -> Result<bool, Corrupt>,
    ) -> Poll<Result<(), ReceiveError>> {
        match self.poll(alarm, is_there) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(outcome)) => Poll::Ready(outcome.map_err(|end| self.not_received(end))),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    fn not_sent(&self, end: WaitEnd) -> SendError<()> {
        match end {
            WaitEnd::TimedOut => SendError::TimedOut(()),
            WaitEnd::Left => SendError::Closed(()),
            WaitEnd::Died => {
                let by = self.peer().expect("who died was there");
                SendError::PeerDied { message: (), by }
            }
        }
    }

    fn not_received(&self, end: WaitEnd) -> ReceiveError {
        match end {
            WaitEnd::TimedOut => ReceiveError::TimedOut,
            WaitEnd::Left => ReceiveError::Closed,
            WaitEnd::Died => ReceiveError::PeerDied { by: self.peer().expect("who died was there") },
        }
    }

    /// Waits until `is_ready` says yes. Whoever retires the segment ends the wait as well, at the latest with the next look at the peer's life.
    pub(super) fn wait(
        &mut self,
        deadline: Deadline,
        mut is_ready: impl FnMut() -> Result<bool, Corrupt>,
    ) -> Result<Result<(), WaitEnd>> {
        let Self { role, participant, control, waiter, state, .. } = self;
        let other = Other { end: control, role: *role, participant };
        let outcome = waiter.wait(own_event(control, *role), &other, clock::now, deadline, || match is_ready() {
            Ok(false) if state.load(Relaxed) == READY => None,
            Ok(_) => Some(Ok(())),
            Err(what) => Some(Err(what)),
        });
        match outcome {
            Ok(Ok(())) => self.check().map(Ok),
            Ok(Err(what)) => Err(self.damaged(what)),
            Err(end) => Ok(Err(end)),
        }
    }

    /// Waits for room on behalf of a sender.
    pub(super) fn wait_to_send(
        &mut self,
        deadline: Deadline,
        has_room: impl FnMut() -> Result<bool, Corrupt>,
    ) -> Result<(), SendError<()>> {
        match self.wait(deadline, has_room) {
            Ok(outcome) => outcome.map_err(|end| self.not_sent(end)),
            Err(error) => Err(SendError::Failed { message: (), error }),
        }
    }

    /// Waits for a message on behalf of a receiver.
    pub(super) fn wait_to_receive(
        &mut self,
        deadline: Deadline,
        is_there: impl FnMut() -> Result<bool, Corrupt>,
    ) -> Result<(), ReceiveError> {
        self.wait(deadline, is_there)?.map_err(|end| self.not_received(end))
    }

    /// Why a receiver finds nothing. `is_there` looks again: whoever left may have sent something just before.
    #[cold]
    pub(super) fn nothing(&self, is_there: impl FnOnce() -> Result<bool, Corrupt>) -> ReceiveError {
        if !self.peer_has_left() {
            return ReceiveError::Empty;
        }
        match is_there() {
            // It is there, and the next act gets it.
            Ok(true) => ReceiveError::Empty,
            Ok(false) => ReceiveError::Closed,
            Err(what) => self.damaged(what).into(),
        }
    }

    fn other(&self) -> Other<'_> {
        Other { end: &self.control, role: self.role, participant: &self.participant }
    }

    /// Damage, told with the segment's name. The segment is poisoned, so that everybody hears of it.
    #[cold]
    pub(super) fn damaged(&self, what: Corrupt) -> Error {
        damaged(&self.participant, what)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // In the child of a fork the seat is the parent's.
        if self.incarnation.is_current() {
            seat(&self.control, self.role).leave(self.participant.id());
            self.notify();
        }
    }
}

/// Damage, told with the segment's name. The segment is poisoned, so that everybody hears of it.
#[cold]
pub(crate) fn damaged(participant: &Participant, what: Corrupt) -> Error {
    let segment = participant.segment();
    segment.poison();
    participant.record(Act::Poisoned, 0, [0, 0]);
    segment.corrupt(what.to_string())
}

/// What this end sleeps on.
fn own_event(control: &Control, role: Role) -> &EventCount {
    match role {
        Role::Sender => &control.room,
        Role::Receiver => &control.items,
    }
}

fn seat(control: &Control, role: Role) -> &Seat {
    match role {
        Role::Sender => &control.quiet.sender,
        Role::Receiver => &control.quiet.receiver,
    }
}

const fn other(role: Role) -> Role {
    match role {
        Role::Sender => Role::Receiver,
        Role::Receiver => Role::Sender,
    }
}

impl Peer for Other<'_> {
    fn has_left(&self) -> bool {
        seat(self.end, other(self.role)).has_left()
    }

    fn has_died(&self) -> bool {
        match seat(self.end, other(self.role)).taken() {
            // What cannot be found out is no proof of death.
            Taken::By(peer) => self.participant.life(peer).is_ok_and(|life| life != Life::Alive),
            Taken::Never | Taken::LeftBy(_) => false,
        }
    }

    fn fence(&self) -> Fence {
        seat(self.end, other(self.role)).fence()
    }

    fn processors(&self) -> u64 {
        seat(self.end, other(self.role)).processors()
    }
}
