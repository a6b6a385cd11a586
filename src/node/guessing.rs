//! The sockets of a guessed punch: those that wait to be met at the symmetric end,
//! and the connection that is dialled from the one that was.
//!
//! Probes leave from the node's own socket, whose mapping is the one that the other
//! end aims at. A socket here belongs to a task that ends with its run, so whoever
//! dies, nothing stays open. What a run may open and send is
//! [`core::guessing`](crate::core::guessing)'s to say.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio_util::task::AbortOnDropHandle;

use super::connections::{Report, Reports};
use super::transport::{Tls, dial_from};
use crate::core::engine::{GuessInput, Input};
use crate::core::guessing::{DATAGRAM_LEN, Datagram, RunId};
use crate::core::limits::GUESS_SOCKETS_MAX;
use crate::model::{Reason, clean, plain_addr};

/// A socket that only fails is read again after this long.
const PAUSE: Duration = Duration::from_millis(50);
/// Where the system gives no more sockets, so many are given back: the rest of the
/// node needs some, too.
const GIVE_BACK: usize = 32;

/// The run whose sockets are open.
struct Open {
    run: RunId,
    sockets: Vec<AbortOnDropHandle<()>>,
    /// The socket that was met first, and by whom.
    met: Option<UdpSocket>,
}

/// All of them.
pub(super) struct Guesses {
    bind: IpAddr,
    tls: Tls,
    reports: Reports,
    open: Option<Open>,
    dialling: Option<(RunId, AbortOnDropHandle<()>)>,
}

impl Guesses {
    pub(super) fn new(bind: IpAddr, tls: Tls, reports: Reports) -> Self {
        Self { bind, tls, reports, open: None, dialling: None }
    }

    /// Opens sockets and sends from each. Sockets of another run are closed.
    pub(super) fn open(&mut self, run: RunId, towards: SocketAddr, count: u16, bytes: Datagram) -> Input {
        if self.open.as_ref().is_none_or(|open| open.run != run) {
            self.open = Some(Open { run, sockets: Vec::new(), met: None });
        }
        let one = |_| self.open_one(run, towards, bytes);
        let trouble = (0..count).map(one).find_map(Result::err).map(|e| clean(&e.to_string()));
        let sockets = self.open.as_mut().map_or(0, |open| {
            if trouble.is_some() {
                open.sockets.truncate(open.sockets.len().saturating_sub(GIVE_BACK));
            }
            open.sockets.len()
        });
        let open = u16::try_from(sockets).unwrap_or(u16::MAX);
        Input::Guess(GuessInput::Opened { run, open, trouble })
    }

    fn open_one(&mut self, run: RunId, towards: SocketAddr, bytes: Datagram) -> io::Result<()> {
        let Some(open) = self.open.as_mut().filter(|o| o.sockets.len() < usize::from(GUESS_SOCKETS_MAX))
        else {
            return Err(io::ErrorKind::QuotaExceeded.into());
        };
        let bind = if self.bind.is_unspecified() { Ipv4Addr::UNSPECIFIED.into() } else { self.bind };
        let socket = std::net::UdpSocket::bind((bind, 0))?;
        socket.set_nonblocking(true)?;
        // What does not go is as lost as on the way.
        drop(socket.send_to(&bytes, towards));
        let socket = UdpSocket::from_std(socket)?;
        let reports = self.reports.clone();
        let task = tokio::spawn(async move {
            wait_for(&socket, towards, &bytes).await;
            let _ = reports.send(Report::GuessMet { run, from: towards, socket }).await;
        });
        open.sockets.push(AbortOnDropHandle::new(task));
        Ok(())
    }

    /// A socket was met. The first one counts; what is told is for the engine.
    pub(super) fn met(&mut self, run: RunId, from: SocketAddr, socket: UdpSocket) -> Option<Input> {
        let open = self.open.as_mut().filter(|open| open.run == run && open.met.is_none())?;
        open.met = Some(socket);
        Some(Input::Guess(GuessInput::Met { run, from }))
    }

    /// Dials from the socket that was met; the others are closed.
    pub(super) fn dial(&mut self, run: RunId, to: SocketAddr, within: Duration) {
        let met = self.open.take().filter(|open| open.run == run).and_then(|open| open.met);
        let (tls, reports) = (self.tls.clone(), self.reports.clone());
        let dialled = tokio::spawn(async move {
            let connected = match met.map(UdpSocket::into_std) {
                Some(Ok(socket)) => dial_from(socket, tls, to, within).await,
                Some(Err(error)) => Err(Reason::Other { detail: clean(&error.to_string()) }),
                None => Err(Reason::NoAddress),
            };
            let report = match connected {
                Ok((peer, connection)) => Report::Connected { peer, connection },
                Err(reason) => Report::Input(Input::Guess(GuessInput::DialFailed { run, reason })),
            };
            let _ = reports.send(report).await;
        });
        self.dialling = Some((run, AbortOnDropHandle::new(dialled)));
    }

