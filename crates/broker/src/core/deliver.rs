//! From one publish to all who want it.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use crosstie_core::Mono;
use crosstie_proto::nats::{client_op::Pub, write::push_decimal};

use super::{
    Core,
    index::Matched,
    lock::lock,
    outbox::Appended,
    peer::{Peer, Subscription},
    subscription::Claim,
    worker::Worker,
};

/// From this size on a payload with several receivers is shared instead of copied to each.
const SHARE_FROM: usize = 8 * 1024;

/// A message on its way, with the parts of its frame that are the same for all.
struct Delivery<'a> {
    publish: &'a Pub<'a>,
    from: &'a Arc<Peer>,
    shared: Option<Bytes>,
    now: Mono,
}

impl Core {
    /// Gives a message to everybody who wants it, and says how many that were.
    pub(super) fn deliver(&self, worker: &mut Worker, from: &Arc<Peer>, publish: &Pub<'_>, now: Mono) -> usize {
        let matched = worker.lookup(&self.directory, publish.subject);
        if matched.plain.is_empty() && matched.groups.is_empty() {
            return 0;
        }
        worker.prepare(publish);
        let many = publish.body.len() >= SHARE_FROM && receivers(&matched) > 1;
        let shared = many.then(|| Bytes::copy_from_slice(publish.body));
        let delivery = Delivery { publish, from, shared, now };
        let mut delivered = 0;
        for subscription in &matched.plain {
            delivered += usize::from(self.hand(worker, subscription, &delivery));
        }
        for group in &matched.groups {
            delivered += usize::from(self.hand_to_one(worker, group, &delivery));
        }
        delivered
    }

    /// Gives it to exactly one member: from a random one on, the first who takes it.
    fn hand_to_one(&self, worker: &mut Worker, group: &[Arc<Subscription>], delivery: &Delivery<'_>) -> bool {
        let members = group.len();
        let start = if members > 1 { worker.random.below(members as u64) as usize } else { 0 };
        (0..members).any(|i| {
            let index = start + i;
            self.hand(worker, &group[if index < members { index } else { index - members }], delivery)
        })
    }

    /// Appends it to a subscription's outbox, if that takes it.
    #[inline]
    fn hand(&self, worker: &mut Worker, subscription: &Arc<Subscription>, delivery: &Delivery<'_>) -> bool {
        let peer = &subscription.peer;
        let publish = delivery.publish;
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
        let strip = publish.header_len.filter(|_| !peer.takes_headers.load(Ordering::Relaxed));
        let body = &publish.body[strip.unwrap_or(0)..];
        let limit = worker.options.limits.max_pending;
        let size = worker.head.len() + subscription.sid.len() + worker.tail.len() + body.len() + 8;
        let mut outbox = lock(&peer.outbox);
        let (head, tail) = (&worker.head, &worker.tail);
        let appended = outbox.append(limit, &mut worker.spares, size, |out| {
            if strip.is_some() {
                push_plain_head(out, publish, &subscription.sid, body.len());
            } else {
                out.extend_from_slice(head);
                out.extend_from_slice(&subscription.sid);
                out.extend_from_slice(tail);
            }
            if delivery.shared.is_none() {
                out.extend_from_slice(body);
                out.extend_from_slice(b"\r\n");
            }
        });
        if matches!(appended, Appended::Flush | Appended::Queued) {
            if let Some(shared) = &delivery.shared {
                outbox.append_shared(&shared.slice(strip.unwrap_or(0)..));
                outbox.append_ending();
            }
            outbox.count(body.len());
        }
        drop(outbox);
        worker.unflushed += size;
        worker.tally.out_msgs += 1;
        worker.tally.out_bytes += body.len() as u64;
        self.appended(worker, peer, appended);
        !matches!(appended, Appended::Closed)
    }

    /// Ends a subscription that has just had its last message; its id is free from now on.
    fn retire(&self, subscription: &Arc<Subscription>) {
        lock(&subscription.peer.subscriptions).remove(&subscription.sid);
        self.directory.remove(subscription);
    }

    /// Tells a requester that nobody listens, where it waits for the answer.
    pub(super) fn answer_no_responders(&self, worker: &mut Worker, peer: &Arc<Peer>, subject: &[u8], reply: &[u8]) {
        let matched = worker.lookup(&self.directory, reply);
        let own = matched.plain.iter().find(|subscription| Arc::ptr_eq(&subscription.peer, peer));
        // It does not count towards the subscription's maximum.
        let Some(subscription) = own.filter(|subscription| !subscription.has_ended()) else { return };
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

fn receivers(matched: &Matched) -> usize {
    matched.plain.len() + matched.groups.len()
}

impl Worker {
    /// Writes the parts of the frame around the subscription's id.
    #[inline]
    fn prepare(&mut self, publish: &Pub<'_>) {
        self.head.clear();
        self.head.extend_from_slice(if publish.header_len.is_some() { b"HMSG " } else { b"MSG " });
        self.head.extend_from_slice(publish.subject);
        self.head.push(b' ');
        self.tail.clear();
        self.tail.push(b' ');
        if let Some(reply) = publish.reply {
            self.tail.extend_from_slice(reply);
            self.tail.push(b' ');
        }
        if let Some(header_len) = publish.header_len {
            push_decimal(&mut self.tail, header_len);
            self.tail.push(b' ');
        }
        push_decimal(&mut self.tail, publish.body.len());
        self.tail.extend_from_slice(b"\r\n");
    }
}

/// The frame head for a client that takes no headers.
fn push_plain_head(out: &mut Vec<u8>, publish: &Pub<'_>, sid: &[u8], len: usize) {
    out.extend_from_slice(b"MSG ");
    for word in [Some(publish.subject), Some(sid), publish.reply].into_iter().flatten() {
        out.extend_from_slice(word);
        out.push(b' ');
    }
    push_decimal(out, len);
    out.extend_from_slice(b"\r\n");
}
