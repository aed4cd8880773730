//! From one publish to all who want it.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use crosstie_core::Mono;
use crosstie_proto::nats::{client_op::Pub, write::push_decimal};

use super::{
    Core, DELIVERY, MAX_UNFLUSHED,
    lock::lock,
    matched::{Matched, Target},
    peer::{Peer, Subscription},
    stage::Epoch,
    subscription::Claim,
    worker::Worker,
};

/// From this size on a payload with several receivers is shared instead of copied to each.
const SHARE_FROM: usize = 8 * 1024;

/// From so many receivers on, a message that has had its turn goes on in the next.
const DIVIDE_FROM: usize = 32;

/// How far a message has come on its way to all who want it.
struct Round {
    matched: Arc<Matched>,
    /// How many of the subscriptions, then of the groups, have been seen to.
    next: usize,
    /// How many of them took it.
    delivered: usize,
    /// The stages are known by the numbers in `matched` as long as this is their epoch.
    epoch: Epoch,
    /// The payload, if it is shared: one copy for all of the turns.
    shared: Option<Bytes>,
}

/// A message with more receivers than one turn has room for: what is left for the next.
pub(super) struct Unfinished(Round);

/// What became of a message.
pub(super) enum Delivered {
    /// So many took it.
    To(usize),
    /// It is to be delivered again, with this.
    InPart(Box<Unfinished>),
}

/// A message on its way, with the parts of its frame that are the same for all.
struct Delivery<'a> {
    publish: &'a Pub<'a>,
    from: &'a Arc<Peer>,
    shared: Option<Bytes>,
    /// The end of the frame from the size on, if that is the same for all and lies in one piece.
    ready: Option<&'a [u8]>,
    now: Mono,
}

impl Core {
    /// Gives a message to everybody who wants it, or goes on with those whom it has not reached yet.
    pub(super) fn deliver(
        &self,
        worker: &mut Worker,
        from: &Arc<Peer>,
        publish: &Pub<'_>,
        unfinished: Option<Box<Unfinished>>,
        now: Mono,
    ) -> Delivered {
        let mut round = match unfinished {
            Some(unfinished) => unfinished.0,
            None => {
                let matched = worker.lookup(&self.directory, publish.subject);
                Round::new(worker, matched)
            }
        };
        let copies = round.len();
        if copies == 0 {
            return Delivered::To(0);
        }
        if publish.body.len() >= SHARE_FROM && copies > 1 && round.shared.is_none() {
            round.shared = Some(Bytes::copy_from_slice(publish.body));
        }
        let shared = round.shared.clone();
        let is_plain = publish.reply.is_none() && publish.header_len.is_none() && shared.is_none();
        let ready = publish.sized.filter(|_| is_plain);
        if ready.is_none() {
            worker.write_tail(publish, publish.header_len, publish.body.len());
        }
        let delivery = Delivery { publish, from, shared, ready, now };
        let end = worker.admit(round.next, copies, publish.body.len());
        self.hand_round(worker, &mut round, end, &delivery);
        if round.next < copies {
            Delivered::InPart(Box::new(Unfinished(round)))
        } else {
            Delivered::To(round.delivered)
        }
    }

    /// Gives it to those of its round whose turn comes before `end`.
    fn hand_round(&self, worker: &mut Worker, round: &mut Round, end: usize, delivery: &Delivery<'_>) {
        worker.turn.begin();
        let Round { matched, next, delivered, epoch, .. } = round;
        let is_numbered = *epoch == worker.stages.epoch();
        let (plain, groups) = (&matched.plain, &matched.groups);
        let start = std::mem::replace(next, end);
        for target in plain.get(start..end.min(plain.len())).unwrap_or_default() {
            *delivered += usize::from(self.hand(worker, target, is_numbered, delivery));
            if worker.unflushed > MAX_UNFLUSHED {
                // One message may have more receivers than there is memory for all of its copies.
                worker.crowded |= self.flush_all_touched(worker, delivery.now);
                worker.turn.begin();
            }
        }
        for group in &groups[start.saturating_sub(plain.len())..end.saturating_sub(plain.len())] {
            *delivered += usize::from(self.hand_to_one(worker, group, is_numbered, delivery));
        }
    }

    /// Gives it to exactly one member: from a random one on, the first who takes it.
    fn hand_to_one(&self, worker: &mut Worker, group: &[Target], is_numbered: bool, delivery: &Delivery<'_>) -> bool {
        let members = group.len();
        let start = if members > 1 { worker.random.below(members as u64) as usize } else { 0 };
        (0..members).any(|i| {
            let index = start + i;
            let target = &group[if index < members { index } else { index - members }];
            self.hand(worker, target, is_numbered, delivery)
        })
    }