    /// Closes the sockets of a run, and calls its dial off.
    pub(super) fn close(&mut self, run: RunId) {
        self.open.take_if(|open| open.run == run);
        self.dialling.take_if(|(of, _)| *of == run);
    }

    /// Closes everything.
    pub(super) fn shut_down(&mut self) {
        self.open = None;
        self.dialling = None;
    }
}

/// Reads until the run's datagram comes in from where it is to come.
async fn wait_for(socket: &UdpSocket, from: SocketAddr, bytes: &Datagram) {
    let mut buffer = [0; DATAGRAM_LEN + 1];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((len, at)) if plain_addr(at) == from && buffer[..len] == bytes[..] => return,
            Ok(_) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::sync::mpsc;

    use super::*;
    use crate::core::guessing::datagram;
    use crate::node::keys;

    const RUN: RunId = RunId([7; 16]);

    fn guesses() -> (Guesses, mpsc::Receiver<Report>) {
        let (reports, inbox) = mpsc::channel(64);
        let tls = Tls::new(&keys::generate().unwrap()).unwrap();
        (Guesses::new(Ipv4Addr::LOCALHOST.into(), tls, reports), inbox)
    }

    async fn prober() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = socket.local_addr().unwrap();
        (socket, at)
    }

    fn count(input: &Input) -> u16 {
        match input {
            Input::Guess(GuessInput::Opened { open, .. }) => *open,
            other => panic!("{other:?}"),
        }
    }

    async fn free_again(ports: &BTreeSet<SocketAddr>) {
        for at in ports {
            let free = async {
                while UdpSocket::bind(at).await.is_err() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), free).await.expect("it is closed");
        }
    }

    #[tokio::test]
    async fn only_the_runs_datagram_from_where_it_is_to_come_meets_a_socket() {
        let ((mut guesses, mut inbox), (prober, at)) = (guesses(), prober().await);
        let bytes = datagram(RUN);
        assert_eq!(count(&guesses.open(RUN, at, 5, bytes)), 5);
        assert_eq!(count(&guesses.open(RUN, at, 3, bytes)), 8, "as many are open in all");
        let (mut sources, mut buffer) = (BTreeSet::new(), [0; 64]);
        while sources.len() < 8 {
            let (len, from) = prober.recv_from(&mut buffer).await.unwrap();
            assert_eq!(buffer[..len], bytes);
            sources.insert(from);
        }
        let one = *sources.first().unwrap();
        let (stranger, _) = self::prober().await;
        stranger.send_to(&bytes, one).await.unwrap();
        prober.send_to(&datagram(RunId([8; 16])), one).await.unwrap();
        prober.send_to(&[0; 900], one).await.unwrap();
        prober.send_to(&bytes, one).await.unwrap();
        let Some(Report::GuessMet { run, from, socket }) = inbox.recv().await else { panic!("not met") };
        assert_eq!((run, from, socket.local_addr().unwrap()), (RUN, at, one));
        assert!(inbox.try_recv().is_err(), "once, and by nobody else");
        assert!(guesses.met(RUN, from, socket).is_some());
        guesses.close(RUN);
        free_again(&sources).await;
    }

    #[tokio::test]
    async fn sockets_go_with_their_run_and_with_the_node() {
        for by_close in [true, false] {
            // Where it is not closed, it goes with the closure.
            let ((mut guesses, _inbox), (prober, at)) = (guesses(), prober().await);
            guesses.open(RUN, at, 4, datagram(RUN));
            let (mut sources, mut buffer) = (BTreeSet::new(), [0; 64]);
            while sources.len() < 4 {
                sources.insert(prober.recv_from(&mut buffer).await.unwrap().1);
            }
            guesses.close(RunId([9; 16]));
            assert!(UdpSocket::bind(sources.first().unwrap()).await.is_err(), "another run's end is not its");
            let kept = by_close.then(move || {
                guesses.close(RUN);
                guesses
            });
            free_again(&sources).await;
            drop(kept);
        }
    }

    #[tokio::test]
    async fn no_more_sockets_are_opened_than_the_limit_whatever_is_asked() {
        let ((mut guesses, _inbox), (_prober, at)) = (guesses(), prober().await);
        let opened = guesses.open(RUN, at, u16::MAX, datagram(RUN));
        assert!(count(&opened) <= GUESS_SOCKETS_MAX);
    }

    #[tokio::test]
    async fn a_dial_without_a_socket_that_was_met_fails_with_its_reason() {
        let ((mut guesses, mut inbox), (_prober, at)) = (guesses(), prober().await);
        guesses.dial(RUN, at, Duration::from_secs(1));
        let Some(Report::Input(Input::Guess(GuessInput::DialFailed { run, .. }))) = inbox.recv().await else {
            panic!("no end")
        };
        assert_eq!(run, RUN);
    }
}
