//! `/subsz`: the subscriptions and the cache before them, with nats-server's field names.

use serde::Serialize;

use super::{connz::Subscription, page::Monitored, question::Question, time::now};

#[derive(Serialize)]
pub(super) struct Subsz {
    server_id: String,
    now: String,
    num_subscriptions: usize,
    num_cache: usize,
    num_inserts: u64,
    num_removes: u64,
    num_matches: u64,
    cache_hit_rate: f64,
    max_fanout: u64,
    /// Over the look-ups that the cache could not answer; in nats-server, over what is in the cache.
    avg_fanout: f64,
    /// Of those asked for, the list's offset and limit aside; none unless they are asked for.
    total: usize,
    offset: usize,
    limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_list: Option<Vec<Subscription>>,
}

pub(super) fn subsz(source: &dyn Monitored, question: &Question) -> Result<Subsz, String> {
    let snapshot = source.snapshot();
    let wanted = question.subject("test")?;
    let (offset, limit) = question.rows()?;
    let list = question.yes("subs")?.then(|| {
        let mut list = Vec::new();
        for connection in source.connections().into_iter().filter(|_| question.account_is_ours()) {
            let fits = |pattern: &str| {
                let pattern = pattern.as_bytes();
                wanted.as_ref().is_none_or(|wanted| crosstie_core::matches(pattern, wanted.as_bytes()))
            };
            let fitting = connection.subscriptions.iter().filter(|one| fits(&one.subject));
            list.extend(fitting.map(|one| Subscription::new(connection.cid, one).with_account()));
        }
        list
    });
    let lookups = snapshot.cache.hits + snapshot.cache.misses;
    Ok(Subsz {
        server_id: snapshot.server_id,
        now: now(),
        num_subscriptions: snapshot.subscriptions,
        num_cache: snapshot.cache.entries,
        num_inserts: snapshot.cache.inserts,
        num_removes: snapshot.cache.removes,
        num_matches: lookups,
        cache_hit_rate: snapshot.cache.hits as f64 / lookups.max(1) as f64,
        max_fanout: snapshot.cache.max_fanout,
        avg_fanout: snapshot.cache.fanout as f64 / snapshot.cache.misses.max(1) as f64,
        total: list.as_ref().map_or(0, Vec::len),
        offset,
        limit,
        subscriptions_list: list.map(|list| list.into_iter().skip(offset).take(limit).collect()),
    })
}
