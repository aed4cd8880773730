//! Monitoring over HTTP: `/healthz`, `/varz`, `/connz`, `/subsz` as nats-server has them, and `/metrics` for Prometheus.
//!
//! It runs on a thread of its own, so that nothing it does is in the way of a message.

mod connz;
mod limited;
mod metrics;
mod page;
mod question;
mod subsz;
mod time;
mod usage;
mod varz;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

use axum::{
    Router,
    extract::{RawQuery, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use crosstie_broker::{ConnectionSnapshot, Options, Snapshot};
use crosstie_core::{Error, HostPort, Kind};
use serde::Serialize;
use tokio::{runtime, sync::oneshot};

pub(crate) use self::page::{About, Monitored};
use self::{
    limited::{Deadlines, Limited},
    page::{Asked, Page},
    question::Question,
};

/// The thread that answers. It ends with this value.
pub(crate) struct Monitoring {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Monitoring {
    /// Answers at `at`, which must be on loopback unless `about` says `insecure`: nobody is asked who they are.
    pub(crate) fn start(at: &HostPort, about: About, source: Arc<dyn Monitored>) -> Result<Self, Error> {
        Self::start_within(Deadlines::default(), at, about, source)
    }

    fn start_within(
        deadlines: Deadlines,
        at: &HostPort,
        about: About,
        source: Arc<dyn Monitored>,
    ) -> Result<Self, Error> {
        let cannot = |error| Error::new(Kind::Io, format!("cannot listen for monitoring on '{at}'")).because(error);
        let listener = TcpListener::bind((at.host.as_str(), at.port)).map_err(cannot)?;
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() && !about.insecure {
            let text = format!(
                "monitoring on '{at}' could be read from other machines, and asks nobody who they are: \
                 use 127.0.0.1, or accept it: 'insecure = true', --insecure"
            );
            return Err(Error::new(Kind::InvalidInput, text));
        }
        listener.set_nonblocking(true)?;
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let router = router(Page { about, source, address, asked: Asked::default() });
        let run = move || {
            runtime.block_on(async move {
                match Limited::new(listener, deadlines) {
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

type Shared = State<Arc<Page>>;

fn router(page: Page) -> Router {
    let page = Arc::new(page);
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(healthz))
        .route("/varz", get(|State(page): Shared| async move { json(&varz::varz(&page)) }))
        .route("/connz", get(connz))
        .route("/subsz", get(subsz))
        .route("/subscriptionsz", get(subsz))
        .route("/metrics", get(metrics))
        .fallback(nothing)
        .layer(from_fn_with_state(Arc::clone(&page), count))
        .with_state(page)
}

/// Counts the request, and ends the connection after its answer: a place among the connections is not kept by asking again.
async fn count(State(page): Shared, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    page.asked.note(if path == "/subscriptionsz" { "/subsz" } else { path });
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn nothing() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "404 page not found: '/' lists the pages\n")
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

async fn connz(State(page): Shared, RawQuery(query): RawQuery) -> Response {
    answer(Question::parse(query.as_deref()).and_then(|question| connz::connz(&*page.source, &question)))
}

async fn subsz(State(page): Shared, RawQuery(query): RawQuery) -> Response {
    answer(Question::parse(query.as_deref()).and_then(|question| subsz::subsz(&*page.source, &question)))
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

/// Answers `query` about a server without connections, for the fuzz targets.
pub(crate) fn read_query(page: &str, query: &str) -> Result<String, String> {
    struct Empty;

    impl Monitored for Empty {
        fn snapshot(&self) -> Snapshot {
            Snapshot::default()
        }

        fn options(&self) -> Arc<Options> {
            Arc::default()
        }

        fn connections(&self) -> Vec<ConnectionSnapshot> {
            Vec::new()
        }

        fn closed_connections(&self) -> Vec<ConnectionSnapshot> {
            Vec::new()
        }
    }

    let question = Question::parse(Some(query))?;
    let text = match page {
        "/connz" => serde_json::to_string(&connz::connz(&Empty, &question)?),
        _ => serde_json::to_string(&subsz::subsz(&Empty, &question)?),
    };
    text.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
