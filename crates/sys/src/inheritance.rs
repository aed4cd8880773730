//! What a child is given when it starts, and how it ends with its parent.

use std::{
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
};

use rustix::io::fcntl_dupfd_cloexec;

/// The first number that a child finds something under. Below are those that programs expect to be something else, and those that the standard
/// library uses for a moment while it starts a child.
const FIRST: i32 = 64;

/// Descriptors for a child, each under a number that is known before it starts, so that it can be told by an argument or in its environment. It
/// takes them by [`inherited`](crate::inherited). No other child gets them.
#[derive(Default)]
pub struct Inheritance {
    descriptors: Vec<OwnedFd>,
    dies_with_parent: bool,
}

impl Inheritance {
    /// Nothing, for a child that may live on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a copy of `descriptor`; says under which number.
    ///
    /// # Errors
    ///
    /// The operating system's, mostly for want of descriptors.
    pub fn give(&mut self, descriptor: impl AsFd) -> io::Result<u32> {
        let copy = fcntl_dupfd_cloexec(descriptor, FIRST)?;
        let number = copy.as_raw_fd().unsigned_abs();
        self.descriptors.push(copy);
        Ok(number)
    }

    /// Has the kernel kill the child when the *thread* that calls [`Inheritance::spawn`] ends, and with it at the latest when the process does,
    /// however that comes. Whoever starts it from a thread that lives as long as the process has a child that dies with the process. It does not
    /// hold for programs that change their user when they start (set-user-ID): the kernel lets go of those.
    pub const fn die_with_parent(&mut self) {
        self.dies_with_parent = true;
    }

    /// Starts `command` with all of that.
    ///
    /// # Errors
    ///
    /// As [`Command::spawn`].
    pub fn spawn(self, mut command: Command) -> io::Result<Child> {
        let Self { descriptors, dies_with_parent } = self;
        let parent = std::process::id();
        let prepare = move || {
            for descriptor in &descriptors {
                // SAFETY: a plain system call on a number that `descriptors` keeps open.
                if unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_SETFD, 0) } < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            if dies_with_parent {
                // SAFETY: plain system calls that take numbers.
                let parent_now = unsafe {
                    if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0 {
                        return Err(io::Error::last_os_error());
                    }
                    libc::getppid()
                };
                // It may have died before that was asked for.
                if parent_now.unsigned_abs() != parent {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
            }
            Ok(())
        };
        // SAFETY: between fork and exec `prepare` makes system calls alone: it allocates nothing, takes no lock, and makes an error of a number.
        unsafe { command.pre_exec(prepare) };
        command.spawn()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, process::Stdio};

    use super::*;

    fn shell(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]).stdout(Stdio::piped());
        command
    }

    fn output(mut child: Child) -> String {
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        child.wait().unwrap();
        text
    }

    #[test]
    fn a_child_finds_what_it_was_given_and_no_other_child_does() {
        let (reader, writer) = io::pipe().unwrap();
        let mut inheritance = Inheritance::new();
        let number = inheritance.give(&writer).unwrap();
        drop(writer);
        let ask = format!("test -e /proc/self/fd/{number} && echo there || echo missing");
        assert_eq!(output(shell(&ask).spawn().unwrap()), "missing\n");
        assert_eq!(output(inheritance.spawn(shell(&ask)).unwrap()), "there\n");
        // Nobody holds the writer any more, neither the children nor this process.
        let mut rest = Vec::new();
        { reader }.read_to_end(&mut rest).unwrap();
    }

    #[test]
    fn a_child_dies_with_the_thread_that_has_started_it_if_asked_to() {
        let start = |dies: bool| {
            std::thread::spawn(move || {
                let mut inheritance = Inheritance::new();
                if dies {
                    inheritance.die_with_parent();
                }
                inheritance.spawn(shell("exec sleep 3")).unwrap()
            })
            .join()
            .unwrap()
        };
        let begun = std::time::Instant::now();
        assert_eq!(start(true).wait().unwrap().code(), None, "it was killed");
        assert!(begun.elapsed().as_secs() < 3);
        let mut other = start(false);
        assert!(other.try_wait().unwrap().is_none(), "it lives on");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn what_cannot_be_started_is_told() {
        let mut inheritance = Inheritance::new();
        inheritance.die_with_parent();
        inheritance.give(io::stderr()).unwrap();
        let error = inheritance.spawn(Command::new("/nonexistent/program")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
