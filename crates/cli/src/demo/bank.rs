//! A bank: one of two in a queue group, over one ledger and the accounts that both share.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{
    accounts::{Accounts, Outcome},
    ledger::Ledger,
    place::Place,
    wire::{APPLIED, BANKS, Receipt, STATUS_EVERY, TRANSFER, Transfer, connect, tell},
};
use crate::exit::Failure;

pub(super) fn run(directory: &Path, index: usize, is_locked: bool) -> Result<(), Failure> {
    let part = format!("bank-{index}");
    let accounts = Accounts::open(&Place::of(directory)?, is_locked, &part)?;
    let mut ledger = Ledger::open(&directory.join("ledger"))?;
    let client = connect(directory, &part, false)?;
    let mut requests = client.queue_subscribe(TRANSFER, BANKS)?;
    let (mut applied, mut repeated) = (0u64, 0u64);
    let mut told = Instant::now();
    loop {
        match requests.next_timeout(Duration::from_millis(100)) {
            Ok(None) => return Ok(()),
            Ok(Some(request)) => {
                let (Ok(transfer), Some(to)) = (serde_json::from_slice::<Transfer>(&request.payload), request.reply)
                else {
                    continue;
                };
                let outcome = accounts.transfer(&mut ledger, &transfer)?;
                if outcome == Outcome::Busy {
                    // Without an answer the client asks again.
                    continue;
                }
                let is_new = outcome == Outcome::Applied;
                applied += u64::from(is_new);
                repeated += u64::from(!is_new);
                let receipt = serde_json::to_vec(&Receipt { id: transfer.id, repeated: !is_new, bank: index });
                // If the answer is lost, the client asks again and is told that it was done.
                let _ = client.publish(to, receipt.expect("plain values have a JSON form"));
                if is_new {
                    let _ = client.publish(APPLIED, request.payload);
                }
            }
            // Nothing to do for a while.
            Err(_) => {}
        }
        if told.elapsed() >= STATUS_EVERY {
            told = Instant::now();
            tell(&client, &part, applied, format!("{repeated} requests answered again"));
        }
    }
}
