//! Which level a token leads to from another: one flat table for the whole index, in shards.
//!
//! A shard is locked for as long as one entry takes to find, to put in or to take out, and what goes in has been put together before. So
//! whoever searches seldom meets with one that is held, however busily others change the index; and that matters because a thread may be
//! put aside for milliseconds just then.

use std::{
    hash::{BuildHasher, Hasher},
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::level::Level;

/// How many parts are locked by themselves.
const SHARDS: usize = 64;

/// The table.
pub(super) struct Edges {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

/// Apart from its neighbours, so that two reactors that take two locks do not pass one cache line to and fro.
#[derive(Default)]
#[repr(align(64))]
struct Shard(RwLock<HashTable<Edge>>);

struct Edge {
    from: u64,
    token: Box<[u8]>,
    to: Arc<Level>,
}

/// What came of adding a level.
pub(super) enum Grown {
    New(Arc<Level>),
    /// Somebody else has added it.
    Known(Arc<Level>),
    /// The level from which it should lead is gone.
    TooLate,
}

impl Edges {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), hasher: RandomState::default() }
    }

    /// Where `token` leads from the level with the id `from`.
    pub(super) fn get(&self, from: u64, token: &[u8]) -> Option<Arc<Level>> {
        let hash = self.hash(from, token);
        let shard = self.shard(hash).0.read().unwrap_or_else(PoisonError::into_inner);
        shard.find(hash, |edge| edge.is(from, token)).map(|edge| Arc::clone(&edge.to))
    }

    /// Has `token` lead from a level to a new one, unless it leads somewhere already.
    pub(super) fn insert(&self, from: &Level, token: &[u8], to: Level) -> Grown {
        let hash = self.hash(from.id, token);
        let to = Arc::new(to);
        let edge = Edge { from: from.id, token: token.into(), to: Arc::clone(&to) };
        let mut shard = self.write(hash);
        if let Some(there) = shard.find(hash, |edge| edge.is(from.id, token)) {
            return Grown::Known(Arc::clone(&there.to));
        }
        // Under the lock, so that an edge and its being counted are one: two who add the same never count it twice.
        if !from.adopt() {
            return Grown::TooLate;
        }
        shard.insert_unique(hash, edge, |edge| self.hash(edge.from, &edge.token));
        Grown::New(to)
    }

    /// Has `token` lead nowhere.
    pub(super) fn remove(&self, from: u64, token: &[u8]) {
        let hash = self.hash(from, token);
        let mut shard = self.write(hash);
        let removed = shard.find_entry(hash, |edge| edge.is(from, token)).ok().map(|entry| entry.remove().0);
        // A table keeps the size it once had; one that has become far too large is given back in part.
        if shard.capacity() > 64 && shard.len() < shard.capacity() / 8 {
            let room = 2 * shard.len();
            shard.shrink_to(room, |edge| self.hash(edge.from, &edge.token));
        }
        drop(shard);
        // It is freed where no lock is held.
        drop(removed);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn hash(&self, from: u64, token: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(from);
        hasher.write(token);
        hasher.finish()
    }

    /// By bits in the middle of the hash: the table itself goes by those at its ends.
    const fn shard(&self, hash: u64) -> &Shard {
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, HashTable<Edge>> {
        self.shard(hash).0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Edge {
    fn is(&self, from: u64, token: &[u8]) -> bool {
        self.from == from && *self.token == *token
    }
}
