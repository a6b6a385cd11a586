//! The routes, and what a request has to pass before it reaches one.
//!
//! There is one thing that can be told (reports) and none that helps to reach
//! anybody: no route takes or gives an address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, FromRequestParts, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use humantime_serde::re::humantime;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::answers::{Overview, SCHEMA, WINDOW, WINDOW_DEFAULT};
use super::gate::Gate;
use super::intake::{self, Malformed};
use super::ledger::Ledger;
use super::listener::{self, Seat};
use super::metrics::Metrics;
use super::store::StoreError;
use super::{page, stream};
use crate::core::limits::{
    REGISTRY_BODY_MAX, REGISTRY_BODY_TIMEOUT, REGISTRY_GUESSES_FREE, REGISTRY_NEWCOMER_EVERY,
    REGISTRY_STREAMS_MAX,
};
use crate::core::token::Token;

/// Who came too often is to come back after so long.
const LATER: Duration = Duration::from_secs(10);
/// Who came when the database was busy, after so long.
const SOON: Duration = Duration::from_secs(1);

/// What all requests share.
pub(super) struct App {
    pub(super) ledger: Ledger,
    pub(super) metrics: Metrics,
    pub(super) streams: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
    token: Option<Token>,
    gate: Gate,
}

impl App {
    pub(super) fn new(ledger: Ledger, token: Option<Token>, stop: CancellationToken) -> Self {
        let streams = Arc::new(Semaphore::new(REGISTRY_STREAMS_MAX));
        Self { ledger, metrics: Metrics::default(), streams, stop, token, gate: Gate::new() }
    }

    /// Whether a request shows the token, where there is one. The one place where a
    /// token is compared: a wrong one is counted, whatever was asked for with it.
    fn lets_in(&self, seat: &Seat, from: IpAddr, headers: &HeaderMap) -> Result<LetIn, Refusal> {
        let Some(token) = &self.token else { return Ok(LetIn(true)) };
        let shown = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let theirs = shown.and_then(|v| v.split_at_checked(b"Bearer ".len()));
        let Some((_, theirs)) = theirs.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer ")) else {
            return Ok(LetIn(false));
        };
        // Who has shown it on this connection does not wait for a neighbour's guesses.
        let wait = self.gate.guess_wait(from).filter(|_| !seat.proven.load(Ordering::Relaxed));
        if let Some(wait) = wait {
            seat.was_wrong();
            let message = "too many wrong tokens from this address";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "guesses", message).again(wait));
        }
        let is_right = token.is(theirs);
        if is_right {
            // Behind a proxy the next one on it is somebody else.
            seat.proven.store(!seat.is_proxy, Ordering::Relaxed);
        } else {
            seat.was_wrong();
            self.gate.guessed(from, theirs);
        }
        Ok(LetIn(is_right))
    }
}

/// Whether a request has shown the token, or there is none to show.
#[derive(Debug, Clone, Copy)]
pub(super) struct LetIn(pub(super) bool);

/// Serves until told to stop; what is under way then gets its answer.
pub(super) async fn serve(socket: TcpListener, app: Arc<App>, proxies: Vec<IpAddr>, stop: CancellationToken) {
    let routes = Router::new()
        .route("/", get(page::page))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/api/v1/reports", post(reports))
        .route("/api/v1/kpi", get(kpi))
        .route("/api/v1/matrix", get(matrix))
        .route("/api/v1/nodes", get(nodes))
        .route("/api/v1/stream", get(stream::stream))
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is no such page") })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", "not with this method")
        })
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .with_state(Arc::clone(&app));
    listener::serve(socket, app, proxies, routes, stop).await;
}

/// Why a request is not answered: JSON with a reason.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    again: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), again: None }
    }

    fn again(self, after: Duration) -> Self {
        Self { again: Some(after), ..self }
    }

    fn too_often(whose: &str) -> Self {
        let message = format!("too many requests {whose}");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message).again(LATER)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "schema": SCHEMA,
            "error": { "code": self.code, "message": self.message },
        });
        let mut response = json(self.status, &body);
        if let Some(after) = self.again {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Refused(self.code));
        response
    }
}

