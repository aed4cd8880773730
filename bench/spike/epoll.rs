//! Throw-away: epoll reactors that write inline to subscribers, to compare drivers of the hot path.
//!
//! `spike_epoll PORT [reactors=N] [read=KIB] [spin=US] [share=BYTES] [stage=own|inline|sid]`

use std::collections::HashMap;
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

#[derive(Clone, Copy)]
struct Config { reactors: usize, read: usize, spin: Duration, adaptive: bool, share: usize, stage: Stage }

#[derive(Clone, Copy, PartialEq)]
enum Stage { Own, Inline, Sid, Head }

struct Out { buffer: Vec<u8>, start: usize, armed: bool }

struct Conn { id: u64, stream: TcpStream, out: Mutex<Out>, poller: Arc<OwnedFd> }

type Subs = Arc<Vec<(Arc<Conn>, Arc<[u8]>)>>;

#[derive(Default)]
struct Shared {
    conns: RwLock<HashMap<u64, Arc<Conn>>>,
    subjects: RwLock<HashMap<Vec<u8>, Subs>>,
    generation: AtomicU64,
}

impl Conn {
    fn flush_with(&self, parts: &[IoSlice<'_>]) {
        let mut out = self.out.lock().unwrap();
        if out.armed {
            for part in parts { out.buffer.extend_from_slice(part); }
            return;
        }
        // writev in chunks of 1024; the rest is buffered.
        let mut at = 0;
        while at < parts.len() {
            let chunk = &parts[at..parts.len().min(at + 1024)];
            let length: usize = chunk.iter().map(|part| part.len()).sum();
            let result = if chunk.len() == 1 { (&self.stream).write(&chunk[0]) } else { (&self.stream).write_vectored(chunk) };
            let mut wrote = match result {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
                Err(_) => return,
            };
            at += chunk.len();
            if wrote < length {
                for part in chunk {
                    let skip = wrote.min(part.len());
                    wrote -= skip;
                    out.buffer.extend_from_slice(&part[skip..]);
                }
                for part in &parts[at..] { out.buffer.extend_from_slice(part); }
                out.armed = true;
                let _ = epoll::modify(&self.poller, &self.stream, epoll::EventData::new_u64(self.id), epoll::EventFlags::IN | epoll::EventFlags::OUT);
                return;
            }
        }
    }

    fn writable(&self) {
        let mut out = self.out.lock().unwrap();
        while out.start < out.buffer.len() {
            let start = out.start;
            match (&self.stream).write(&out.buffer[start..]) {
                Ok(count) => out.start += count,
                Err(_) => return,
            }
        }
        out.start = 0;
        out.buffer.clear();
        out.armed = false;
        let _ = epoll::modify(&self.poller, &self.stream, epoll::EventData::new_u64(self.id), epoll::EventFlags::IN);
    }
}

struct Reactor {
    config: Config,
    shared: Arc<Shared>,
    poller: Arc<OwnedFd>,
    cache: HashMap<Vec<u8>, Subs>,
    generation: u64,
    local: HashMap<u64, (Arc<Conn>, Vec<u8>)>,
    read: Vec<u8>,
    staging: HashMap<u64, Vec<u8>>,
    heads: HashMap<Vec<u8>, Vec<(usize, Vec<u8>)>>,
    slots: Vec<(Arc<Conn>, Vec<u8>)>,
    dirty: Vec<usize>,
    touched: Vec<Arc<Conn>>,
}

impl Reactor {
    fn run(mut self) {
        let mut events = Vec::with_capacity(256);
        let mut score = 0_u32;
        let mut hold_off = Instant::now();
        loop {
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let mut got = 0;
            let start = Instant::now();
            if self.config.spin > Duration::ZERO && (!self.config.adaptive || (score >= 8 && start > hold_off)) {
                loop {
                    got = epoll::wait(&self.poller, spare_capacity(&mut events), Some(&zero)).unwrap_or(0);
                    if got > 0 || start.elapsed() > self.config.spin { break; }
                    if self.config.adaptive {
                        // A yield that takes long means that somebody else wants this core: leave it to them for a while.
                        let before = Instant::now();
                        rustix::thread::sched_yield();
                        if before.elapsed() > Duration::from_micros(150) { score = 0; hold_off = before + Duration::from_millis(20); break; }
                    }
                }
            }
            if got == 0 { let _ = epoll::wait(&self.poller, spare_capacity(&mut events), None); }
            if start.elapsed() <= self.config.spin { score = (score + 1).min(16) } else { score = score.saturating_sub(4) };
            for event in events.drain(..) {
                let id = event.data.u64();
                if !self.local.contains_key(&id) {
                    let conn = self.shared.conns.read().unwrap().get(&id).cloned();
                    let Some(conn) = conn else { continue };
                    self.local.insert(id, (conn, Vec::new()));
                }
                let flags = { event.flags };
                if flags.contains(epoll::EventFlags::OUT) { self.local[&id].0.writable(); }
                if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP) && !self.readable(id) {
                    if let Some((conn, _)) = self.local.remove(&id) {
                        let _ = epoll::delete(&self.poller, &conn.stream);
                        self.shared.conns.write().unwrap().remove(&id);
                        let mut subjects = self.shared.subjects.write().unwrap();
                        for subs in subjects.values_mut() {
                            *subs = Arc::new(subs.iter().filter(|(c, _)| c.id != id).cloned().collect());
                        }
                        self.shared.generation.fetch_add(1, SeqCst);
                    }
                }
            }
        }
    }

