//! Asking a relay for a reservation, over whichever of our connections to it the
//! library reads.
//!
//! Where two connections stand, the relay may read one of them only, and a fresh
//! one late: so a request that is not answered soon is made over another connection
//! too, and the first one still counts. Given up, it would leave a reservation on
//! the relay that nobody knows, and that stands in the way of every other one.

use std::collections::VecDeque;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ant_quic::{HighLevelConnection, Node};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::lanes::{Lane, LaneDialer, LaneTls, Reservation, ReserveError};
use super::transport;
use crate::model::{PeerId, plain_addr};

/// How long we try to get a reservation.
const RESERVE_WITHIN: Duration = Duration::from_secs(3);
/// A relay answers in a round trip; one that takes this long is asked over another
/// connection too.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Until a relay is asked again, which held an older reservation of ours, or lost
/// the connection.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What it takes to get a reservation.
pub(super) struct Asking {
    pub(super) node: Node,
    pub(super) relay: PeerId,
    pub(super) tls: LaneTls,
    pub(super) lanes: mpsc::Sender<Lane>,
    pub(super) dialer: Arc<LaneDialer>,
    /// Our last address on that relay.
    pub(super) old: Option<SocketAddr>,
}

impl Asking {
    /// Asks over these connections, the first first, until there is a reservation,
    /// a refusal, or no time left; and at which address the relay answered. None of
    /// them is held on to: it closes when the library or the link lets go of it.
    pub(super) async fn run(
        self,
        over: Vec<HighLevelConnection>,
    ) -> Result<(Reservation, IpAddr), ReserveError> {
        let (relay, tls, lanes) = (self.relay, &self.tls, &self.lanes);
        let open = |connection: HighLevelConnection| async move {
            let at = plain_addr(connection.remote_address()).ip();
            match Reservation::open(relay, &connection, tls, lanes.clone(), RESERVE_WITHIN).await {
                Ok(reservation) => Ok((reservation, at)),
                Err(error) => Err((error, connection)),
            }
        };
        // One may come up while we wait.
        let come_up = || transport::connection(&self.node, &self.relay);
        first_answer(Over { asked: Vec::new(), next: over.into(), come_up }, open, || {
            self.old.map(|old| self.dialer.nudge(old)).is_some()
        })
        .await
    }
}

/// What can be asked over.
trait Way: Clone {
    fn number(&self) -> usize;
    fn is_open(&self) -> bool;
}

impl Way for HighLevelConnection {
    fn number(&self) -> usize {
        self.stable_id()
    }

    fn is_open(&self) -> bool {
        self.close_reason().is_none()
    }
}

/// The ways there are.
struct Over<W, N> {
    /// Those over which an answer may still come.
    asked: Vec<usize>,
    next: VecDeque<W>,
    come_up: N,
}

impl<W: Way, N: Fn() -> Option<W>> Over<W, N> {
    /// One over which nothing is asked.
    fn take(&mut self) -> Option<W> {
        let next = std::mem::take(&mut self.next).into_iter().chain((self.come_up)());
        for way in next.filter(Way::is_open) {
            if !self.asked.contains(&way.number()) && self.next.iter().all(|w| w.number() != way.number()) {
                self.next.push_back(way);
            }
        }
        let way = self.next.pop_front()?;
        self.asked.push(way.number());
        Some(way)
    }

    fn give_back(&mut self, way: W) {
        self.asked.retain(|number| *number != way.number());
        self.next.push_front(way);
    }
}

