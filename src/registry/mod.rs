//! The registry: takes reports of what happened, counts them, and shows the
//! counts. It holds no address of anybody and answers nobody who looks for
//! peers: there is no such question.
//!
//! `store` is the database, `ledger` the two threads that own it, `http`
//! the routes, `gate` who may ask how often, `page` what a browser gets.

mod answers;
mod gate;
mod http;
mod intake;
mod ledger;
mod listener;
mod metrics;
mod page;
mod store;
mod stream;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::answers::{KpiPage, MatrixCell, MatrixPage, NodeRow, NodesPage, Overview, Population};
pub use self::answers::{STALE_AFTER, WINDOW, WINDOW_DEFAULT};
use self::http::App;
use self::ledger::Ledger;
pub use self::store::StoreError;
use crate::core::token::Token;
use crate::model::Cause;

/// What is under way when the registry is stopped gets so long to end.
const STOP_WITHIN: Duration = Duration::from_millis(1_500);
/// How long reports are kept where nobody says otherwise.
pub const RETENTION_DEFAULT: Duration = Duration::from_secs(31 * 24 * 3600);

/// What a registry is told before it starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The database; made where there is none.
    pub db: PathBuf,
    /// Who shows it is let in. Without it only this host is listened to.
    pub token: Option<Token>,
    /// How long reports are kept.
    pub retention: Duration,
    /// Proxies whose word is taken for where a request comes from.
    pub proxies: Vec<IpAddr>,
}

/// Why a registry did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Everybody could reach it, and nobody would be asked for a token.
    #[error("{0} is not loopback: set a token, or listen on 127.0.0.1")]
    Open(SocketAddr),
    /// The address.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// Which.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The database.
    #[error("the database {}: {source}", path.display())]
    Store {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
}

/// A running registry. It stops when it is told to, or when this is dropped.
#[derive(Debug)]
pub struct Registry {
    addr: SocketAddr,
    ledger: Ledger,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Registry {
    /// Starts one on the current runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left half done.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        if options.token.is_none() && !options.listen.ip().to_canonical().is_loopback() {
            return Err(StartError::Open(options.listen));
        }
        let listen = |source| StartError::Listen { addr: options.listen, source };
        let socket = TcpListener::bind(options.listen).await.map_err(listen)?;
        let addr = socket.local_addr().map_err(listen)?;
        let ledger = Ledger::open(&options.db, options.retention)
            .map_err(|source| StartError::Store { path: options.db.clone(), source })?;
        let stop = CancellationToken::new();
        let app = Arc::new(App::new(ledger.clone(), options.token, stop.clone()));
        let task = tokio::spawn(http::serve(socket, app, options.proxies, stop.clone()));
        Ok(Self { addr, ledger, stop: stop.drop_guard(), task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it counted in the last while, as the page shows it.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub async fn overview(&self, window: Duration) -> Result<Arc<Overview>, StoreError> {
        self.ledger.overview(window, None).await
    }

    /// The same of attempts of one cause.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub async fn overview_of(&self, window: Duration, cause: Cause) -> Result<Arc<Overview>, StoreError> {
        self.ledger.overview(window, Some(cause)).await
    }

    /// Ends what is under way and closes the database; at most two seconds.
    pub async fn stop(self) {
        let Self { ledger, stop, mut task, .. } = self;
        drop(stop);
        if tokio::time::timeout(STOP_WITHIN, &mut task).await.is_err() {
            task.abort();
        }
        ledger.close().await;
    }
}
