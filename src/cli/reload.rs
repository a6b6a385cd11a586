//! SIGHUP in a node without a console: the configuration is read again, and
//! every setting that differs is named, whether it could be taken on or not.

use tokio::signal::unix::Signal;

use super::SettingsArgs;
use super::service::Service;
use crate::config::Resolved;
use crate::node::Reloader;
use crate::telemetry::LogFilter;

/// What a reload changes.
pub(super) struct Reload {
    /// The flags that the node was started with: they still go first.
    pub(super) args: SettingsArgs,
    /// What holds.
    pub(super) holds: Resolved,
    pub(super) filter: LogFilter,
    pub(super) node: Reloader,
    pub(super) service: Service,
}

impl Reload {
    /// Reloads as often as it is asked to.
    pub(super) async fn run(mut self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            self.service.reloading();
            self.reload();
            self.service.ready();
        }
    }

    fn reload(&mut self) {
        let newer = match self.args.resolve() {
            Ok(newer) => newer,
            Err(errors) => {
                for error in errors.0 {
                    tracing::error!("the configuration is not reloaded, nothing changes: {error}");
                }
                return;
            }
        };
        let changes = self.holds.changes(&newer);
        // Said while either of the two filters lets it through.
        let said = tracing::enabled!(tracing::Level::INFO);
        let say = || {
            for change in &changes {
                let (key, from, to) = (change.name, &change.from, &change.to);
                if change.live {
                    tracing::info!(%key, %from, %to, "reloaded: a setting has changed");
                } else {
                    tracing::warn!(%key, %from, %to, "not reloaded: this setting needs a restart");
                }
            }
            if changes.is_empty() {
                tracing::info!("reloaded: nothing has changed");
            }
        };
        if said {
            say();
        }
        self.holds.take_on(&newer);
        if let Err(error) = self.filter.set(&self.holds.config.log_filter) {
            tracing::error!(%error, "the log filter stays as it was");
        }
        self.node.reload(self.holds.settings());
        if !said {
            say();
        }
    }
}
