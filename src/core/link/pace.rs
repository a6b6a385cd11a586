//! How the connections of a link are watched, and what follows of silence.

use super::heartbeat::{Beat, Pace};
use super::{ConnId, Frame, Link, LinkOut};
use crate::core::{Mono, Now};
use crate::model::{CloseCode, Path, Reason};

impl Link {
    /// Whether the end of the peer is to be noticed soon, and how many links this
    /// node has.
    pub fn set_pace(&mut self, fast_heartbeat: bool, links: usize, now: Mono) {
        (self.fast_heartbeat, self.links) = (fast_heartbeat, links);
        self.pace_all(now);
    }

    pub(super) fn pace_all(&mut self, now: Mono) {
        let (active, fast_heartbeat, links, second) =
            (self.active, self.fast_heartbeat, self.links, !self.is_opener());
        for conn in &mut self.conns {
            let pace = match conn.info.path {
                _ if active != Some(conn.info.id) => Pace::Standby,
                Path::Relayed => Pace::Fast,
                _ if fast_heartbeat => Pace::Fast,
                _ => Pace::Calm { links, second },
            };
            conn.beat.set_pace(pace, now);
        }
    }

    /// The heartbeat of one connection.
    pub(super) fn beat(&mut self, id: ConnId, now: Now, out: &mut Vec<LinkOut>) {
        let active = self.active == Some(id);
        let Some(beat) = self.conn_mut(id).and_then(|c| c.beat.on_timeout(now.mono)) else { return };
        match beat {
            Beat::Ping(token) => self.write_frame(id, &Frame::Ping { token }, out),
            Beat::Missed(token, missed) => {
                if active {
                    out.push(LinkOut::Suspect(missed));
                    self.begin_doubt(self.due_since(), now.mono, out);
                }
                self.write_frame(id, &Frame::Ping { token }, out);
            }
            Beat::Dead(missed) => {
                out.push(LinkOut::Close(id, CloseCode::Silent));
                self.on_conn_closed(id, Reason::HeartbeatsMissed { missed }, now, out);
            }
        }
    }
}
