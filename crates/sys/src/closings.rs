//! Being told when somebody lets go of a file, in whatever process and however that came: inotify.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch},
    io::Errno,
};

/// Files that are watched for the end of open file descriptions. The descriptor is readable once there was one.
///
/// It wakes, it never decides: an end is told a moment *before* the kernel lets go of the locks that the description had, and whose it was is not
/// told at all. Not every file system tells.
#[derive(Debug)]
pub struct Closings(OwnedFd);

/// Room for what is told at a time. An event of a file that is watched itself has no name and is 16 bytes.
const ROOM: usize = 1024;

impl Closings {
    /// One that watches nothing.
    ///
    /// # Errors
    ///
    /// The operating system's: a user may have some hundred of them at a time, usually 128.
    pub fn new() -> io::Result<Self> {
        Ok(Self(init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?))
    }

    /// Watches a file from now on, for the end of descriptions that were open for writing; the number that [`take`](Self::take) gives. Watched once
    /// more, a file keeps its number.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn watch(&self, file: impl AsFd) -> io::Result<i32> {
        // The link leads to the file itself, whether or not it has a name.
        let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
        Ok(add_watch(&self.0, path, WatchFlags::CLOSE_WRITE)?)
    }

    /// Watches it no longer. That its number is not known is no error.
    pub fn forget(&self, number: i32) {
        let _ = remove_watch(&self.0, number);
    }

    /// The numbers of the files that somebody has let go of since the last time, not in order; `None` if there were too many to tell, and it may be all. Does not wait.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn take(&self) -> io::Result<Option<Vec<i32>>> {
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut reader = Reader::new(&self.0, &mut room);
        let mut numbers = Some(Vec::new());
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => numbers = None,
                Ok(event) if event.events().contains(ReadFlags::CLOSE_WRITE) => {
                    if let Some(numbers) = &mut numbers
                        && !numbers.contains(&event.wd())
                    {
                        numbers.push(event.wd());
                    }
                }
                // That a file is watched no longer.
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(numbers),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Closings {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::sealed_memory;

    fn another(file: impl AsFd) -> File {
        File::options().read(true).write(true).open(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())).unwrap()
    }

    #[test]
    fn an_end_of_a_description_is_told_with_its_file_and_nothing_else_is() {
        let closings = Closings::new().unwrap();
        let (memory, other) = (sealed_memory("closings", 4096).unwrap(), sealed_memory("other", 4096).unwrap());
        let numbers = [closings.watch(&memory).unwrap(), closings.watch(&other).unwrap()];
        assert_eq!(closings.watch(&memory).unwrap(), numbers[0]);
        let (first, second) = (another(&memory), another(&other));
        let shared = first.try_clone().unwrap();
        drop(first);
        assert_eq!(closings.take().unwrap(), Some(Vec::new()), "the description is still there");
        drop(shared);
        assert_eq!(closings.take().unwrap(), Some(vec![numbers[0]]));
        closings.forget(numbers[1]);
        closings.forget(numbers[1]);
        drop(second);
        assert_eq!(closings.take().unwrap(), Some(Vec::new()), "nobody asked");
    }
}
