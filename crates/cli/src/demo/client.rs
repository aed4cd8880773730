//! The client: customers who move money at random, ask again until they are answered, and note each answer.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use crosstie::blocking::Client;

use super::wire::{ACCOUNTS, Receipt, STATUS_EVERY, TRANSFER, Transfer, connect, tell};
use crate::exit::Failure;

/// So many at a time, so that both banks have something to do, and something to wait for.
const CUSTOMERS: usize = 4;
/// Between two attempts: the broker or both banks are just being started again.
const BETWEEN: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    again: AtomicU64,
}

pub(super) fn run(directory: &Path) -> Result<(), Failure> {
    let client = connect(directory, "client", false)?;
    let answered = OpenOptions::new().append(true).create(true).open(directory.join("answered"))?;
    // A client that is started again must not use the ids of its predecessor.
    let life = fastrand::u64(..);
    let counts = Arc::new(Counts::default());
    let mut customers = Vec::new();
    for number in 0..CUSTOMERS {
        let (client, answered, counts) = (client.clone(), answered.try_clone()?, Arc::clone(&counts));
        let prefix = format!("{life:016x}-{number}");
        customers.push(thread::spawn(move || serve(&client, &prefix, answered, &counts)));
    }
    loop {
        thread::sleep(STATUS_EVERY);
        let note = format!("{} requests sent again", counts.again.load(Relaxed));
        tell(&client, "client", counts.answered.load(Relaxed), note);
        if let Some(at) = customers.iter().position(thread::JoinHandle::is_finished) {
            return Ok(customers.swap_remove(at).join().expect("a customer does not panic")?);
        }
    }
}

/// One customer, who ends only if an answer cannot be noted.
fn serve(client: &Client, prefix: &str, mut answered: File, counts: &Counts) -> io::Result<()> {
    for count in 0_u64.. {
        let from = fastrand::usize(..ACCOUNTS);
        let to = (from + 1 + fastrand::usize(..ACCOUNTS - 1)) % ACCOUNTS;
        let transfer = Transfer { id: format!("{prefix}-{count}"), from, to, cents: fastrand::i64(1..10_000) };
        let request = serde_json::to_vec(&transfer).expect("plain values have a JSON form");
        loop {
            let answer = client.request(TRANSFER, request.clone()).timeout(Duration::from_millis(500)).send();
            match answer.map(|answer| serde_json::from_slice::<Receipt>(&answer.payload)) {
                Ok(Ok(receipt)) if receipt.id == transfer.id => break,
                // Whatever it was, the id makes it safe to ask again.
                _ => {
                    counts.again.fetch_add(1, Relaxed);
                    thread::sleep(BETWEEN);
                }
            }
        }
        // One write, so that a kill leaves a whole line or none that ends.
        answered.write_all(format!("{}\n", transfer.id).as_bytes())?;
        counts.answered.fetch_add(1, Relaxed);
    }
    Ok(())
}
