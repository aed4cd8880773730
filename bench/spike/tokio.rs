//! Throw-away: tokio current-thread runtimes with a task per connection and direction, to compare drivers.
//!
//! `spike_tokio PORT [reactors=N] [read=KIB] [write=task|inline]`

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

struct Conn { id: u64, stream: TcpStream, out: Mutex<Vec<u8>>, ready: Notify, inline: bool }
type Subs = Arc<Vec<(Arc<Conn>, Arc<[u8]>)>>;
#[derive(Default)]
struct Shared { subjects: RwLock<HashMap<Vec<u8>, Subs>>, generation: AtomicU64 }

impl Conn {
    fn send(&self, bytes: &[u8]) {
        let mut out = self.out.lock().unwrap();
        let mut rest = bytes;
        if self.inline && out.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(count) => rest = &bytes[count..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
        if rest.is_empty() { return; }
        out.extend_from_slice(rest);
        drop(out);
        self.ready.notify_one();
    }
}

async fn write(conn: Arc<Conn>) {
    let mut taken = Vec::new();
    loop {
        conn.ready.notified().await;
        loop {
            if conn.inline {
                // The buffer stays where inline senders see it, so that order holds.
                if conn.out.lock().unwrap().is_empty() { break; }
                if conn.stream.writable().await.is_err() { return; }
                let mut out = conn.out.lock().unwrap();
                match conn.stream.try_write(&out) {
                    Ok(count) => { out.drain(..count); }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
                continue;
            }
            taken.clear();
            std::mem::swap(&mut taken, &mut *conn.out.lock().unwrap());
            if taken.is_empty() { break; }
            let mut at = 0;
            while at < taken.len() {
                match conn.stream.try_write(&taken[at..]) {
                    Ok(count) => at += count,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        if conn.stream.writable().await.is_err() { return; }
                    }
                    Err(_) => return,
                }
            }
        }
    }
}

async fn read(conn: Arc<Conn>, shared: Arc<Shared>, size: usize) {
    let mut buffer = vec![0; size + 64 * 1024];
    let mut filled = 0;
    let mut cache: HashMap<Vec<u8>, Subs> = HashMap::new();
    let mut generation = u64::MAX;
    let mut staging: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut touched: Vec<Arc<Conn>> = Vec::new();
    loop {
        match conn.stream.try_read(&mut buffer[filled..filled + size]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if conn.stream.readable().await.is_err() { break; }
                continue;
            }
            Err(_) => break,
        }
        let now = shared.generation.load(SeqCst);
        if now != generation { cache.clear(); generation = now; }
        let bytes = &buffer[..filled];
        let mut at = 0;
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
                if !cache.contains_key(subject) {
                    let subs = shared.subjects.read().unwrap().get(subject).cloned().unwrap_or_default();
                    cache.insert(subject.to_vec(), subs);
                }
                for (sub, sid) in cache[subject].iter() {
                    let out = staging.entry(sub.id).or_default();
                    if out.is_empty() { touched.push(sub.clone()); }
                    out.reserve(subject.len() + sid.len() + payload.len() + 24);
                    out.extend_from_slice(b"MSG ");
                    out.extend_from_slice(subject);
                    out.push(b' ');
                    out.extend_from_slice(sid);
                    out.push(b' ');
                    out.extend_from_slice(size_text);
                    out.extend_from_slice(b"\r\n");
                    out.extend_from_slice(payload);
                }
                continue;
            }
            at = next;
            if line.starts_with(b"PING") {
                conn.send(b"PONG\r\n");
            } else if let Some(rest) = line.strip_prefix(b"SUB ") {
                let space = memchr::memrchr(b' ', rest).unwrap();
                let mut subjects = shared.subjects.write().unwrap();
                let subs = subjects.entry(rest[..space].to_vec()).or_default();
                let mut list = subs.to_vec();
                list.push((conn.clone(), rest[space + 1..].into()));
                *subs = Arc::new(list);
                shared.generation.fetch_add(1, SeqCst);
            }
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
        for conn in touched.drain(..) {
            let out = staging.get_mut(&conn.id).unwrap();
            conn.send(out);
            out.clear();
        }
        tokio::task::yield_now().await;
    }
    for subs in shared.subjects.write().unwrap().values_mut() {
        *subs = Arc::new(subs.iter().filter(|(c, _)| c.id != conn.id).cloned().collect());
    }
    shared.generation.fetch_add(1, SeqCst);
}

fn main() {
    let (mut reactors, mut size, mut inline) = (1, 64 * 1024, false);
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().unwrap().parse().unwrap();
    for arg in args {
        let (key, value) = arg.split_once('=').unwrap();
        match key {
            "reactors" => reactors = value.parse().unwrap(),
            "read" => size = value.parse::<usize>().unwrap() * 1024,
            "write" => inline = value == "inline",
            _ => panic!("{key}"),
        }
    }
    let shared = Arc::new(Shared::default());
    let mut senders = Vec::new();
    for _ in 0..reactors {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<(u64, std::net::TcpStream)>();
        senders.push(sender);
        let shared = shared.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
            runtime.block_on(async move {
                while let Some((id, stream)) = receiver.recv().await {
                    let stream = TcpStream::from_std(stream).unwrap();
                    let conn = Arc::new(Conn { id, stream, out: Mutex::default(), ready: Notify::new(), inline });
                    tokio::spawn(write(conn.clone()));
                    tokio::spawn(read(conn, shared.clone(), size));
                }
            });
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async move {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        for id in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            stream.writable().await.unwrap();
            stream.try_write(b"INFO {\"server_id\":\"spike\",\"max_payload\":1048576}\r\n").unwrap();
            senders[id as usize % senders.len()].send((id, stream.into_std().unwrap())).unwrap();
        }
    });
}
