//! A TLS session over a connection that never blocks.

use std::{
    cell::RefCell,
    io::{self, IoSlice, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use crosstie_core::ByteTransport;
use crosstie_sys::{Interest, wait_ready};
use rustls::{Connection as Tls, InvalidMessage, ServerConfig, ServerConnection};

use super::{certificate::Certificate, linger::linger, refusal::carried, stream::TlsStream};
use crate::transport::{Armed, AsyncStream, SocketTransport, Transport};

/// TLS over a socket.
///
/// The [handshake](Self::handshake) comes first; until it is done nothing is written, but for a greeting in the clear where the protocol above has one. Written bytes that the socket has no room for are kept, at most
/// 16 KiB: [`Transport::try_flush`] sends them on, and so does every later read and write. A direction ends with the announcement that TLS has for it; where a
/// socket ends without, reading says [`io::ErrorKind::UnexpectedEof`], never a quiet end.
pub struct TlsTransport {
    /// There until the end.
    socket: Option<Box<dyn SocketTransport>>,
    session: Mutex<Session>,
    /// The client speaks in the clear, as it was left to do.
    is_plain: AtomicBool,
    /// Something waits for room in the socket.
    is_owing: AtomicBool,
    /// Something may have come that was not read yet.
    has_more: AtomicBool,
    /// Both directions were ended at once, whatever was on the way.
    is_shut: AtomicBool,
}

struct Session {
    tls: Begun,
    /// Whether what is written before TLS begins goes out in the clear.
    greets: bool,
    /// What came and was not taken by TLS yet, from `at` on.
    raw: Vec<u8>,
    at: usize,
    /// Bytes that came in the handshake.
    handshake: usize,
    is_ending: bool,
    /// The other side says nothing more.
    has_peer_ended: bool,
    /// Why nothing more is to be had.
    failed: Option<rustls::Error>,
    certificate: Option<Arc<Certificate>>,
}

/// A server begins with the client's first byte, so that whoever says nothing costs next to nothing.
enum Begun {
    Not { config: Arc<ServerConfig>, allows_plain: bool },
    Yes(Box<Tls>),
}

/// How far a handshake has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Both sides know each other.
    Done,
    /// There is none: the client speaks in the clear, as it was left to do.
    Plain,
    /// It goes on when the socket is ready for this.
    Wait(Interest),
}

/// Of plaintext that was taken and has not left: one record.
const MOST_OWED: usize = 16 * 1024;
/// Of everything that the other side says before it is known. Chains of certificates are a few KiB.
const MOST_HANDSHAKE: usize = 128 * 1024;
const READ_AT_ONCE: usize = 64 * 1024;
/// How often something unread is taken from a socket that is let go.
const MOST_UNREAD: usize = 4;
/// A client's first words.
const FIRST_READ: usize = 4 * 1024;

thread_local! {
    /// What was read from a socket a moment ago: whatever TLS does not take at once moves to the session.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_AT_ONCE]);
}

/// What the first byte of TLS is: that of a record of a handshake.
const HANDSHAKE_RECORD: u8 = 22;

impl TlsTransport {
    pub(super) fn client(socket: Box<dyn SocketTransport>, mut tls: Tls) -> Self {
        tls.set_buffer_limit(Some(MOST_OWED));
        Self::new(socket, Begun::Yes(Box::new(tls)), false)
    }

    pub(super) fn server(
        socket: Box<dyn SocketTransport>,
        config: Arc<ServerConfig>,
        greets: bool,
        allows_plain: bool,
    ) -> Self {
        Self::new(socket, Begun::Not { config, allows_plain }, greets)
    }

    fn new(socket: Box<dyn SocketTransport>, tls: Begun, greets: bool) -> Self {
        let session = Session {
            tls,
            greets,
            raw: Vec::new(),
            at: 0,
            handshake: 0,
            is_ending: false,
            has_peer_ended: false,
            failed: None,
            certificate: None,
        };
        Self {
            socket: Some(socket),
            session: Mutex::new(session),
            is_plain: AtomicBool::new(false),
            is_owing: AtomicBool::new(false),
            has_more: AtomicBool::new(false),
            is_shut: AtomicBool::new(false),
        }
    }

    /// Has what is written wait until [`Self::greet`], or until the client begins TLS by itself.
    pub fn hold_greeting(&mut self) {
        self.session.get_mut().unwrap_or_else(PoisonError::into_inner).greets = false;
    }

    /// True if the server has said something in the clear before TLS began, or was to.
    pub fn has_greeted(&self) -> bool {
        self.session().greets
    }

    /// Has what is written go out in the clear until the client begins TLS: for a server that has waited whether it does so by itself. False if it
    /// has begun.
    pub fn greet(&self) -> bool {
        let mut session = self.session();
        session.greets |= matches!(session.tls, Begun::Not { .. });
        session.greets
    }

    /// Goes on with the handshake as far as it can: after [`Handshake::Wait`], call it again when the socket is ready for that.
    ///
    /// # Errors
    ///
    /// The socket's, and those of TLS, for which [`Connection::explain`](crate::Connection::explain) has words. It is over then; the other side has
    /// been told as far as the socket had room.
    pub fn handshake(&self) -> io::Result<Handshake> {
        let mut session = self.session();
        let outcome = self.shake(&mut session);
        self.note(&session);
        outcome
    }

    fn shake(&self, session: &mut Session) -> io::Result<Handshake> {
        loop {
            match self.send(session) {
                Ok(()) if session.is_secured() => {
                    let shown = session.tls.get().and_then(|tls| tls.peer_certificates()?.first());
                    session.certificate = shown.map(|certificate| Arc::new(Certificate::read(certificate)));
                    return Ok(Handshake::Done);
                }
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Handshake::Wait(Interest::Write)),
                Err(error) => return Err(error),
            }
            let received = if session.tls.get().is_some() { self.receive(session) } else { self.begin(session) };
            match received {
                Ok(_) if self.is_plain.load(Relaxed) => return Ok(Handshake::Plain),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    session.handshake += count;
                    if session.handshake > MOST_HANDSHAKE {
                        let text = format!("expected a handshake of at most {MOST_HANDSHAKE} bytes");
                        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Handshake::Wait(Interest::Read)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the client's first bytes, which say whether it speaks TLS; how many came.
    ///
    /// They are the first that are read at all: nothing that came in the clear before can pass for something that came over TLS.
    fn begin(&self, session: &mut Session) -> io::Result<usize> {
        let Begun::Not { config, allows_plain } = &session.tls else { return Ok(0) };
        let mut first = vec![0; FIRST_READ];
        let count = self.socket().try_read(&mut first)?;
        first.truncate(count);
        match first.first() {
            None => {}
            Some(&HANDSHAKE_RECORD) => {
                let mut tls: Tls = ServerConnection::new(Arc::clone(config)).map_err(carried)?.into();
                tls.set_buffer_limit(Some(MOST_OWED));
                (session.tls, session.raw) = (Begun::Yes(Box::new(tls)), first);
            }
            Some(_) if *allows_plain => {
                session.raw = first;
                self.is_plain.store(true, Relaxed);
            }
            Some(_) => return Err(carried(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType))),
        }
        Ok(count)
    }

    /// What the other side has shown in the handshake. A client that was not asked shows nothing.
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        self.session().certificate.clone()
    }

    /// The cipher suite that the two have agreed on, by the name that the IANA has for it.
    pub fn cipher_suite(&self) -> Option<String> {
        let suite = self.session().tls.get()?.negotiated_cipher_suite()?;
        Some(format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1))
    }

    fn socket(&self) -> &dyn SocketTransport {
        self.socket.as_deref().expect("it is taken in the end alone")
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For those who look without the lock: a hint, and every act looks again.
    fn note(&self, session: &Session) {
        self.is_owing.store(session.tls.get().is_some_and(|tls| tls.wants_write()), Relaxed);
        self.has_more.store(session.at < session.raw.len() || session.has_something(), Relaxed);
    }

    /// Sends what TLS has to say.
    fn send(&self, session: &mut Session) -> io::Result<()> {
        let Begun::Yes(tls) = &mut session.tls else { return Ok(()) };
        while tls.wants_write() {
            tls.write_tls(&mut Socket(self.socket()))?;
        }
        Ok(())
    }

    /// Takes in some of what the other side has sent; how many bytes that were, 0 at the end of the socket.
    fn receive(&self, session: &mut Session) -> io::Result<usize> {
        if session.at < session.raw.len() {
            let Session { tls: Begun::Yes(tls), raw, at, .. } = &mut *session else { return Ok(0) };
            let count = tls.read_tls(&mut &raw[*at..])?;
            *at += count;
            if *at == raw.len() {
                // Idle connections keep no memory.
                (*raw, *at) = (Vec::new(), 0);
            }
            self.process(session)?;
            return Ok(count);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let Begun::Yes(tls) = &mut session.tls else { return Ok(0) };
            let came = self.socket().try_read(scratch)?;
            let mut rest = &scratch[..came];
            let count = tls.read_tls(&mut rest)?;
            session.has_peer_ended |= came == 0;
            session.raw.extend_from_slice(rest);
            self.process(session)?;
            Ok(count)
        })
    }

    fn process(&self, session: &mut Session) -> io::Result<()> {
        let Begun::Yes(tls) = &mut session.tls else { return Ok(()) };
        let outcome = tls.process_new_packets();
        session.has_peer_ended |= outcome.as_ref().is_ok_and(|state| state.peer_has_closed());
        outcome.map(drop).map_err(|error| {
            session.failed = Some(error.clone());
            // The other side is told why, if there is room for that.
            let _ = self.send(session);
            carried(error)
        })
    }

    /// Reads as much as there is and fits.
    fn read(&self, session: &mut Session, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            let Begun::Yes(tls) = &mut session.tls else { return Err(io::ErrorKind::WouldBlock.into()) };
            let outcome = match tls.reader().read(&mut buf[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match &session.failed {
                    Some(error) => Err(carried(error.clone())),
                    None => match self.receive(session) {
                        Ok(_) => continue,
                        Err(error) => Err(error),
                    },
                },
                // In our own words: the text of rustls is for programmers.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(io::ErrorKind::UnexpectedEof.into()),
                outcome => outcome,
            };
            match outcome {
                Ok(count @ 1..) => filled += count,
                // It comes again with the next read.
                _ if filled > 0 => break,
                other => return other,
            }
        }
        Ok(filled)
    }

    fn read_plain(&self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.has_more() {
            return self.socket().try_read(buf);
        }
        let mut session = self.session();
        let rest = &session.raw[session.at..];
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        session.at += count;
        if session.at == session.raw.len() {
            (session.raw, session.at) = (Vec::new(), 0);
        }
        self.note(&session);
        Ok(count)
    }

    fn end(&self, session: &mut Session) {
        if !session.is_secured() {
            // Whoever goes in the middle of a handshake has nothing to end.
            session.is_ending = true;
            return;
        }
        if let Begun::Yes(tls) = &mut session.tls
            && !session.is_ending
        {
            session.is_ending = true;
            tls.send_close_notify();
        }
        // What does not fit now goes with the next flush.
        let _ = self.send(session);
    }
}

impl Begun {
    fn get(&self) -> Option<&Tls> {
        match self {
            Self::Yes(tls) => Some(tls),
            Self::Not { .. } => None,
        }
    }
}

impl Session {
    fn is_secured(&self) -> bool {
        self.tls.get().is_some_and(|tls| !tls.is_handshaking())
    }

    /// What TLS has to say and has not said.
    fn unsent(&mut self) -> Vec<u8> {
        let mut unsent = Vec::new();
        if let Begun::Yes(tls) = &mut self.tls {
            // A vector takes all.
            while tls.wants_write() && tls.write_tls(&mut unsent).is_ok() {}
        }
        unsent
    }

    /// True if a read finds something without the socket: bytes, the announced end, or an error.
    fn has_something(&self) -> bool {
        self.failed.is_some() || self.tls.get().is_some_and(|tls| !tls.is_handshaking() && !tls.wants_read())
    }
}

/// The side of the socket that TLS writes to.
struct Socket<'a>(&'a dyn SocketTransport);

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ByteTransport for TlsTransport {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.is_plain.load(Relaxed) {
            return self.read_plain(buf);
        }
        let mut session = self.session();
        let outcome = self.read(&mut session, buf);
        // What was taken earlier, and answers of TLS itself. That it does not fit, or is of no use any more, is for who writes.
        let _ = self.send(&mut session);
        self.note(&session);
        if outcome.as_ref().is_ok_and(|count| *count == buf.len()) {
            self.has_more.store(true, Relaxed);
        }
        outcome
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_plain.load(Relaxed) {
            return self.socket().try_write(slices);
        }
        let mut session = self.session();
        if session.is_ending {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if session.greets && session.tls.get().is_none() {
            return self.socket().try_write(slices);
        }
        self.send(&mut session)?;
        if !session.is_secured() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let Begun::Yes(tls) = &mut session.tls else { return Err(io::ErrorKind::WouldBlock.into()) };
        let count = tls.writer().write_vectored(slices)?;
        let sent = self.send(&mut session);
        self.note(&session);
        match sent {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }

    fn shutdown(&self) {
        self.is_shut.store(true, Relaxed);
        self.end(&mut self.session());
        self.socket().shutdown();
    }
}

impl Transport for TlsTransport {
    fn wait_ready(&self, interest: Interest, timeout: Option<Duration>) -> io::Result<bool> {
        if interest != Interest::Write && self.has_more() {
            return Ok(true);
        }
        let interest = match interest {
            Interest::Read if self.is_owing.load(Relaxed) => Interest::ReadWrite,
            other => other,
        };
        wait_ready(self.socket(), interest, timeout)
    }

    fn arm_reading(&self) -> io::Result<Armed<'_>> {
        // What has come already shows in no descriptor.
        if self.has_more() {
            return Ok(Armed::ready());
        }
        Ok(Armed { wants_room: self.is_owing.load(Relaxed), ..Armed::of(self.socket().as_fd()) })
    }

    fn into_async(self: Box<Self>) -> io::Result<Box<dyn AsyncStream>> {
        Ok(Box::new(TlsStream::new(self)?))
    }

    fn end_writing(&self) -> io::Result<()> {
        if self.is_plain.load(Relaxed) {
            return self.socket().end_writing();
        }
        let mut session = self.session();
        self.end(&mut session);
        self.note(&session);
        Ok(())
    }

    fn try_flush(&self) -> io::Result<()> {
        if !self.is_owing.load(Relaxed) {
            return Ok(());
        }
        let mut session = self.session();
        let outcome = self.send(&mut session);
        self.note(&session);
        outcome
    }

    fn has_more(&self) -> bool {
        self.has_more.load(Relaxed)
    }
}

impl AsFd for TlsTransport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl Drop for TlsTransport {
    fn drop(&mut self) {
        self.end(&mut self.session());
        let session = self.session.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(socket) = self.socket.take() else { return };
        if !session.is_secured() || *self.is_shut.get_mut() {
            // What came unread is taken, so that whoever is told why hears it.
            drain(&*socket);
            return;
        }
        let rest = session.unsent();
        if !rest.is_empty() || !session.has_peer_ended {
            linger(socket, rest);
        }
    }
}

fn drain(socket: &dyn SocketTransport) {
    let mut unread = [0; 4096];
    for _ in 0..MOST_UNREAD {
        if !matches!(socket.try_read(&mut unread), Ok(1..)) {
            return;
        }
    }
}
