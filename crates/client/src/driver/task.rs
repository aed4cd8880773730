//! The driver for async programs: one tokio task.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::Notify,
    time::timeout,
};

use super::{READ_BUFFER, carrier::Carrier, ended, no_answer, told, unreachable};
use crate::{session::Act, shared::Shared};

/// With less room than this for the next read, a new piece is begun.
const MIN_ROOM: usize = 32 * 1024;

struct Wire {
    reader: ReadHalf<Carrier>,
    writer: WriteHalf<Carrier>,
    input: BytesMut,
    output: Vec<u8>,
    written: usize,
    /// Something was written since the last flush: TLS may have kept some of it.
    is_unsent: bool,
}

impl Wire {
    fn new(stream: Carrier) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader, writer, input: BytesMut::new(), output: Vec::new(), written: 0, is_unsent: false }
    }
}

/// Runs until the session ends.
pub(crate) async fn run(shared: Arc<Shared>, bell: Arc<Notify>) {
    let connect_timeout = shared.session().options().connect_timeout;
    let mut wire: Option<Wire> = None;
    loop {
        shared.silence();
        match shared.poll() {
            Act::End => return finish(&shared, wire).await,
            Act::HangUp => {
                wire = None;
                shared.lost(no_answer());
            }
            Act::Dial(target) => {
                let connected = tokio::select! {
                    connected = timeout(connect_timeout, Carrier::connect(&target)) => connected,
                    () = closed(&shared, &bell) => continue,
                };
                match connected {
                    Ok(Ok(stream)) => {
                        wire = Some(Wire::new(stream));
                        let now = shared.now();
                        shared.session().dialed(now);
                    }
                    Ok(Err(error)) => shared.lost(unreachable(&target, error)),
                    Err(_) => shared.lost(unreachable(&target, std::io::ErrorKind::TimedOut.into())),
                }
            }
            Act::Secure(name) => {
                let Some(plain) = wire.take() else { continue };
                // What came in the clear is left behind with the rest of it.
                let stream = plain.reader.unsplit(plain.writer);
                let secured = tokio::select! {
                    secured = timeout(connect_timeout, stream.secure(&shared, &name)) => secured,
                    () = closed(&shared, &bell) => continue,
                };
                match secured {
                    Ok(Ok(stream)) => {
                        wire = Some(Wire::new(stream));
                        shared.session().secured();
                    }
                    Ok(Err(error)) => shared.lost(error),
                    Err(_) => shared.lost(no_answer()),
                }
            }
            Act::Wait(until) => {
                let left = until.since(shared.now()).min(Duration::from_secs(3600));
                let Some(connected) = &mut wire else {
                    tokio::select! {
                        () = bell.notified() => {}
                        () = tokio::time::sleep(left) => {}
                    }
                    continue;
                };
                if let Err(error) = carry(&shared, &bell, connected, left).await {
                    wire = None;
                    shared.lost(error);
                }
            }
        }
    }
}

/// Waits until the session is closed; whatever else a user does has to wait for the connection anyway.
async fn closed(shared: &Shared, bell: &Notify) {
    loop {
        shared.silence();
        if shared.session().is_closed() {
            return;
        }
        bell.notified().await;
    }
}

/// Waits for the bell: any of them, or while something is being written only one that the session is closed. More output has to wait for the
/// write anyway.
async fn called(shared: &Shared, bell: &Notify, writing: bool) {
    loop {
        bell.notified().await;
        shared.silence();
        if !writing || shared.session().is_closed() {
            return;
        }
    }
}

/// Reads or writes once, or waits until there is something to do.
async fn carry(shared: &Shared, bell: &Notify, wire: &mut Wire, left: Duration) -> crosstie_core::Result<()> {
    if wire.written == wire.output.len() {
        wire.output.clear();
        wire.written = 0;
        shared.session().take_output(&mut wire.output);
    }
    let pending = wire.written < wire.output.len();
    // Most reads are small: they go into what is left of the last piece, and a message that is kept long keeps no piece of its own alive.
    if wire.input.capacity() - wire.input.len() < MIN_ROOM {
        wire.input.reserve(READ_BUFFER);
    }
    tokio::select! {
        read = wire.reader.read_buf(&mut wire.input) => match read.map_err(told)? {
            0 => Err(ended()),
            _ => shared.received(&mut wire.input),
        },
        written = write_or_flush(&mut wire.writer, &wire.output[wire.written..]), if pending || wire.is_unsent => {
            wire.written += written.map_err(told)?;
            wire.is_unsent = pending;
            Ok(())
        }
        () = called(shared, bell, pending) => Ok(()),
        () = tokio::time::sleep(left) => Ok(()),
    }
}

/// Writes some, or sends on what is kept if there is nothing to write; how much was written.
async fn write_or_flush(writer: &mut WriteHalf<Carrier>, bytes: &[u8]) -> std::io::Result<usize> {
    if bytes.is_empty() { writer.flush().await.map(|()| 0) } else { writer.write(bytes).await }
}

/// Writes what is left, within a second.
async fn finish(shared: &Shared, wire: Option<Wire>) {
    let Some(mut wire) = wire else { return };
    let mut rest = wire.output.split_off(wire.written);
    let mut more = Vec::new();
    shared.session().take_output(&mut more);
    rest.append(&mut more);
    let goodbye = async {
        wire.writer.write_all(&rest).await?;
        wire.writer.shutdown().await
    };
    // The server may be gone already; nobody is left to be told.
    let _ = timeout(Duration::from_secs(1), goodbye).await;
}
