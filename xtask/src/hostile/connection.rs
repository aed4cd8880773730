//! A connection as text goes over it, for those who speak the protocol by hand.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an honest client waits for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A message that came.
pub(super) struct Message {
    pub(super) reply: Option<String>,
    pub(super) payload: Vec<u8>,
}

/// One side of a connection reads, the other may be given to another thread to write.
pub(super) struct Connection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Connection {
    /// Connects and introduces itself, as `honest` if a password is needed.
    pub(super) fn open(port: u16, with_password: bool) -> io::Result<Self> {
        let writer = TcpStream::connect(("127.0.0.1", port))?;
        writer.set_nodelay(true)?;
        writer.set_read_timeout(Some(PATIENCE))?;
        writer.set_write_timeout(Some(PATIENCE))?;
        let mut connection = Self { reader: BufReader::with_capacity(4096, writer.try_clone()?), writer };
        let credentials = if with_password { ",\"user\":\"honest\",\"pass\":\"h\"" } else { "" };
        connection.say(&format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true{credentials}}}\r\nPING\r\n"
        ))?;
        connection.wait_for("PONG")?;
        Ok(connection)
    }

    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(text.as_bytes())
    }

    /// Waits until everything said so far has been taken in.
    pub(super) fn fence(&mut self) -> io::Result<()> {
        self.say("PING\r\n")?;
        self.wait_for("PONG")
    }

    fn wait_for(&mut self, word: &str) -> io::Result<()> {
        while !self.line()?.starts_with(word) {}
        Ok(())
    }

    /// Where to write from another thread.
    pub(super) fn writer(&self) -> io::Result<TcpStream> {
        self.writer.try_clone()
    }

    /// The next message.
    pub(super) fn message(&mut self) -> io::Result<Message> {
        loop {
            let line = self.line()?;
            if line.starts_with("PING") {
                self.say("PONG\r\n")?;
            }
            let Some(words) = line.strip_prefix("MSG ") else { continue };
            let words: Vec<&str> = words.split_whitespace().collect();
            let (reply, size) = match words.as_slice() {
                [_, _, size] => (None, size),
                [_, _, reply, size] => (Some((*reply).to_owned()), size),
                _ => return Err(io::Error::other(format!("cannot read '{line}'"))),
            };
            let size: usize = size.parse().map_err(io::Error::other)?;
            let mut payload = vec![0; size + 2];
            self.reader.read_exact(&mut payload)?;
            payload.truncate(size);
            return Ok(Message { reply, payload });
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.starts_with("-ERR") {
            return Err(io::Error::other(line.trim_end().to_owned()));
        }
        Ok(line)
    }
}
