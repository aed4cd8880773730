//! How many descriptors a process that is to be killed has open.

use std::fs;

pub(super) fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}
