//! The driver for async programs: one tokio task.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use crosstie_net::{AsyncStream, connect_async};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::Notify,
    time::timeout,
};

use super::{READ_BUFFER, ended, no_answer, unreachable};
use crate::{session::Act, shared::Shared};

/// With less room than this for the next read, a new piece is begun.
const MIN_ROOM: usize = 32 * 1024;

struct Wire {
    reader: ReadHalf<Box<dyn AsyncStream>>,
    writer: WriteHalf<Box<dyn AsyncStream>>,
    input: BytesMut,
    output: Vec<u8>,
    written: usize,
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
                    connected = timeout(connect_timeout, connect_async(&target)) => connected,
                    () = closed(&shared, &bell) => continue,
                };
                match connected {
                    Ok(Ok(stream)) => {
                        let (reader, writer) = tokio::io::split(stream);
                        wire = Some(Wire { reader, writer, input: BytesMut::new(), output: Vec::new(), written: 0 });
                        let now = shared.now();
                        shared.session().dialed(now);
                    }
                    Ok(Err(error)) => shared.lost(unreachable(&target, error)),
                    Err(_) => shared.lost(unreachable(&target, std::io::ErrorKind::TimedOut.into())),
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
        read = wire.reader.read_buf(&mut wire.input) => match read? {
            0 => Err(ended()),
            _ => shared.received(&mut wire.input),
        },
        written = wire.writer.write(&wire.output[wire.written..]), if pending => {
            wire.written += written?;
            Ok(())
        }
        () = called(shared, bell, pending) => Ok(()),
        () = tokio::time::sleep(left) => Ok(()),
    }
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
