//! Something of the lab with a network of its own, and running things there.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use patchbay::{Device, Router};

use super::NetworkError;

/// A router or a host.
#[derive(Clone)]
pub(in crate::lab) enum Place {
    Router(Router),
    Host(Device),
}

impl Place {
    pub(in crate::lab) fn name(&self) -> &str {
        match self {
            Self::Router(router) => router.name(),
            Self::Host(device) => device.name(),
        }
    }

    /// Runs something short in this place's network.
    pub(in crate::lab) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, NetworkError> {
        let work = move || Ok(work()?);
        let done = match self {
            Self::Router(router) => router.run_sync(work),
            Self::Host(device) => device.run_sync(work),
        };
        done.map_err(|error| NetworkError::Place {
            place: self.name().to_owned(),
            detail: format!("{error:#}"),
        })
    }

    /// Runs a program that reads its input whole and says what is wrong on
    /// standard error.
    pub(in crate::lab) fn feed(
        &self,
        program: &Path,
        args: &[&str],
        input: String,
    ) -> Result<(), NetworkError> {
        let program: PathBuf = program.to_owned();
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        self.run(move || {
            let mut child = Command::new(&program)
                .args(&args)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(input.as_bytes())?;
            }
            let output = child.wait_with_output()?;
            if output.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim();
            Err(std::io::Error::other(format!("{} ({}): {said}", program.display(), output.status)))
        })
    }

    /// What a program prints.
    pub(in crate::lab) fn ask(&self, program: &Path, args: &[&str]) -> Result<String, NetworkError> {
        let program: PathBuf = program.to_owned();
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        self.run(move || {
            let output = Command::new(&program).args(&args).stdin(Stdio::null()).output()?;
            if output.status.success() {
                return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
            }
            let said = String::from_utf8_lossy(&output.stderr);
            Err(std::io::Error::other(format!("{} ({}): {}", program.display(), output.status, said.trim())))
        })
    }

    /// A socket in this place's network, usable from the current runtime.
    pub(in crate::lab) fn socket(
        &self,
        ip: impl Into<IpAddr>,
    ) -> Result<tokio::net::UdpSocket, NetworkError> {
        self.socket_at((ip.into(), 0).into())
    }

    /// The same with a port of one's choice.
    pub(in crate::lab) fn socket_at(&self, addr: SocketAddr) -> Result<tokio::net::UdpSocket, NetworkError> {
        let socket = self.run(move || {
            let socket = UdpSocket::bind(addr)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })?;
        tokio::net::UdpSocket::from_std(socket)
            .map_err(|error| NetworkError::Place { place: self.name().to_owned(), detail: error.to_string() })
    }
}
