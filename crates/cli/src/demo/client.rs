//! The client: moves money at random, asks again until it is answered, and notes each answer.

use std::{
    fs::OpenOptions,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use super::wire::{ACCOUNTS, Receipt, STATUS_EVERY, TRANSFER, Transfer, connect, tell};
use crate::exit::Failure;

/// Between two attempts: the broker or both banks are just being started again.
const BETWEEN: Duration = Duration::from_millis(20);

pub(super) fn run(directory: &Path) -> Result<(), Failure> {
    let client = connect(directory, "client", false)?;
    let mut answered = OpenOptions::new().append(true).create(true).open(directory.join("answered"))?;
    // A client that is started again must not use the ids of its predecessor.
    let life = fastrand::u64(..);
    let (mut count, mut again) = (0u64, 0u64);
    let mut told = Instant::now();
    loop {
        let from = fastrand::usize(..ACCOUNTS);
        let to = (from + 1 + fastrand::usize(..ACCOUNTS - 1)) % ACCOUNTS;
        let transfer = Transfer { id: format!("{life:016x}-{count}"), from, to, cents: fastrand::i64(1..10_000) };
        let request = serde_json::to_vec(&transfer).expect("plain values have a JSON form");
        loop {
            let answer = client.request(TRANSFER, request.clone()).timeout(Duration::from_millis(500)).send();
            match answer.map(|answer| serde_json::from_slice::<Receipt>(&answer.payload)) {
                Ok(Ok(receipt)) if receipt.id == transfer.id => break,
                // Whatever it was, the id makes it safe to ask again.
                _ => {
                    again += 1;
                    std::thread::sleep(BETWEEN);
                }
            }
            if told.elapsed() >= STATUS_EVERY {
                told = Instant::now();
                tell(&client, "client", count, format!("{again} requests sent again"));
            }
        }
        // One write, so that a kill leaves a whole line or none that ends.
        answered.write_all(format!("{}\n", transfer.id).as_bytes())?;
        count += 1;
        if told.elapsed() >= STATUS_EVERY {
            told = Instant::now();
            tell(&client, "client", count, format!("{again} requests sent again"));
        }
    }
}
