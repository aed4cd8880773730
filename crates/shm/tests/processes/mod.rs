//! Processes that do what a test tells them, and die when it says so.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use crosstie_core::Deadline;
use crosstie_shm::{Directory, SegmentName, deadline_after};

/// No wait of a test that is well takes so long.
pub(crate) fn soon() -> Deadline {
    deadline_after(Duration::from_secs(60))
}

pub(crate) fn place() -> (tempfile::TempDir, Directory) {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::at(folder.path().join("segments")).unwrap();
    (folder, directory)
}

pub(crate) fn name(text: &str) -> SegmentName {
    text.parse().unwrap()
}

/// Another process that runs the test `actor` of the same program, told what to do line by line.
pub(crate) struct Other {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Other {
    pub(crate) fn start(directory: &Directory) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["actor", "--exact", "--nocapture", "--ignored"])
            .env("ACTOR_DIRECTORY", directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, orders, answers }
    }

    #[allow(dead_code, reason = "not every test that has processes needs it")]
    pub(crate) fn ask(&mut self, order: &str) -> String {
        self.tell(order);
        self.hear()
    }

    /// Its next answer.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "the other process ended");
            if let Some(answer) = line.trim_end().strip_prefix("> ") {
                return answer.to_owned();
            }
        }
    }

    /// Tells it what to do, and does not wait for it.
    pub(crate) fn tell(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// True if it is stopped, as the kernel says.
    #[allow(dead_code, reason = "not every test that has processes needs it")]
    pub(crate) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name before the state is in parentheses and may hold any.
        stat.rsplit_once(") ").unwrap().1.starts_with('T')
    }

    /// Waits until it has stopped itself.
    #[allow(dead_code, reason = "not every test that has processes needs it")]
    pub(crate) fn wait_until_stopped(&self) {
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while !self.is_stopped() {
            assert!(std::time::Instant::now() < until, "the other process does not stop");
            std::thread::yield_now();
        }
    }

    #[allow(dead_code, reason = "not every test that has processes needs it")]
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