/// Asks over one way after the other, without giving up the earlier ones, until one
/// says yes or no. `taken`: the relay thinks that it has given us one already;
/// whether that is an older one, which it has been told of.
async fn first_answer<W: Way, T, F: Future<Output = Result<T, (ReserveError, W)>>>(
    mut over: Over<W, impl Fn() -> Option<W>>,
    ask: impl Fn(W) -> F,
    taken: impl Fn() -> bool,
) -> Result<T, ReserveError> {
    let until = Instant::now() + RESERVE_WITHIN;
    let mut asked: FuturesUnordered<_> = over.take().map(&ask).into_iter().collect();
    let mut again = Instant::now() + if asked.is_empty() { ASK_AGAIN } else { ANSWER_WITHIN };
    let mut error = None;
    loop {
        let answer = async {
            match asked.next().await {
                Some(answer) => answer,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = answer => {
                let (refusal, way) = match answer {
                    Ok(yes) => return Ok(yes),
                    Err(refused) => refused,
                };
                match refusal {
                    ReserveError::Taken if taken() => over.give_back(way),
                    // The request before it was taken, and is answered soon.
                    ReserveError::Taken if !asked.is_empty() => {}
                    ReserveError::Lost => over.give_back(way),
                    refusal => return Err(refusal),
                }
                error = Some(refusal);
                again = Instant::now() + ASK_AGAIN;
            }
            () = sleep_until(until) => return Err(error.unwrap_or(ReserveError::Stalled(RESERVE_WITHIN))),
            () = sleep_until(again) => {
                asked.extend(over.take().map(&ask));
                again = Instant::now() + if asked.is_empty() { ASK_AGAIN } else { ANSWER_WITHIN };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use tokio::time::sleep;

    use super::*;

    /// A connection, and after how many milliseconds it answers what.
    #[derive(Debug, Clone)]
    struct Scripted {
        number: usize,
        after: u64,
        says: Result<(), ReserveError>,
        broken: Rc<Cell<bool>>,
    }

    fn way(number: usize, after: u64, says: Result<(), ReserveError>) -> Scripted {
        Scripted { number, after, says, broken: Rc::default() }
    }

    impl Way for Scripted {
        fn number(&self) -> usize {
            self.number
        }

        fn is_open(&self) -> bool {
            !self.broken.get()
        }
    }

    const NEVER: u64 = 100_000;

    /// The answer, the number of the connection that gave it, after how long, and
    /// over which connections was asked.
    async fn asked(
        ways: Vec<Scripted>,
        later: Option<Scripted>,
        old: bool,
    ) -> (Result<usize, ReserveError>, u128, Vec<usize>) {
        let (begun, log) = (Instant::now(), RefCell::new(Vec::new()));
        let come_up = || later.clone().filter(|_| begun.elapsed() > ANSWER_WITHIN / 2);
        let answer = first_answer(
            Over { asked: Vec::new(), next: ways.into(), come_up },
            |way: Scripted| {
                log.borrow_mut().push(way.number);
                async move {
                    sleep(Duration::from_millis(way.after)).await;
                    way.broken.set(way.says == Err(ReserveError::Lost));
                    way.says.clone().map(|()| way.number).map_err(|error| (error, way))
                }
            },
            || old,
        );
        let answer = answer.await;
        (answer, begun.elapsed().as_millis(), log.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_prompt_relay_is_asked_once() {
        let ways = vec![way(1, 80, Ok(())), way(2, 80, Ok(()))];
        assert_eq!(asked(ways, None, false).await, (Ok(1), 80, vec![1]));
        let refused = Err(ReserveError::Refused { status: 503 });
        let ways = vec![way(1, 80, refused.clone()), way(2, 80, Ok(()))];
        let (answer, ..) = asked(ways, None, false).await;
        assert_eq!(answer.map(|_| ()), refused, "a refusal is one over whatever connection");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_answered_late_still_counts() {
        let ways = vec![way(1, 1_500, Ok(())), way(2, 80, Err(ReserveError::Taken))];
        assert_eq!(asked(ways, None, false).await, (Ok(1), 1_500, vec![1, 2]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_nobody_reads_is_left_for_another_that_may_come_up_meanwhile() {
        let silent = || vec![way(1, NEVER, Ok(()))];
        let other = Some(way(2, 50, Ok(())));
        assert_eq!(asked(silent(), other, false).await, (Ok(2), 1_050, vec![1, 2]));
        let (answer, after, over) = asked(silent(), None, false).await;
        assert_eq!((answer, after), (Err(ReserveError::Stalled(RESERVE_WITHIN)), 3_000));
        assert_eq!(over, [1], "no second request over the same one");
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_reservation_is_told_of_and_asked_past_and_an_unknown_one_is_a_refusal() {
        let taken = || vec![way(1, 20, Err(ReserveError::Taken))];
        let (answer, after, over) = asked(taken(), None, true).await;
        assert_eq!((answer, after), (Err(ReserveError::Taken), 3_000));
        assert!(over.len() > 20, "{over:?}");
        assert_eq!(asked(taken(), None, false).await, (Err(ReserveError::Taken), 20, vec![1]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_breaks_is_not_asked_again() {
        let ways = vec![way(1, 30, Err(ReserveError::Lost)), way(2, 40, Ok(()))];
        assert_eq!(asked(ways, None, false).await, (Ok(2), 170, vec![1, 2]));
    }
}