    fn readable(&mut self, id: u64) -> bool {
        let (conn, carry) = self.local.get_mut(&id).unwrap();
        let conn = conn.clone();
        let kept = carry.len();
        let mut read = std::mem::take(&mut self.read);
        if read.len() < kept + self.config.read { read.resize(kept + self.config.read, 0); }
        read[..kept].copy_from_slice(carry);
        carry.clear();
        let count = match (&conn.stream).read(&mut read[kept..kept + self.config.read]) {
            Ok(0) => { self.read = read; return false; }
            Ok(count) => count,
            Err(error) => { self.read = read; return error.kind() == std::io::ErrorKind::WouldBlock; }
        };
        let bytes = &read[..kept + count];
        let used = self.process(&conn, bytes);
        self.local.get_mut(&id).unwrap().1.extend_from_slice(&bytes[used..]);
        self.read = read;
        true
    }

    fn process(&mut self, conn: &Arc<Conn>, bytes: &[u8]) -> usize {
        let now = self.shared.generation.load(SeqCst);
        if now != self.generation { self.cache.clear(); self.heads.clear(); self.slots.clear(); self.generation = now; }
        let mut at = 0;
        // (list, size text, payload with CRLF): the messages of this read.
        let mut heads: Vec<u8> = Vec::new();
        let mut shares: HashMap<u64, (Arc<Conn>, Vec<(usize, usize, usize, usize)>)> = HashMap::new();
        let mut by_sid: HashMap<*const u8, (Subs, Vec<u8>)> = HashMap::new();
        while let Some(end) = memchr::memchr(b'\n', &bytes[at..]) {
            let line = &bytes[at..at + end - 1];
            let next = at + end + 1;
            if let Some(rest) = line.strip_prefix(b"PUB ") {
                let space = memchr::memrchr(b' ', rest).unwrap();
                let (subject, size_text) = (&rest[..space], &rest[space + 1..]);
                let size = size_text.iter().fold(0, |n, d| n * 10 + usize::from(d - b'0'));
                if bytes.len() < next + size + 2 { break; }
                let payload = &bytes[next..next + size + 2];
                at = next + size + 2;
                if self.config.stage == Stage::Head {
                    // One look-up per message; the head up to the size is made once per subscriber.
                    if !self.heads.contains_key(subject) {
                        let subs = self.shared.subjects.read().unwrap().get(subject).cloned().unwrap_or_default();
                        let mut list = Vec::new();
                        for (sub, sid) in subs.iter() {
                            let slot = self.slots.iter().position(|(c, _)| c.id == sub.id).unwrap_or_else(|| { self.slots.push((sub.clone(), Vec::new())); self.slots.len() - 1 });
                            let mut head = b"MSG ".to_vec();
                            head.extend_from_slice(subject); head.push(b' ');
                            head.extend_from_slice(sid); head.push(b' ');
                            list.push((slot, head));
                        }
                        self.heads.insert(subject.to_vec(), list);
                    }
                    // The size text, CRLF, payload and CRLF lie side by side in what was read.
                    let tail = &bytes[next - 2 - size_text.len()..at];
                    for (slot, head) in &self.heads[subject] {
                        let staging = &mut self.slots[*slot].1;
                        if staging.is_empty() { self.dirty.push(*slot); }
                        staging.reserve(head.len() + tail.len());
                        staging.extend_from_slice(head);
                        staging.extend_from_slice(tail);
                    }
                    continue;
                }
                if !self.cache.contains_key(subject) {
                    let subs = self.shared.subjects.read().unwrap().get(subject).cloned().unwrap_or_default();
                    self.cache.insert(subject.to_vec(), subs);
                }
                let subs = &self.cache[subject];
                if self.config.stage == Stage::Sid {
                    // One staging buffer per subscriber list whose sids are all equal.
                    let key = Arc::as_ptr(subs).cast::<u8>();
                    let entry = by_sid.entry(key).or_insert_with(|| (subs.clone(), Vec::with_capacity(bytes.len() * 2)));
                    let Some((_, sid)) = subs.first() else { continue };
                    push_message(&mut entry.1, subject, sid, size_text, payload);
                } else if size >= self.config.share {
                    for (sub, sid) in subs.iter() {
                        let from = heads.len();
                        push_head(&mut heads, subject, sid, size_text);
                        shares.entry(sub.id).or_insert_with(|| (sub.clone(), Vec::new())).1.push((from, heads.len(), next, at));
                    }
                } else {
                    for (sub, sid) in subs.iter() {
                        let staging = self.staging.entry(sub.id).or_default();
                        if staging.is_empty() { self.touched.push(sub.clone()); }
                        push_message(staging, subject, sid, size_text, payload);
                    }
                }
                continue;
            }
            at = next;
            if line.starts_with(b"PING") {
                conn.flush_with(&[IoSlice::new(b"PONG\r\n")]);
            } else if let Some(rest) = line.strip_prefix(b"SUB ") {
                let space = memchr::memrchr(b' ', rest).unwrap();
                let mut subjects = self.shared.subjects.write().unwrap();
                let subs = subjects.entry(rest[..space].to_vec()).or_default();
                let mut list = subs.to_vec();
                list.push((conn.clone(), rest[space + 1..].into()));
                *subs = Arc::new(list);
                self.shared.generation.fetch_add(1, SeqCst);
            }
        }
        for slot in self.dirty.drain(..) {
            let (conn, staging) = &mut self.slots[slot];
            conn.flush_with(&[IoSlice::new(staging)]);
            staging.clear();
        }
        for conn in self.touched.drain(..) {
            let staging = self.staging.get_mut(&conn.id).unwrap();
            conn.flush_with(&[IoSlice::new(staging)]);
            staging.clear();
        }
        for (subs, staging) in by_sid.values() {
            for (conn, _) in subs.iter() { conn.flush_with(&[IoSlice::new(staging)]); }
        }
        for (conn, list) in shares.values() {
            let mut parts = Vec::with_capacity(list.len() * 2);
            for (from, to, payload, end) in list {
                parts.push(IoSlice::new(&heads[*from..*to]));
                parts.push(IoSlice::new(&bytes[*payload..*end]));
            }
            conn.flush_with(&parts);
        }
        at
    }
}