    /// Puts it on the stage of a subscription's client, if that takes it. `is_numbered` says that the target has the number of that stage.
    #[inline]
    fn hand(&self, worker: &mut Worker, target: &Target, is_numbered: bool, delivery: &Delivery<'_>) -> bool {
        let subscription = &target.subscription;
        let peer = &subscription.peer;
        let publish = delivery.publish;
        if peer.is_closed.load(Ordering::Relaxed) {
            return false;
        }
        if Arc::ptr_eq(peer, delivery.from) && !peer.echo.load(Ordering::Relaxed) {
            return false;
        }
        if subscription.hides(publish.subject) {
            return false;
        }
        match subscription.claim() {
            Claim::Taken => {}
            Claim::Last => self.retire(subscription),
            Claim::Refused => return false,
        }
        if let (Some(reply), true) = (publish.reply, peer.notes_replies.load(Ordering::Relaxed))
            && let Some(rights) = lock(&peer.standing).rights.as_mut()
        {
            rights.note_reply(reply, delivery.now);
        }
        let strip = publish.header_len.filter(|_| !peer.takes_headers.load(Ordering::Relaxed)).unwrap_or(0);
        let payload = publish.body.len() - strip;
        let stage = if is_numbered { target.stage } else { worker.stages.number(peer) };
        if worker.stages.waiting(stage) + payload > worker.options.limits.max_pending {
            self.make_room(worker, stage, delivery.now);
        }
        let size = match delivery.ready {
            Some(ready) if !target.head.is_empty() => {
                let load = worker.stages.fill(stage, &mut worker.spares);
                load.add(&[&target.head, ready], None, payload)
            }
            _ => worker.add_in_parts(target, stage, delivery, strip),
        };
        worker.unflushed += size;
        worker.spent += size + DELIVERY;
        worker.tally.out_msgs += 1;
        worker.tally.out_bytes += payload as u64;
        true
    }

    /// Writes what waits on a stage, which is as much as its client may have waiting at all.
    #[cold]
    fn make_room(&self, worker: &mut Worker, stage: u32, now: Mono) {
        if let Some(peer) = self.unload_one(worker, stage) {
            peer.flush(&mut worker.spares, false, now, &self.counters.pending_bytes);
        }
    }

    /// Ends a subscription that has just had its last message; its id is free from now on.
    fn retire(&self, subscription: &Arc<Subscription>) {
        // Its client may have ended it meanwhile, and given its id to another.
        lock(&subscription.peer.subscriptions).forget(subscription);
        self.directory.remove(subscription);
    }

    /// Tells a requester that nobody listens, where it waits for the answer.
    pub(super) fn answer_no_responders(&self, worker: &mut Worker, peer: &Arc<Peer>, subject: &[u8], reply: &[u8]) {
        let matched = worker.lookup(&self.directory, reply);
        // It does not count towards the subscription's maximum. What the client may not see it is not told on either. One that has
        // ended may still be in the index, before one that has not.
        let own = matched.plain.iter().map(|target| &target.subscription).find(|subscription| {
            Arc::ptr_eq(&subscription.peer, peer) && !subscription.has_ended() && !subscription.hides(reply)
        });
        let Some(subscription) = own else { return };
        let headers = [b"NATS/1.0 503\r\nNats-Subject: ", subject, b"\r\n\r\n"].concat();
        let mut frame = [b"HMSG ", reply, b" ", &subscription.sid, b" "].concat();
        push_decimal(&mut frame, headers.len());
        frame.push(b' ');
        push_decimal(&mut frame, headers.len());
        frame.extend_from_slice(b"\r\n");
        frame.extend_from_slice(&headers);
        frame.extend_from_slice(b"\r\n");
        self.append(worker, peer, &frame);
    }
}

impl Round {
    fn new(worker: &Worker, matched: Arc<Matched>) -> Self {
        Self { matched, next: 0, delivered: 0, epoch: worker.stages.epoch(), shared: None }
    }

    /// How many copies there will be at most.
    fn len(&self) -> usize {
        self.matched.plain.len() + self.matched.groups.len()
    }
}

impl Worker {
    /// Up to where a round at `next` of `copies` goes now, which is charged to whoever publishes: at least a few further.
    fn admit(&mut self, next: usize, copies: usize, payload: usize) -> usize {
        let effort = 1 + (payload >> 8) as u64;
        let room = usize::try_from(self.left() / effort).unwrap_or(usize::MAX).max(DIVIDE_FROM);
        let end = next.saturating_add(room).min(copies);
        self.effort += effort * (end - next) as u64;
        end
    }

    /// Puts a frame on a stage for which not all is ready; says how many bytes that were. `strip` bytes of headers are left out.
    fn add_in_parts(&mut self, target: &Target, stage: u32, delivery: &Delivery<'_>, strip: usize) -> usize {
        let publish = delivery.publish;
        if target.head.is_empty() {
            self.head.clear();
            for part in [b"MSG ", publish.subject, b" ", &target.subscription.sid, b" "] {
                self.head.extend_from_slice(part);
            }
        }
        if strip > 0 {
            self.write_tail(publish, None, publish.body.len() - strip);
        }
        let shared = delivery.shared.as_ref().map(|shared| shared.slice(strip..));
        let head = if target.head.is_empty() { &self.head } else { &*target.head };
        let body = if shared.is_some() { b"" } else { &publish.ended[strip..] };
        let load = self.stages.fill(stage, &mut self.spares);
        let size = match delivery.ready {
            Some(ready) => load.add(&[head, ready], None, publish.body.len()),
            None => {
                let verb = if publish.header_len.is_some() && strip == 0 { &b"H"[..] } else { b"" };
                load.add(&[verb, head, &self.tail, body], shared, publish.body.len() - strip)
            }
        };
        if strip > 0 {
            // The next receiver may take headers.
            self.write_tail(publish, publish.header_len, publish.body.len());
        }
        size
    }

    /// Writes what stands between the subscription's id and the body.
    fn write_tail(&mut self, publish: &Pub<'_>, header_len: Option<usize>, len: usize) {
        self.tail.clear();
        if let Some(reply) = publish.reply {
            self.tail.extend_from_slice(reply);
            self.tail.push(b' ');
        }
        if let Some(header_len) = header_len {
            push_decimal(&mut self.tail, header_len);
            self.tail.push(b' ');
        }
        push_decimal(&mut self.tail, len);
        self.tail.extend_from_slice(b"\r\n");
    }
}
