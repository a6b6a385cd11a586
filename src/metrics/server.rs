//! Answers who scrapes: one page, to few at once, each within a time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::Format;
use crate::core::limits::{METRICS_AT_ONCE, METRICS_HEAD_BYTES_MAX, METRICS_WITHIN};
use crate::core::token::Token;
use crate::model::Snapshot;

/// No room for another file, for example; it passes.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(100);

/// What is told before it starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Who shows it is let in. Without it only this host is listened to.
    pub token: Option<Token>,
    /// Whether linked peers are a label.
    pub peers: bool,
}

/// Why nobody can scrape.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Everybody could reach it, and nobody would be asked for a token.
    #[error("metrics.listen = {0}: it is not loopback: set metrics.token_file, or listen on 127.0.0.1")]
    Open(SocketAddr),
    /// The address.
    #[error("metrics.listen: cannot listen on {addr}: {source}")]
    Listen {
        /// Which.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// The listener. It stops when this is dropped.
#[derive(Debug)]
pub struct Metrics {
    addr: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Metrics {
    /// Starts it on the current runtime, for the node with these snapshots.
    ///
    /// # Errors
    /// [`MetricsError`].
    pub async fn start(
        options: Options,
        snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> Result<Self, MetricsError> {
        if options.token.is_none() && !options.listen.ip().to_canonical().is_loopback() {
            return Err(MetricsError::Open(options.listen));
        }
        let listen = |source| MetricsError::Listen { addr: options.listen, source };
        let socket = TcpListener::bind(options.listen).await.map_err(listen)?;
        let addr = socket.local_addr().map_err(listen)?;
        let shop = Arc::new(Shop { options, snapshots });
        let task = AbortOnDropHandle::new(tokio::spawn(accept(socket, shop)));
        Ok(Self { addr, _task: task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

struct Shop {
    options: Options,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// Takes so many at once. Whoever comes then takes the place of who came first: a page
/// takes milliseconds, so that is somebody who says nothing or takes nothing.
async fn accept(socket: TcpListener, shop: Arc<Shop>) {
    let mut guests = VecDeque::new();
    loop {
        match socket.accept().await {
            Ok((io, _)) => {
                guests.retain(|guest: &AbortOnDropHandle<_>| !guest.is_finished());
                if guests.len() >= METRICS_AT_ONCE {
                    guests.pop_front();
                }
                let conversation = timeout(METRICS_WITHIN, converse(io, Arc::clone(&shop)));
                guests.push_back(AbortOnDropHandle::new(tokio::spawn(conversation)));
            }
            Err(_) => sleep(AGAIN).await,
        }
    }
}

/// One question and its answer.
async fn converse(io: TcpStream, shop: Arc<Shop>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = shop.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let conversation = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(METRICS_WITHIN)
        .max_buf_size(METRICS_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(io), service);
    let _ = pin!(conversation).await;
}

impl Shop {
    fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        if !self.lets_in(request) {
            return refusal(StatusCode::UNAUTHORIZED, "show the token: Authorization: Bearer TOKEN\n");
        }
        if request.uri().path() != "/metrics" {
            return refusal(StatusCode::NOT_FOUND, "there is /metrics and nothing else\n");
        }
        if request.method() != Method::GET {
            return refusal(StatusCode::METHOD_NOT_ALLOWED, "GET /metrics\n");
        }
        let accepted = request.headers().get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
        let format = match accepted {
            Some(accepted) if accepted.contains("application/openmetrics-text") => Format::OpenMetrics,
            _ => Format::Text,
        };
        let page = super::of(&self.snapshots.borrow(), self.options.peers, format);
        let mut answer = Response::new(Body::from(page));
        let media_type = header::HeaderValue::from_static(format.media_type());
        answer.headers_mut().insert(header::CONTENT_TYPE, media_type);
        answer
    }

    fn lets_in<B>(&self, request: &Request<B>) -> bool {
        let Some(token) = &self.options.token else { return true };
        let shown = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
        let shown = shown.and_then(|value| value.split_at_checked(b"Bearer ".len()));
        shown.is_some_and(|(scheme, shown)| scheme.eq_ignore_ascii_case(b"bearer ") && token.is(shown))
    }
}

fn refusal(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    answer
}
