//! The auditor: hears what the banks say on `bank.>` and keeps books of its own.

use std::{
    collections::HashSet,
    path::Path,
    time::{Duration, Instant},
};

use super::wire::{APPLIED, STATUS_EVERY, Transfer, connect, tell};
use crate::exit::Failure;

pub(super) fn run(directory: &Path) -> Result<(), Failure> {
    let client = connect(directory, "auditor", true)?;
    let mut news = client.subscribe("bank.>")?;
    let mut ids = HashSet::new();
    let (mut twice, mut cents) = (0u64, 0i64);
    let mut told = Instant::now();
    loop {
        match news.next_timeout(Duration::from_millis(100)) {
            Ok(None) => return Ok(()),
            Ok(Some(message)) if message.subject.as_str() == APPLIED => {
                if let Ok(transfer) = serde_json::from_slice::<Transfer>(&message.payload) {
                    cents += transfer.cents;
                    twice += u64::from(!ids.insert(transfer.id));
                }
            }
            Ok(Some(_)) | Err(_) => {}
        }
        if told.elapsed() >= STATUS_EVERY {
            told = Instant::now();
            tell(
                &client,
                "auditor",
                ids.len() as u64,
                format!("{}.{:02} moved, {twice} told twice", cents / 100, cents % 100),
            );
        }
    }
}
