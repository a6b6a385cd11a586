//! `punchdeck registry`: the service that nodes report to, and its page.

use std::future::pending;
use std::path::{Path, PathBuf};

use super::args::RegistryArgs;
use super::failure::say;
use super::session::{Hangup, Log, Look, Screen, Session};
use super::{Failure, print};
use crate::config::{Host, REGISTRY_TOKEN_VARIABLE, registry_token};
use crate::node::lock::FileLock;
use crate::registry::{Options, Registry};

/// The database where none is named, in the data directory.
const DB: &str = "registry.db";
/// What a registry logs.
const LOG_FILTER: &str = "info";

/// What is locked.
const WHAT: &str = "database";

/// The file beside a database whose lock is the right to it, by whatever name the
/// database is called.
fn lock_of(db: &Path) -> PathBuf {
    let mut name = db.canonicalize().unwrap_or_else(|_| db.to_owned()).into_os_string();
    name.push(".lock");
    name.into()
}

pub(super) fn execute(args: &RegistryArgs) -> Result<(), Failure> {
    let variable = std::env::var(REGISTRY_TOKEN_VARIABLE).ok();
    let token = registry_token(args.token_file.as_deref(), variable.as_deref())
        .map_err(|why| Failure::usage(anyhow::anyhow!("the registry's token: {why}")))?;
    let db = match (&args.db, Host::detect().data_dir) {
        (Some(db), _) => db.clone(),
        (None, Some(dir)) => {
            crate::node::disk::create_private_dir(&dir).map_err(Failure::usage)?;
            dir.join(DB)
        }
        (None, None) => {
            return Err(Failure::usage(anyhow::anyhow!(
                "no home directory is known (HOME must be an absolute path): set --db"
            )));
        }
    };
    // Two that write into one would each count what the other was told.
    let _lock = FileLock::acquire(WHAT, &db, &lock_of(&db))?;
    let options = Options {
        listen: args.listen,
        db,
        token,
        retention: args.retention,
        proxies: args.trust_proxy.clone(),
    };
    let session = Session::begin(Screen::Headless, Look::default(), &Log::only(LOG_FILTER), Hangup::Ends)?;
    let started = session.unless_stopped(Registry::start(options.clone()));
    let Some(started) = started else {
        session.end();
        return Ok(());
    };
    let registry = started.map_err(Failure::usage)?;
    print(format!("http://{}/\n", registry.addr()).as_bytes())?;
    if !registry.addr().ip().is_loopback() {
        say(&"it speaks plain http: put a proxy with TLS before it, or the token is read on the way");
    }
    tracing::info!(listen = %registry.addr(), db = %options.db.display(), "the registry runs");
    let _ = session.unless_stopped(pending::<()>());
    session.block_on(registry.stop());
    session.end();
    Ok(())
}
