//! A network of one's own: suites with fixed ports run where nobody else listens.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// How a process is set apart, the best first. With a process namespace nothing that a suite starts outlives it.
const WAYS: [&[&str]; 3] = [
    &["--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
    &["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
    &["--net"],
];

/// Brings loopback up, with or without iproute2, and becomes the command.
const ENTER: &str = "ip link set lo up 2>/dev/null || python3 -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack(\"16sH14x\", b\"lo\", 65))' || exit 125
exec \"$@\"";

/// A network namespace that this machine allows.
#[derive(Clone, Copy)]
pub(super) struct Namespace(&'static [&'static str]);

impl Namespace {
    /// The best that this machine allows, or none.
    pub(super) fn find() -> Option<Self> {
        WAYS.into_iter().map(Self).find(|namespace| {
            let mut probe = namespace.command("true");
            probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            probe.status().is_ok_and(|status| status.success())
        })
    }

    /// A command that will run inside a fresh one.
    pub(super) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("unshare");
        command.args(self.0).args(["--", "sh", "-c", ENTER, "sh"]).arg(program);
        command
    }
}
