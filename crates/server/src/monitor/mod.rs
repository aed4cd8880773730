//! Monitoring over HTTP: `/healthz`, `/varz`, `/connz`, `/subsz` as nats-server has them, and `/metrics` for Prometheus.
//!
//! It runs on a thread of its own, so that nothing it does is in the way of a message.

mod connz;
mod limited;
mod metrics;
mod subsz;
mod usage;
mod varz;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::Duration,
};

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use crosstie_broker::{ConnectionSnapshot, Options, Snapshot};
use crosstie_core::{Error, HostPort, Kind, Wall};
use serde::Serialize;
use tokio::{runtime, sync::oneshot};

use self::{connz::ConnzQuery, limited::Limited, subsz::SubszQuery};

/// What can be monitored: a broker.
pub(crate) trait Monitored: Send + Sync + 'static {
    /// The whole.
    fn snapshot(&self) -> Snapshot;
    /// Every connection with its subscriptions.
    fn connections(&self) -> Vec<ConnectionSnapshot>;
}

impl Monitored for crosstie_broker::Broker {
    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }

    fn connections(&self) -> Vec<ConnectionSnapshot> {
        Self::connections(self, true)
    }
}

/// What does not change while a server runs.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) options: Options,
    /// Where clients connect over TCP, if they do.
    pub(crate) clients: Option<HostPort>,
}

/// The thread that answers. It ends with this value.
pub(crate) struct Monitoring {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Monitoring {
    /// Answers at `at`, which must be on loopback unless the options say `insecure`: nobody is asked who they are.
    pub(crate) fn start(at: &HostPort, about: About, source: Arc<dyn Monitored>) -> Result<Self, Error> {
        let cannot = |error| Error::new(Kind::Io, format!("cannot listen for monitoring on '{at}'")).because(error);
        let listener = TcpListener::bind((at.host.as_str(), at.port)).map_err(cannot)?;
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() && !about.options.insecure {
            let text = format!(
                "monitoring on '{at}' could be read from other machines, and asks nobody who they are: \
                 use 127.0.0.1, or spell out 'insecure'"
            );
            return Err(Error::new(Kind::InvalidInput, text));
        }
        listener.set_nonblocking(true)?;
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let router = router(Page { about, source, address });
        let run = move || {
            runtime.block_on(async move {
                match Limited::new(listener) {
                    // The runtime drops what is still being answered when it ends.
                    Ok(listener) => drop(tokio::spawn(async { axum::serve(listener, router).await })),
                    Err(error) => tracing::error!(%error, "monitoring cannot listen"),
                }
                let _ = stopped.await;
            });
        };
        let thread = thread::Builder::new().name("crosstie-monitor".into()).spawn(run)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it answers.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Monitoring {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, it has said so already.
            let _ = thread.join();
        }
    }
}

/// What every page is made of.
struct Page {
    about: About,
    source: Arc<dyn Monitored>,
    address: SocketAddr,
}

type Shared = State<Arc<Page>>;

fn router(page: Page) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(healthz))
        .route("/varz", get(|State(page): Shared| async move { json(&varz::varz(&page)) }))
        .route("/connz", get(connz))
        .route("/subsz", get(subsz))
        .route("/subscriptionsz", get(subsz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(page))
}

async fn index() -> &'static str {
    "/healthz\n/varz\n/connz?subs=1&sort=pending&limit=10\n/subsz?subs=1&test=subject\n/metrics\n"
}

async fn healthz(State(page): Shared) -> Response {
    #[derive(Serialize)]
    struct Health {
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'static str>,
    }
    // Who chooses servers by this page should choose another one now.
    if page.source.snapshot().lame_duck {
        let health = Health { status: "unavailable", error: Some("lame duck mode") };
        return (StatusCode::SERVICE_UNAVAILABLE, json(&health)).into_response();
    }
    json(&Health { status: "ok", error: None })
}

async fn connz(State(page): Shared, Query(query): Query<ConnzQuery>) -> Response {
    answer(connz::connz(&*page.source, &query))
}

async fn subsz(State(page): Shared, Query(query): Query<SubszQuery>) -> Response {
    answer(subsz::subsz(&*page.source, &query))
}

async fn metrics(State(page): Shared) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, metrics::metrics(&page.source.snapshot())).into_response()
}

fn answer(result: Result<impl Serialize, String>) -> Response {
    match result {
        Ok(page) => json(&page),
        Err(message) => (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response(),
    }
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec_pretty(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A moment as NATS's JSON has it.
fn time(wall: Wall) -> String {
    humantime::format_rfc3339_nanos(std::time::UNIX_EPOCH + Duration::from_nanos(wall.unix_nanos())).to_string()
}

fn now() -> String {
    humantime::format_rfc3339_nanos(std::time::SystemTime::now()).to_string()
}

/// A duration as NATS's JSON has it: `1d2h3m4s`.
fn uptime(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let parts = [(days, 'd'), (hours, 'h'), (minutes, 'm')];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(parts.len());
    let mut text: String = parts[first..].iter().map(|(count, unit)| format!("{count}{unit}")).collect();
    text += &format!("{}s", seconds % 60);
    text
}

#[cfg(test)]
mod tests;
