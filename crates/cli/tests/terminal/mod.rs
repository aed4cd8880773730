//! A terminal for a command to write to.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{fs::File, io::Read, os::fd::OwnedFd};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// What is seen on a terminal of so many columns, and its other end, which is the command's.
pub(crate) fn terminal(columns: u16) -> (File, OwnedFd) {
    let seen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&seen).unwrap();
    unlockpt(&seen).unwrap();
    tcsetwinsize(&seen, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&seen, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    (File::from(seen), rustix::fs::open(name, flags, Mode::empty()).unwrap())
}

/// Everything that was shown, once nobody has the other end any more.
pub(crate) fn read_all(mut seen: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    // When the other end is closed, the terminal ends with an error. Linux looks first whether something came and then whether the other end is
    // closed; what is written and closed in between, which a busy machine gives time for, is there only for who reads once more.
    for _ in 0..2 {
        let _ = seen.read_to_end(&mut bytes);
    }
    bytes
}
