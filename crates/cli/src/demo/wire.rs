//! What the parts say to each other, and where.

use std::{fs, io, path::Path, time::Duration};

use crosstie::{ConnectOptions, blocking::Client};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// Requests to move money; the banks share them.
pub(super) const TRANSFER: &str = "bank.transfer";
/// Told by a bank after each transfer it has applied.
pub(super) const APPLIED: &str = "bank.applied";
/// The queue group of the banks.
pub(super) const BANKS: &str = "banks";
/// How a part fares: `demo.status.<part>`.
pub(super) const STATUS: &str = "demo.status";

/// How often a part tells how it fares.
pub(super) const STATUS_EVERY: Duration = Duration::from_millis(200);

/// How many accounts there are, and what each begins with.
pub(super) const ACCOUNTS: usize = 16;
pub(super) const OPENING_CENTS: i64 = 100_000;

/// A transfer of money, under an id that is used once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transfer {
    pub(super) id: String,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) cents: i64,
}

/// What a transfer does to the accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) cents: i64,
}

impl From<&Transfer> for Move {
    fn from(transfer: &Transfer) -> Self {
        // There are no other accounts, whatever came.
        Self { from: transfer.from % ACCOUNTS, to: transfer.to % ACCOUNTS, cents: transfer.cents }
    }
}

/// A bank's answer: the transfer is on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Receipt {
    pub(super) id: String,
    /// It had been applied before; this is the answer to a repetition.
    pub(super) repeated: bool,
    pub(super) bank: usize,
}

/// How a part fares.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) count: u64,
    pub(super) note: String,
}

pub(super) fn socket(directory: &Path) -> std::path::PathBuf {
    directory.join("broker.sock")
}

/// The TCP port that the supervisor has chosen for the broker.
pub(super) fn port(directory: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(directory.join("port"))?.trim().to_owned())
}

/// The Unix socket for most, TCP for the auditor: both lead to the same broker.
pub(super) fn connect(directory: &Path, name: &str, over_tcp: bool) -> Result<Client, Failure> {
    let url = if over_tcp {
        format!("nats://127.0.0.1:{}", port(directory)?)
    } else {
        format!("nats+unix:{}", socket(directory).display())
    };
    let options = ConnectOptions::new().name(name).backoff(Duration::from_millis(10), Duration::from_millis(200));
    Ok(options.request_timeout(Duration::from_secs(2)).retry_on_initial_connect().connect_blocking(&url)?)
}

/// Tells the supervisor. It does not matter if one is lost: the next comes soon.
pub(super) fn tell(client: &Client, part: &str, count: u64, note: String) {
    let status = serde_json::to_vec(&Status { count, note }).expect("plain values have a JSON form");
    let _ = client.publish(format!("{STATUS}.{part}"), status);
}