/// Marks an answer for the count of refusals.
#[derive(Clone, Copy)]
struct Refused(&'static str);

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Full(_) => Self::new(StatusCode::INSUFFICIENT_STORAGE, "not_stored", message),
            StoreError::Damaged(_) => Self::new(StatusCode::INSUFFICIENT_STORAGE, "damaged", message),
            StoreError::TooManyNewcomers => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "newcomers", message).again(REGISTRY_NEWCOMER_EVERY)
            }
            StoreError::TooManyReporters => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "too_many_reporters", message)
            }
            StoreError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).again(SOON),
            StoreError::Closed => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the registry is stopping").again(SOON)
            }
            StoreError::Newer(_) | StoreError::Other(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "database", message)
            }
        }
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// What every request passes: the limits, the token, and on the way out the
/// headers that keep a browser from trusting anything.
async fn guard(
    State(app): State<Arc<App>>,
    Extension(seat): Extension<Arc<Seat>>,
    mut request: Request,
    next: Next,
) -> Response {
    let customer = Customer(customer(&seat, request.headers()));
    let admitted = admit(&app, &seat, customer.0, &request);
    let mut response = match admitted {
        Ok(let_in) => {
            request.extensions_mut().insert(let_in);
            request.extensions_mut().insert(customer);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    // Behind a proxy many others are on the same connection.
    if seat.wrong.load(Ordering::Relaxed) >= REGISTRY_GUESSES_FREE && !seat.is_proxy {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(Refused(code)) = response.extensions().get() {
        app.metrics.refused(code);
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Customer(IpAddr);

fn admit(app: &App, seat: &Seat, from: IpAddr, request: &Request) -> Result<LetIn, Refusal> {
    let post = request.method() == Method::POST;
    if !(if post { app.gate.post(from) } else { app.gate.get(from) }) {
        return Err(Refusal::too_often("from this address"));
    }
    let open = matches!(request.uri().path(), "/" | "/healthz");
    let let_in = app.lets_in(seat, from, request.headers())?;
    match &app.token {
        Some(_) if !open && !let_in.0 => {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "token", "the token is missing or wrong"));
        }
        // A page elsewhere can have a browser ask for a name that leads here.
        // Without a token the name is all that tells them apart.
        None if !names_this_host(request.headers()) => {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "host", "ask for it as 127.0.0.1 or localhost"));
        }
        _ => {}
    }
    Ok(let_in)
}

/// Whose requests are counted together. Behind a proxy everybody would be one: what a
/// proxy that is named says of the other end is believed, and nobody else's.
fn customer(seat: &Seat, headers: &HeaderMap) -> IpAddr {
    let remote = seat.from.ip();
    if !seat.is_proxy {
        return remote;
    }
    let said = headers.get_all("x-forwarded-for").iter().next_back().and_then(|v| v.to_str().ok());
    said.and_then(|list| list.rsplit(',').next()?.trim().parse().ok()).unwrap_or(remote)
}

fn names_this_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|v| v.to_str().ok()) else { return true };
    if let Ok(addr) = host.parse::<SocketAddr>() {
        return addr.ip().to_canonical().is_loopback();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

async fn reports(
    State(app): State<Arc<App>>,
    Extension(Customer(from)): Extension<Customer>,
    request: Request,
) -> Result<Response, Refusal> {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_none_or(|k| !k.trim().eq_ignore_ascii_case("application/json")) {
        let message = "reports come as application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", message));
    }
    let bytes = tokio::time::timeout(REGISTRY_BODY_TIMEOUT, read_body(&parts.headers, body))
        .await
        .map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow", "the body did not come in time"))??;
    let batch = intake::read(&bytes).map_err(|why| match why {
        Malformed::TooMany(_) => {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_reports", why.to_string())
        }
        Malformed::Wrong(_) => Refusal::new(StatusCode::BAD_REQUEST, "malformed", why.to_string()),
    })?;
    if !app.gate.reporter(batch.reporter.peer_id) {
        return Err(Refusal::too_often("of this reporter"));
    }
    let kinds: Vec<&'static str> = batch.reports.iter().map(|r| r.fact.kind()).collect();
    let stored = app.ledger.put(batch, from).await?;
    app.metrics.stored(&kinds, stored, begun.elapsed());
    let answer = serde_json::json!({
        "schema": SCHEMA,
        "accepted": stored.accepted,
        "duplicates": stored.duplicates,
        "expired": stored.expired,
    });
    Ok(json(StatusCode::OK, &answer))
}

async fn read_body(headers: &HeaderMap, body: Body) -> Result<axum::body::Bytes, Refusal> {
    let too_long = || {
        let message = format!("a body has at most {REGISTRY_BODY_MAX} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", message)
    };
    let said = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|len| len > REGISTRY_BODY_MAX) {
        return Err(too_long());
    }
    to_bytes(body, REGISTRY_BODY_MAX).await.map_err(|_| too_long())
}

/// `?window=1h`
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    window: Option<String>,
}

/// A question that cannot be read is refused as everything is: in JSON.
impl FromRequestParts<Arc<App>> for Asked {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let asked = Query::<Self>::from_request_parts(parts, app).await;
        asked
            .map(|Query(asked)| asked)
            .map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, "query", why.body_text()))
    }
}

impl Asked {
    pub(super) fn window(&self) -> Result<Duration, Refusal> {
        let Some(text) = &self.window else { return Ok(WINDOW_DEFAULT) };
        let window = humantime::parse_duration(text).ok().filter(|w| WINDOW.contains(w));
        window.ok_or_else(|| {
            let message = "window is a time from 1m to 31d, such as 1h, 24h or 7d";
            Refusal::new(StatusCode::BAD_REQUEST, "window", message)
        })
    }
}

async fn overview(app: &App, asked: &Asked) -> Result<Arc<Overview>, Refusal> {
    Ok(app.ledger.overview(asked.window()?, None).await?)
}

async fn kpi(State(app): State<Arc<App>>, asked: Asked) -> Result<Response, Refusal> {
    Ok(json(StatusCode::OK, &overview(&app, &asked).await?.kpi))
}

async fn matrix(State(app): State<Arc<App>>, asked: Asked) -> Result<Response, Refusal> {
    Ok(json(StatusCode::OK, &overview(&app, &asked).await?.matrix))
}

async fn nodes(State(app): State<Arc<App>>, asked: Asked) -> Result<Response, Refusal> {
    Ok(json(StatusCode::OK, &overview(&app, &asked).await?.nodes))
}

async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let overview = app.ledger.overview(WINDOW_DEFAULT, None).await?;
    let free = app.streams.available_permits();
    let text = app.metrics.text(&overview, REGISTRY_STREAMS_MAX - free);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// Whether the database answers, and takes what is reported.
async fn healthz(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    if let Some(why) = app.ledger.damage() {
        let message = StoreError::Damaged(why).to_string();
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "damaged", message));
    }
    app.ledger.overview(WINDOW_DEFAULT, None).await?;
    Ok(json(StatusCode::OK, &serde_json::json!({ "schema": SCHEMA, "ok": true })))
}
