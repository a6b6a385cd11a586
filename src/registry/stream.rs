//! `/api/v1/stream`: what the other routes answer, pushed when it changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::http::{App, Asked, Refusal};
use super::ledger::Ledger;

/// Not more often, however much is reported: somebody reads it.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// Also without news: ages grow, and the window moves on.
const AT_LEAST_EVERY: Duration = Duration::from_secs(10);

/// Proxies that collect an answer before they hand it on: some let it through that is
/// said to be no buffer's matter or not to be changed (compressed) on the way, and some
/// once there is more than they look at to tell what it is.
const UNBUFFERED: [(HeaderName, &str); 2] =
    [(HeaderName::from_static("x-accel-buffering"), "no"), (header::CACHE_CONTROL, "no-store, no-transform")];
const PADDING: usize = 2 * 1024;

struct Open {
    ledger: Ledger,
    window: Duration,
    changed: watch::Receiver<u64>,
    sent: Option<Instant>,
    stop: CancellationToken,
    _room: OwnedSemaphorePermit,
}

pub(super) async fn stream(State(app): State<Arc<App>>, asked: Asked) -> Result<Response, Refusal> {
    let window = asked.window()?;
    let room = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "streams", "no more event streams are given out")
    })?;
    let open = Open {
        ledger: app.ledger.clone(),
        window,
        changed: app.ledger.changed(),
        sent: None,
        stop: app.stop.clone(),
        _room: room,
    };
    let events = stream::unfold(open, |mut open| async move {
        let event = open.next().await?;
        Some((Ok::<_, Infallible>(event), open))
    });
    let first = stream::iter([Ok(Event::default().comment(" ".repeat(PADDING)))]);
    let mut response = Sse::new(first.chain(events)).keep_alive(KeepAlive::default()).into_response();
    for (name, value) in UNBUFFERED {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

impl Open {
    /// The next event; `None` when the registry stops.
    async fn next(&mut self) -> Option<Event> {
        if let Some(sent) = self.sent {
            let stop = self.stop.clone();
            let wait = async {
                sleep_until(sent + AT_MOST_EVERY).await;
                tokio::select! {
                    _ = self.changed.changed() => {}
                    () = sleep_until(sent + AT_LEAST_EVERY) => {}
                }
            };
            tokio::select! {
                () = stop.cancelled() => return None,
                () = wait => {}
            }
        }
        self.sent = Some(Instant::now());
        self.changed.mark_unchanged();
        let overview = match self.ledger.overview(self.window, None).await {
            Ok(overview) => serde_json::to_string(&serde_json::json!({
                "schema": super::answers::SCHEMA,
                "kpi": overview.kpi,
                "matrix": overview.matrix,
                "nodes": overview.nodes,
            })),
            Err(error) => return Some(Event::default().event("trouble").data(error.to_string())),
        };
        Some(Event::default().event("overview").data(overview.ok()?))
    }
}
