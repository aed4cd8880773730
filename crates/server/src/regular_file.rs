//! The one way to read a file that a user names: never waits, never reads more than a stated number of bytes.

use std::{
    fs::{File, FileType, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;

/// The text of the regular file at `path`.
///
/// A reload reads on the thread that hears the signals. A pipe that nobody writes to would keep it waiting, and a
/// device may never end; neither says so by its length, which is 0. So both are refused, whatever they hold.
///
/// # Errors
///
/// What was expected and what is there; else the operating system's reason. It never waits for a writer.
pub(crate) fn read_regular_file(path: &Path, max: u64) -> io::Result<String> {
    // Once by name, because opening a device may set something going; and once what was opened, because the name may
    // stand for something else by then.
    let length = expect_regular(&std::fs::metadata(path)?)?;
    if length > max {
        return Err(refused(format!("it has {length} bytes, expected at most {max}")));
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    expect_regular(&file.metadata()?)?;
    text_of(file, max)
}

/// Some regular files grow while they are read, and those of `/proc` have no length at all.
fn text_of(file: File, max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(refused(format!("it has more than {max} bytes, expected at most that many")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        refused(format!("expected UTF-8 text, found other bytes after {at} bytes"))
    })
}

/// The length that it states.
fn expect_regular(metadata: &Metadata) -> io::Result<u64> {
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    Err(refused(format!("expected a regular file, found {}", kind(metadata.file_type()))))
}

fn kind(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    }
}

fn refused(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process, sync::mpsc, thread, time::Duration};

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    /// Fails instead of waiting for ever.
    fn read(path: &Path) -> Result<String, String> {
        let (told, result) = mpsc::channel();
        let path = path.to_owned();
        thread::spawn(move || told.send(read_regular_file(&path, 8).map_err(|error| error.to_string())));
        result.recv_timeout(Duration::from_secs(20)).expect("it waited for what never ends")
    }

    #[test]
    fn what_may_never_end_is_refused_by_its_kind() {
        let pipe = env::temp_dir().join(format!("crosstie-regular-pipe-{}", process::id()));
        let _ = fs::remove_file(&pipe);
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(read(&pipe).unwrap_err(), "expected a regular file, found a pipe");
        fs::remove_file(&pipe).unwrap();
        assert_eq!(read(&env::temp_dir()).unwrap_err(), "expected a regular file, found a folder");
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err(), "expected a regular file, found a device");
    }

    #[test]
    fn no_more_is_read_than_is_allowed_whatever_length_is_stated() {
        let path = env::temp_dir().join(format!("crosstie-regular-{}", process::id()));
        fs::write(&path, "12345678").unwrap();
        assert_eq!(read(&path).unwrap(), "12345678");
        fs::write(&path, "123456789").unwrap();
        assert_eq!(read(&path).unwrap_err(), "it has 9 bytes, expected at most 8");
        // As if it had grown after its length was asked for.
        let grown = text_of(File::open(&path).unwrap(), 8).unwrap_err();
        assert_eq!(grown.to_string(), "it has more than 8 bytes, expected at most that many");
        fs::write(&path, b"1\xff").unwrap();
        assert_eq!(read(&path).unwrap_err(), "expected UTF-8 text, found other bytes after 1 bytes");
        fs::remove_file(&path).unwrap();
    }
}
