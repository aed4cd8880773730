//! LMDB: one write transaction that changes 64 bytes, in memory and never synced.
//!
//! It frees its lock and undoes what was not committed when a writer dies, as our regions do, and survives a restart on top of that.

use std::time::Instant;

use ::lmdb::{DatabaseFlags, Environment, EnvironmentFlags, Transaction, WriteFlags};

use crate::case::{Failure, Place, Rounds};

pub(crate) fn transaction(place: &Place<'_>) -> Result<Rounds, Failure> {
    let environment = Environment::new()
        .set_flags(EnvironmentFlags::NO_SYNC | EnvironmentFlags::WRITE_MAP | EnvironmentFlags::NO_META_SYNC)
        .set_map_size(1 << 24)
        .open(place.folder)?;
    let database = environment.create_db(None, DatabaseFlags::empty())?;
    let mut value = [0_u8; 64];
    Ok(Box::new(move |count| {
        let begun = Instant::now();
        for number in 0..count {
            value[..8].copy_from_slice(&number.to_le_bytes());
            let mut transaction = environment.begin_rw_txn()?;
            transaction.put(database, b"ledger", &value, WriteFlags::empty())?;
            transaction.commit()?;
        }
        Ok(begun.elapsed())
    }))
}
