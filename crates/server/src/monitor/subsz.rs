//! `/subsz`: the subscriptions and the cache before them, with nats-server's field names.

use crosstie_core::Subject;
use serde::{Deserialize, Serialize};

use super::{
    connz::{Subscription, is_yes},
    page::Monitored,
    time::now,
};

/// How many subscriptions a page has unless asked otherwise, as in nats-server.
const LIMIT: usize = 1024;

#[derive(Debug, Default, Deserialize)]
pub(super) struct SubszQuery {
    /// `1` or `true`: with every subscription.
    #[serde(default)]
    subs: String,
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
    /// Only those that a message on this subject would reach.
    test: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Subsz {
    server_id: String,
    now: String,
    num_subscriptions: usize,
    num_cache: usize,
    num_matches: u64,
    cache_hit_rate: f64,
    total: usize,
    offset: usize,
    limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_list: Option<Vec<Subscription>>,
}

pub(super) fn subsz(source: &dyn Monitored, query: &SubszQuery) -> Result<Subsz, String> {
    let snapshot = source.snapshot();
    let wanted = query
        .test
        .as_deref()
        .map(|text| text.parse::<Subject>().map_err(|error| format!("test: {error}")))
        .transpose()?;
    let limit = query.limit.filter(|limit| *limit > 0).unwrap_or(LIMIT);
    let list = (is_yes(&query.subs) || wanted.is_some()).then(|| {
        let mut list = Vec::new();
        for connection in source.connections() {
            let fits = |pattern: &str| {
                let pattern = pattern.as_bytes();
                wanted.as_ref().is_none_or(|wanted| crosstie_core::matches(pattern, wanted.as_bytes()))
            };
            let fitting = connection.subscriptions.iter().filter(|one| fits(&one.subject));
            list.extend(fitting.map(|one| Subscription::new(connection.cid, one)));
        }
        list
    });
    let total = list.as_ref().map_or(snapshot.subscriptions, Vec::len);
    let lookups = snapshot.cache.hits + snapshot.cache.misses;
    Ok(Subsz {
        server_id: snapshot.server_id,
        now: now(),
        num_subscriptions: snapshot.subscriptions,
        num_cache: snapshot.cache.entries,
        num_matches: lookups,
        cache_hit_rate: snapshot.cache.hits as f64 / lookups.max(1) as f64,
        total,
        offset: query.offset,
        limit,
        subscriptions_list: list.map(|list| list.into_iter().skip(query.offset).take(limit).collect()),
    })
}