fn push_head(out: &mut Vec<u8>, subject: &[u8], sid: &[u8], size: &[u8]) {
    out.extend_from_slice(b"MSG ");
    out.extend_from_slice(subject);
    out.push(b' ');
    out.extend_from_slice(sid);
    out.push(b' ');
    out.extend_from_slice(size);
    out.extend_from_slice(b"\r\n");
}

fn push_message(out: &mut Vec<u8>, subject: &[u8], sid: &[u8], size: &[u8], payload: &[u8]) {
    out.reserve(subject.len() + sid.len() + payload.len() + 24);
    push_head(out, subject, sid, size);
    out.extend_from_slice(payload);
}

fn main() {
    let mut config = Config { reactors: 1, read: 64 * 1024, spin: Duration::ZERO, adaptive: false, share: usize::MAX, stage: Stage::Own };
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().unwrap().parse().unwrap();
    for arg in args {
        let (key, value) = arg.split_once('=').unwrap();
        match key {
            "reactors" => config.reactors = value.parse().unwrap(),
            "read" => config.read = value.parse::<usize>().unwrap() * 1024,
            "spin" => config.spin = Duration::from_micros(value.parse().unwrap()),
            "adapt" => { config.adaptive = true; config.spin = Duration::from_micros(value.parse().unwrap()) }
            "share" => config.share = value.parse().unwrap(),
            "stage" => config.stage = match value { "own" => Stage::Own, "sid" => Stage::Sid, "head" => Stage::Head, _ => Stage::Inline },
            _ => panic!("{key}"),
        }
    }
    let shared = Arc::new(Shared::default());
    let mut pollers = Vec::new();
    for _ in 0..config.reactors {
        let poller = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC).unwrap());
        pollers.push(poller.clone());
        let reactor = Reactor {
            config, shared: shared.clone(), poller, cache: HashMap::new(), generation: 0, local: HashMap::new(),
            read: Vec::new(), staging: HashMap::new(), heads: HashMap::new(), slots: Vec::new(), dirty: Vec::new(), touched: Vec::new(),
        };
        std::thread::spawn(move || reactor.run());
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    for id in 0.. {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        (&stream).write_all(b"INFO {\"server_id\":\"spike\",\"max_payload\":1048576}\r\n").unwrap();
        stream.set_nonblocking(true).unwrap();
        let poller = pollers[id as usize % pollers.len()].clone();
        let conn = Arc::new(Conn { id, stream, out: Mutex::new(Out { buffer: Vec::new(), start: 0, armed: false }), poller: poller.clone() });
        shared.conns.write().unwrap().insert(id, conn.clone());
        epoll::add(&poller, &conn.stream, epoll::EventData::new_u64(id), epoll::EventFlags::IN).unwrap();
    }
}
