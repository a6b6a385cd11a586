//! Tells a registry what happened: posts batches and reads whether they were
//! taken. It asks a registry nothing, and nothing on the network path waits for
//! it: the driver drops a report into a queue, or counts that it was full.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::clock::Clock;
use super::disk;
use crate::core::limits::REGISTRY_BODY_MAX;
use crate::core::reporting::{Answer, Reporting, Todo, Waiting};
use crate::core::token::Token;
use crate::files::read;
use crate::files::sealed::{self, Found};
use crate::model::{
    Batch, Fact, LinkCounts, NodeFact, Path as LinkPath, RelayLoad, ReportingView, Snapshot, clean,
};

/// The queue on disk, in the data directory.
const SPILL: &str = "reports.json";
/// A longer one was not written by us.
const SPILL_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Reports between the driver and the task; more are counted as dropped.
const BACKLOG: usize = 1024;
/// A registry that has not answered by then is away.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The last batch of a node that stops gets so long.
const LAST_WITHIN: Duration = Duration::from_millis(500);
/// Of an answer that explains itself, so much is read.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// Where a registry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryUrl(Url);

impl RegistryUrl {
    /// Takes an `http` or `https` address, with a path if the registry has one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|e| e.to_string())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("it begins with https:// or http:// and a host".to_owned());
        }
        if !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err("it has no user, no query and no fragment".to_owned());
        }
        // What is joined to it replaces everything after the last slash.
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self(url))
    }

    /// Whether others on the way could read what is sent there.
    pub fn is_exposed(&self) -> bool {
        let loopback = match self.0.host_str() {
            None => false,
            Some("localhost") => true,
            Some(host) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
            }
        };
        self.0.scheme() == "http" && !loopback
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Whom to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Where it is.
    pub url: RegistryUrl,
    /// What lets us in.
    pub token: Option<Token>,
}

enum Told {
    Fact(Fact),
    Status(NodeFact),
}

/// The driver's end.
pub(super) struct Reporter {
    told: mpsc::Sender<Told>,
    lost: Arc<AtomicU64>,
    view: watch::Receiver<Arc<ReportingView>>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Reporter {
    /// Starts the task that reports.
    pub(super) fn start(
        options: RegistryOptions,
        who: crate::model::Reporter,
        data_dir: &Path,
        clock: Clock,
    ) -> Self {
        let (told, inbox) = mpsc::channel(BACKLOG);
        let lost = Arc::new(AtomicU64::new(0));
        let (shown, view) = watch::channel(Arc::default());
        let stop = CancellationToken::new();
        let task = Task {
            options,
            client: None,
            spill: data_dir.join(SPILL),
            clock,
            lost: Arc::clone(&lost),
            shown,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(task.run(who, inbox, stop.clone())));
        Self { told, lost, view, stop, task }
    }

    pub(super) fn tell(&self, fact: Fact) {
        self.put(Told::Fact(fact));
    }

    pub(super) fn status(&self, snapshot: &Snapshot) {
        self.put(Told::Status(status_of(snapshot)));
    }

    fn put(&self, told: Told) {
        let is_fact = matches!(told, Told::Fact(_));
        if self.told.try_send(told).is_err() && is_fact {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn view(&self) -> Arc<ReportingView> {
        Arc::clone(&self.view.borrow())
    }

    /// Sends or writes down what is left.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

fn status_of(snapshot: &Snapshot) -> NodeFact {
    let mut links = LinkCounts::default();
    for link in snapshot.links.iter().filter(|l| !l.foreign) {
        match link.path {
            LinkPath::Direct => links.direct += 1,
            LinkPath::Punched => links.punched += 1,
            LinkPath::Relayed => links.relayed += 1,
        }
    }
    let gossip = &snapshot.gossip;
    let spread = gossip.propagation();
    NodeFact {
        nat: snapshot.nat.claim(),
        known: snapshot.node.cache.known,
        tried: snapshot.node.cache.tried,
        links,
        propagation: Some(spread).filter(|s| s.expected > 0),
        relay: Some(RelayLoad {
            sessions: u32::try_from(snapshot.relays.served.len()).unwrap_or(u32::MAX),
            bytes: snapshot.relays.served_bytes,
        }),
    }
}

struct Task {
    options: RegistryOptions,
    client: Option<Client>,
    spill: PathBuf,
    clock: Clock,
    lost: Arc<AtomicU64>,
    shown: watch::Sender<Arc<ReportingView>>,
}

impl Task {
    async fn run(
        mut self,
        who: crate::model::Reporter,
        mut inbox: mpsc::Receiver<Told>,
        stop: CancellationToken,
    ) {
        let left = self.read_spill().await;
        let mut queue = Reporting::new(who, left, rand::random(), self.clock.now());
        self.client = client().inspect_err(|error| tracing::error!(%error, "nothing can be reported")).ok();
        let mut under_way: Option<AbortOnDropHandle<Answer>> = None;
        loop {
            queue.lost(self.lost.swap(0, Ordering::Relaxed));
            let now = self.clock.now();
            match queue.poll(now) {
                Some(Todo::Send(batch)) => {
                    let send = self.send(&batch, ANSWER_WITHIN);
                    under_way = Some(AbortOnDropHandle::new(tokio::spawn(send)));
                }
                Some(Todo::Spill) => self.write_spill(&queue).await,
                Some(Todo::Clear) => self.clear_spill(),
                None => {}
            }
            let view = queue.view();
            self.shown.send_if_modified(|old| {
                let changed = **old != view;
                if changed {
                    *old = Arc::new(view);
                }
                changed
            });
            let timer = queue.next_timeout().map(|at| self.clock.instant(at));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                answer = async { under_way.as_mut()?.await.ok() }, if under_way.is_some() => {
                    under_way = None;
                    let answer = answer.unwrap_or_else(|| Answer::Away("the sending task died".to_owned(), None));
                    queue.answered(answer, self.clock.now());
                }
                told = inbox.recv() => match told {
                    Some(told) => take(&mut queue, told, &self.clock),
                    None => break,
                },
                () = sleep_until(timer.unwrap_or_else(tokio::time::Instant::now)), if timer.is_some() => {}
            }
        }
        while let Ok(told) = inbox.try_recv() {
            take(&mut queue, told, &self.clock);
        }
        self.end(queue, under_way).await;
    }

    /// What is left is sent once more, and written down where that fails.
    async fn end(&self, mut queue: Reporting, under_way: Option<AbortOnDropHandle<Answer>>) {
        if let Some(under_way) = under_way {
            let answer = timeout(LAST_WITHIN, under_way).await.ok().and_then(Result::ok);
            queue.answered(answer.unwrap_or_else(|| Answer::Away(String::new(), None)), self.clock.now());
        } else if let Some(batch) = queue.last_batch(self.clock.now()) {
            let answer = self.send(&batch, LAST_WITHIN).await;
            queue.answered(answer, self.clock.now());
        }
        if queue.kept().next().is_none() {
            self.clear_spill();
        } else {
            self.write_spill(&queue).await;
        }
    }

    /// Posts a batch: the only thing that is ever said to a registry.
    fn send(&self, batch: &Batch, within: Duration) -> impl Future<Output = Answer> + Send + 'static {
        let client = self.client.clone();
        let url = self.options.url.0.join("api/v1/reports");
        let token = self.options.token.clone();
        let body = serde_json::to_vec(batch);
        async move {
            let (Some(client), Ok(url), Ok(body)) = (client, url, body) else {
                return Answer::Away("nothing can be sent".to_owned(), None);
            };
            if body.len() > REGISTRY_BODY_MAX {
                return Answer::Refused("a batch larger than is taken".to_owned());
            }
            let mut request =
                client.post(url).timeout(within).header(CONTENT_TYPE, "application/json").body(body);
            if let Some(mut value) = token.and_then(|t| HeaderValue::from_str(&t.header()).ok()) {
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
            match request.send().await {
                Ok(response) => answer_of(response).await,
                Err(error) => Answer::Away(said(&error), None),
            }
        }
    }

    async fn read_spill(&self) -> Vec<Waiting> {
        let path = self.spill.clone();
        let read = tokio::task::spawn_blocking(move || read_spill(&path)).await;
        match read {
            Ok(Ok(left)) => left,
            Ok(Err(why)) => {
                // Reports are worth less than a look at what went wrong.
                let aside = disk::set_aside(&self.spill, &why);
                tracing::warn!(why, set_aside = aside.is_ok(), "the reports left by an earlier run are lost");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    async fn write_spill(&self, queue: &Reporting) {
        let Ok(bytes) = serde_json::to_vec(&queue.kept().collect::<Vec<_>>()) else { return };
        let path = self.spill.clone();
        let write = move || disk::write_atomic(&path, &sealed::seal(&bytes), disk::FILE_MODE);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(write).await {
            tracing::warn!(%error, "the reports that wait are not on disk");
        }
    }

    fn clear_spill(&self) {
        match fs::remove_file(&self.spill) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, file = %self.spill.display(), "not removed");
            }
            _ => {}
        }
    }
}

fn take(queue: &mut Reporting, told: Told, clock: &Clock) {
    match told {
        Told::Fact(fact) => queue.tell(fact, clock.now()),
        Told::Status(status) => queue.status(status, clock.now()),
    }
}

fn read_spill(path: &Path) -> Result<Vec<Waiting>, String> {
    let bytes = match read::bytes(path, SPILL_BYTES_MAX) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes.map_err(|e| e.to_string())?,
    };
    let content = match sealed::open(&bytes) {
        Found::Whole(content) | Found::Bare(content) => content,
        Found::Damaged => return Err("its checksum is wrong".to_owned()),
    };
    serde_json::from_slice(content).map_err(|e| e.to_string())
}

/// Follows nothing and takes no proxy from the environment: the token goes where
/// the configuration says.
fn client() -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .user_agent(concat!("punchdeck/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(1)
        .build()
}

async fn answer_of(response: reqwest::Response) -> Answer {
    let status = response.status();
    if status.is_success() {
        // Something else may listen there, and say yes to everything.
        let json = json_of(response).await;
        let taken = json.is_some_and(|j| j["schema"] == 1 && j["accepted"].is_u64());
        return if taken {
            Answer::Taken
        } else {
            Answer::Away("it answers as no registry does".to_owned(), None)
        };
    }
    let pause = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
    let why = format!("{status}{}", explanation(response).await);
    match status {
        // What it will not read today it will not read tomorrow.
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Answer::Refused(why)
        }
        _ => Answer::Away(why, pause.map(Duration::from_secs)),
    }
}

async fn json_of(mut response: reqwest::Response) -> Option<serde_json::Value> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return None;
        }
    }
    serde_json::from_slice(&body).ok()
}

/// What the registry said, if it said it as it should.
async fn explanation(response: reqwest::Response) -> String {
    let json = json_of(response).await;
    let message = json.as_ref().and_then(|j| j["error"]["message"].as_str());
    message.map(|m| format!(": {}", clean(m))).unwrap_or_default()
}

/// The cause, without the address that everybody knows.
fn said(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { clean(&cause.to_string()) }
}
