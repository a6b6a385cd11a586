//! Every limit against abuse: a named constant with its unit and reason.
//!
//! Each one has a counter that the console shows and a test that fails when
//! the limit is removed.

use std::time::Duration;

/// Largest frame that carries a page of records or of a digest, in bytes.
pub const PAGE_FRAME_MAX: usize = 64 * 1024;
/// Largest frame of any other kind, in bytes: nothing we say is longer.
pub const FRAME_MAX: usize = 4 * 1024;
/// Ports for NAT probes that a Hello may name.
pub const PROBE_PORTS_MAX: usize = 2;
/// A link says Hello within this time of its stream, or is closed.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Handshakes from outside at once: each holds some kilobytes and costs half a
/// millisecond of cryptography.
pub const HANDSHAKES_AT_ONCE: usize = 64;
/// From so many on an address has to prove itself by a round trip (Retry).
pub const HANDSHAKES_FREE: usize = 32;
/// Handshakes at once from one IPv4 address or IPv6 /64 (loopback exempt when
/// our own bind is loopback) ...
pub const HANDSHAKES_PER_SOURCE: usize = 16;
/// ... of which so many without such a proof: who forges an address does not
/// keep its owner out.
pub const HANDSHAKES_PER_SOURCE_FREE: usize = 8;
/// First packets a second after which every address has to prove itself.
pub const INITIALS_PER_SECOND: f64 = 100.0;
/// First packets that wait for the node to look at them.
pub const HANDSHAKES_WAITING_MAX: usize = 256;
/// Bytes kept of what follows one of them meanwhile: the rest of a hello with a
/// post-quantum key share.
pub const HANDSHAKE_BUFFER_EACH: u64 = 8 * 1024;
/// The same for all of them.
pub const HANDSHAKE_BUFFER_MAX: u64 = 512 * 1024;
/// A handshake takes at most this long: the slowest path that carries a usable
/// link is faster.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// A connection on which nothing is heard for this long has ended. Links know
/// it long before, by their heartbeats.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(30);
/// Streams that the other end of a connection may have open at once until its link
/// is up: a control stream, and one that it replaces.
pub const STRANGER_STREAMS_MAX: u32 = 2;
/// Bytes that it may send ahead until then, over all streams: the longest frame
/// that anybody has to say before. The library keeps up to some hundred bytes for
/// each piece with a hole before it, so what a few bytes can cost is bounded by this.
pub const STRANGER_WINDOW: u32 = FRAME_MAX as u32;
/// Bytes of a handshake kept that came before what belongs in front of them: a
/// post-quantum certificate and its signature are 6 KiB.
pub const HANDSHAKE_AHEAD_MAX: usize = 8 * 1024;
/// Streams that it may have open once the link is up: a control stream, one that it
/// replaces, reservations in the same way, and the load of a path test.
pub const CONNECTION_STREAMS_MAX: u32 = 5;
/// Bytes that either end may have under way over one connection: 5 MB/s at a round
/// trip of 100 ms, which is more than a relay carries. Four connections of a peer
/// gone bad come to 2 MiB of what we receive, and so to 4 MiB with what its link
/// keeps ([`UNACKED_MAX`]) and what waits to be written ([`WRITE_WAITING_MAX`]).
pub const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Bytes that wait to be written to a control stream. No more than a link keeps
/// unacknowledged waits for a peer that reads; a peer that acknowledges what it never
/// read is given up.
pub const WRITE_WAITING_MAX: usize = UNACKED_MAX + 64 * 1024;
/// Connections that one peer may have to us: the one in use, one that stands by, and
/// one that each end dialled just now.
pub const CONNECTIONS_PER_PEER_MAX: usize = 4;
/// Which frames came on a connection is looked at this often: the library keeps an
/// answer to each `TRY_CONNECT_TO` that it never gives, sends empty packets for it without
/// end, and no node of ours sends one.
pub const FRAMES_LOOKED_AT_EVERY: Duration = Duration::from_millis(250);
/// Times that the other end of a connection may say where it sees us by the library's own
/// frame, which keeps 56 bytes of each: a NAT that maps anew every half minute takes a day.
pub const OBSERVED_FRAMES_MAX: u64 = 4_096;

/// A first packet shorter than this is not answered, whatever its version: it may be
/// forged, and the answer must not be longer than the question. QUIC wants it so long.
pub const FIRST_PACKET_MIN: usize = 1_200;

/// Spells of our own NAT that are remembered and shown.
pub const NAT_SPELLS_MAX: usize = 16;

/// Soundings that are answered in a second, whoever asks: as many bytes go back as came,
/// to an address that may be forged. A dial asks three times.
pub const SOUNDINGS_ANSWERED_PER_S: f64 = 20.0;

/// Links at once.
pub const LINKS_MAX: usize = 256;
/// Of those for peers that came by themselves and that we never had to do with: half.
/// The other half is kept for those whom we dialled or knew.
pub const LINKS_STRANGERS_MAX: usize = LINKS_MAX / 2;
/// Beside them, peers that have said nothing yet or never will: as many as may be in
/// their handshakes at once ([`HANDSHAKES_AT_ONCE`]). The oldest goes first.
pub const LINKS_MUTE_MAX: usize = 64;
/// Links from one IP address (loopback exempt when our own bind is loopback).
pub const LINKS_PER_IP_MAX: usize = 16;
/// A peer that was linked for this long is no stranger, in what we keep for it and the
/// next time that it comes: long enough that nobody does it in passing.
pub const STRANGER_FOR: Duration = Duration::from_secs(60);

/// Addresses in one record: more is padding.
pub const RECORD_ADDRESSES_MAX: usize = 8;
/// Relay addresses in one record.
pub const RECORD_RELAYS_MAX: usize = 4;
/// Homes in one record.
pub const RECORD_HOMES_MAX: usize = 3;
/// Records in one page.
pub const PAGE_RECORDS_MAX: usize = 256;
/// Bytes of a peer's name.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of a network's name.
pub const NETWORK_BYTES_MAX: usize = 64;
/// Ports below this are never dialled on hearsay: a gossiped address must not
/// aim us at somebody's well-known service.
pub const RECORD_PORT_MIN: u16 = 1024;
/// A version this far above the known one is a forgery, where no signature says
/// otherwise: nobody changes his record a million times between two contacts.
pub const VERSION_JUMP_MAX: u64 = 1 << 20;
/// The version of our own record that a start goes on from, at most: a change every
/// millisecond does not get there in 8 000 years, and above there is room to go on.
pub const OWN_VERSION_MAX: u64 = 1 << 48;

/// Hearsay that nothing bears out moves what another said by one version in this
/// time, so that a liar who counts up step by step needs days for what a subject
/// undoes at once. A peer that signs nothing changes less often than this.
pub const HEARSAY_STEP_EVERY: Duration = Duration::from_secs(60);
/// Claims about one peer that wait for somebody to bear them out, one of each
/// network: two that agree are enough ...
pub const CLAIMS_PER_PEER: usize = 4;
/// ... and about all peers together: some 200 bytes each. Who makes up more only
/// pushes out his own, and the peer is asked in any case.
pub const CLAIMS_MAX: usize = 1_024;

/// Records taken from one link, sustained, per second.
pub const INTAKE_PER_SECOND: f64 = 1.0;
/// Records taken from one link in a burst.
pub const INTAKE_BURST: f64 = 1_000.0;
/// Records taken from one link in a burst after our own Request.
pub const INTAKE_BURST_REQUESTED: f64 = 10_000.0;

/// Full syncs served per link in a burst.
pub const SYNC_SERVE_BURST: f64 = 6.0;
/// One more full sync served per link after this long.
pub const SYNC_SERVE_EVERY: Duration = Duration::from_secs(30);
/// Full syncs in flight over all links.
pub const SYNC_SERVE_IN_FLIGHT: usize = 4;
/// A full sync that finds no room for this long is given up: a link that takes
/// nothing must not hold one of the places.
pub const SYNC_STALL: Duration = Duration::from_secs(10);
/// Answers that one link may have waiting.
pub const SYNC_QUEUE_MAX: usize = 6;
/// Single records served per link on request, in a burst: two rounds of repair.
pub const RECORDS_SERVE_BURST: f64 = 4_096.0;
/// Single records served per link on request, sustained, per second.
pub const RECORDS_SERVE_PER_SECOND: f64 = 34.0;
/// Records that one prefix in a request yields. Honest ids never share their
/// first 64 bits, but whoever makes hearsay up may give a thousand ids one prefix.
pub const PREFIX_RECORDS_MAX: usize = 4;
/// Digests looked at per link in a burst; each costs us up to a page train.
pub const DIGEST_BURST: f64 = 3.0;
/// One more digest looked at per link after this long.
pub const DIGEST_EVERY_MIN: Duration = Duration::from_secs(30);
/// Records asked for in one round of repair.
pub const REPAIR_PULL_MAX: usize = 2_000;
/// Records sent unasked in one round of repair.
pub const REPAIR_PUSH_MAX: usize = 256;
/// Records sent to one link in one batch of deltas: the other end takes no
/// more unasked.
pub const DELTA_RECORDS_MAX: usize = 1_000;
/// Our own record is issued again because of hearsay at most this often: else a
/// liar makes us flood the fleet with new versions.
pub const REISSUE_EVERY: Duration = Duration::from_secs(30);
/// What a peer used up is remembered this long after its link went down, so
/// that linking again brings no new burst ...
pub const METERS_KEPT: Duration = Duration::from_secs(600);
/// ... for at most so many peers.
pub const METERS_MAX: usize = 1_024;
/// `WhoHas` questions answered per link and minute.
pub const WHO_HAS_PER_MINUTE: f64 = 60.0;
/// How often a link may tell us that it sees us elsewhere, a minute: each time
/// our record changes, and everybody hears of it.
pub const OBSERVED_PER_MINUTE: f64 = 6.0;
/// What peers see of us that contradicts our measured NAT has it measured anew at
/// once, so often a minute by the word of one peer ...
pub const NAT_DOUBTS_PER_PEER_MINUTE: f64 = 1.0;
/// ... and of all: a liar, or several, must not keep a node from knowing its NAT.
pub const NAT_DOUBTS_PER_MINUTE: f64 = 6.0;
/// Networks, /16 of IPv4 and /32 of IPv6, from which an address of ours must be
/// seen before we name it to others, who dial there when we are gone: one network
/// can belong to one liar. Where all that we are linked to is in one network, as a
/// fleet of three on one LAN is, so many hosts of it; with one host alone its word
/// counts, since nobody else hears it. Loopback is exempt when our own bind is
/// loopback.
pub const SIGHT_QUARTERS: usize = 2;
/// Questions for our half of a story, or for what we saw of somebody else, that
/// a link may ask a minute.
pub const WHY_PER_MINUTE: f64 = 6.0;
/// Linked peers that are asked at once for what they saw of another.
pub const ACCOUNTS_ASKED_MAX: usize = 4;
/// Hosts that are knocked at when a person asks why, each with one datagram and
/// one TCP connect, and only where we dialled by ourselves before.
pub const KNOCKS_MAX: usize = 4;
/// What an operator asks why about brings no new knocks sooner than this.
pub const KNOCK_EVERY: Duration = Duration::from_secs(5);
/// Links that ended of which it is remembered when and how.
pub const GONE_LINKS_MAX: usize = 1_024;
/// What coordination notes of its requests, for those who ask what became of
/// them ...
pub const COORDINATION_LOG_MAX: usize = 512;
/// ... and of one requester's.
pub const COORDINATION_LOG_PER_REQUESTER: usize = 24;

/// Addresses in one punch request.
pub const PUNCH_ADDRESSES_MAX: usize = 8;
/// Punch requests and invitations taken from one requester, per minute ...
pub const PUNCH_PER_REQUESTER_MINUTE: f64 = 6.0;
/// ... and at once.
pub const PUNCH_PER_REQUESTER_BURST: f64 = 3.0;
/// One request for the same requester and target in this time.
pub const PUNCH_PER_PAIR: Duration = Duration::from_secs(4);
/// Addresses that a target dials for one of them: one of each family.
pub const PUNCH_DIALS_MAX: usize = 2;
/// Requests for one target from everybody, per minute; the target itself counts
/// those that reach it.
pub const PUNCH_PER_TARGET_MINUTE: f64 = 12.0;
/// Requests that an intermediary takes altogether, per minute ...
pub const PUNCH_PER_MINUTE: f64 = 60.0;
/// ... and how many may wait for their targets at once.
pub const PUNCH_IN_FLIGHT: usize = 16;
/// A nonce counts this long from its receipt; no remote clock is trusted.
pub const NONCE_VALID: Duration = Duration::from_secs(10);
/// Nonces that are remembered.
pub const NONCES_KEPT: usize = 4_096;
/// Requesters and targets whose rates are remembered.
pub const PUNCH_METERS_MAX: usize = 1_024;
/// Probe datagrams reflected per link and minute: a measurement takes six, and
/// one every four seconds two or three.
pub const PROBE_REFLECTIONS_PER_MINUTE: f64 = 30.0;
/// The longest time after which a probe datagram is answered: a NAT that keeps a
/// mapping for five minutes without traffic keeps it long enough for anybody.
pub const LATE_ANSWER_MAX: Duration = Duration::from_secs(300);
/// Late answers that one peer may wait for ...
pub const LATE_ANSWERS_PER_PEER: usize = 12;
/// ... and all peers together.
pub const LATE_ANSWERS: usize = 256;
/// Dial-backs sent for one peer per minute: a filter is known after three that
/// stayed out.
pub const DIAL_BACKS_PER_MINUTE: f64 = 4.0;
/// Dial-backs in flight for all peers together ...
pub const DIAL_BACKS_IN_FLIGHT: usize = 8;
/// ... each for this long, since nothing tells when one arrived.
pub const DIAL_BACK_FLIGHT: Duration = Duration::from_secs(1);
/// Ports below this get no dial-back: no NAT maps an ephemeral port to one, and
/// well-known services live there.
pub const DIAL_BACK_PORT_MIN: u16 = 1024;
/// Datagrams that one probe socket hands on per second; the rest is dropped
/// where it comes in, so that a flood does not keep the node busy.
pub const PROBE_DATAGRAMS_PER_SECOND: f64 = 256.0;
/// Peers whose reachability we test at once.
pub const REACH_TESTS_AT_ONCE: usize = 2;
/// One peer's reachability is tested at most this often: each test costs it
/// some 1 200-byte packets.
pub const REACH_TEST_EVERY: Duration = Duration::from_secs(60);

/// Peers never contacted that the cache keeps.
pub const CACHE_NEW_MAX: usize = 16_384;
/// Peers that the cache keeps of those that we dialled with success or that kept a
/// link for [`KEPT_LINK`].
pub const CACHE_TRIED_MAX: usize = 4_096;
/// Who dialled us counts as a peer that we know once its link stood this long: an
/// identity that is thrown away costs its maker a minute of a link, and there are
/// only so many.
pub const KEPT_LINK: Duration = Duration::from_secs(60);
/// Who is known longer than this goes last when the cache is full, whatever is
/// measured of it: nobody makes yesterday's identities today.
pub const KNOWN_LONG: Duration = Duration::from_secs(24 * 3600);
/// A name under which a peer was linked is remembered this long: whoever else is
/// called so meanwhile is marked.
pub const NAME_REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);
/// Peers of which that is remembered for one name ...
pub const NAME_USERS_MAX: usize = 4;
/// ... and names: some 200 bytes for each of a full table of tried peers.
pub const NAMES_MAX: usize = 4_096;
/// Share of the untried peers that one source may have told us of, in percent.
pub const SOURCE_SHARE_PERCENT: usize = 10;
/// The source share counts from this many untried peers on.
pub const SOURCE_SHARE_FROM: usize = 513;
/// Share of the untried peers in one /16 (IPv4) or /32 (IPv6), in percent.
pub const PREFIX_SHARE_PERCENT: usize = 5;
/// The prefix share counts from this many untried peers on, so that a small
/// fleet in one prefix works.
pub const PREFIX_SHARE_FROM: usize = 65;
/// Deleted peers of which the last version is remembered, so that gossip does
/// not bring them back.
pub const GONE_MAX: usize = 4_096;

/// Dials at once that gossip caused.
pub const GOSSIP_DIALS_AT_ONCE: usize = 8;
/// Dials per second that gossip caused.
pub const GOSSIP_DIALS_PER_SECOND: f64 = 2.0;
/// One dial per IP address in this time; that a peer was once met exempts only the
/// address at which it answered.
pub const GOSSIP_DIAL_PER_IP: Duration = Duration::from_secs(10);
/// An address at which a peer never answered us is dialled so often on the same
/// version of what names it. Whoever is really there dials us, or says so anew.
pub const WORD_FAILURES: u32 = 3;
/// ... and once more after this long.
pub const WORD_FORGOTTEN: Duration = Duration::from_secs(24 * 3600);
/// Dials in a row that one source of names may have come to nothing before those
/// that it names wait longer and longer: a book of ordinary age names that many
/// that are off.
pub const SOURCE_MISSES_FREE: u32 = 16;
/// Hosts, sources and addresses of which failures are remembered: so many each.
pub const CAUTION_MAX: usize = 4_096;
/// Peers that gossip named and that wait to be dialled. Feelers and the best of the
/// book find the others.
pub const SCHEDULE_MAX: usize = 1_024;
/// A dial that gossip caused waits up to this long, at random: a record that
/// reaches a whole fleet must not aim the fleet at one host at one moment.
pub const GOSSIP_DIAL_JITTER: Duration = Duration::from_secs(2);

/// Outbound links we want, so that nobody can surround us by dialling.
pub const OUTBOUND_WANTED: usize = 8;

/// Peers that we were linked to longest are kept over a restart: so many.
pub const ANCHORS: usize = 2;
/// One untried peer is dialled for no other reason than to try it, this often.
pub const FEELER_EVERY: Duration = Duration::from_secs(120);

/// Bytes of sent frames that a link keeps until they are acknowledged.
pub const UNACKED_MAX: usize = 1024 * 1024;

/// Bytes of what was not acknowledged that we keep altogether for peers without a
/// connection, who may come back for it; who left first goes first.
pub const KEPT_SESSIONS_MAX: usize = 64 * 1024 * 1024;
/// What a session counts beside that: its link and its table of messages.
pub const KEPT_SESSION_EACH: usize = 4 * 1024;

/// Datagrams that our socket over a relay lane queues each way; the oldest is
/// dropped, because QUIC sends it again and a late one only delays the rest.
pub const LANE_QUEUE_MAX: usize = 512;
/// A lane on which nothing comes for this long is gone.
pub const LANE_IDLE: Duration = Duration::from_secs(30);
/// Handshakes under way on one reservation: each costs us a signature, and
/// anybody can begin one.
pub const LANE_HANDSHAKES_AT_ONCE: usize = 16;
/// Reservations of ours: the active one and the standby.
pub const RESERVATIONS_MAX: usize = 2;
/// Lanes that a peer can have us dial by what it says of its relays: a burst, as
/// its operator may hand over a few times in a row, and so many a minute.
pub const HANDOVERS_BURST: f64 = 6.0;
/// The sustained rate of them.
pub const HANDOVERS_PER_MINUTE: f64 = 6.0;
/// Standby lanes that a peer's record can have us dial to it: a burst, as both its
/// reservations may change at once and again, and so many a minute.
pub const STANDBYS_BURST: f64 = 4.0;
/// The sustained rate of them.
pub const STANDBYS_PER_MINUTE: f64 = 6.0;
/// Moves between connections that stand which a peer may have us make: a burst,
/// as its operator may hand over many times in a row, and so many a minute. Each
/// is told to everybody who watches.
pub const MOVES_BURST: f64 = 24.0;
/// The sustained rate of them.
pub const MOVES_PER_MINUTE: f64 = 30.0;
/// Connections on one reservation that stand and are not used yet: whoever
/// warms a relay beside a punch holds one, and anybody can.
pub const LANES_WAITING_MAX: usize = 64;

/// Reservations that we serve at once: at the sustained rate of each they come to
/// 16 MiB/s each way, and to some 25 MiB of memory when every queue is full.
pub const SERVED_MAX: usize = 64;
/// Reservations for peers at one IP address (loopback exempt when our own bind is
/// loopback): a home with a few nodes, and no farm.
pub const SERVED_PER_IP_MAX: usize = 4;
/// What a reservation carries each way, sustained, in bytes per second: what
/// control traffic and a slow transfer need. A relay is a way in, not a network.
pub const SERVED_BYTES_PER_SECOND: f64 = 256.0 * 1024.0;
/// What it carries each way at once, in bytes: what a link keeps unacknowledged,
/// twice, so that a link that moves onto it sends all of it again.
pub const SERVED_BURST: f64 = 2.0 * 1024.0 * 1024.0;
/// A datagram leaves a reservation only to where something came from within this
/// time: two of the longest pauses of a lane that lives.
pub const SERVED_HEARD: Duration = Duration::from_secs(60);
/// Bytes to an address that has not answered yet: the source of a first packet may
/// be forged. A handshake's first answer of up to 6 packets fits.
pub const SERVED_UNPROVEN_BYTES: u64 = 8 * 1024;
/// Addresses that one reservation remembers. A holder has fewer lanes than this
/// ([`LINKS_MAX`]); the rest are strangers, and the oldest of them goes first.
pub const SERVED_ADDRESSES_MAX: usize = 256;
/// The longest datagram that a reservation carries, in bytes: what an Ethernet
/// takes. QUIC finds out by itself that longer ones do not pass.
pub const SERVED_DATAGRAM_MAX: usize = 1_500;
/// The longest frame that a holder may announce on the stream: such a datagram,
/// its address, and room for a longer form of its first field.
pub const SERVED_FRAME_MAX: usize = SERVED_DATAGRAM_MAX + 32;
/// The longest request for a reservation, in bytes: a flag, a host and a port.
pub const SERVED_REQUEST_MAX: usize = 512;
/// Datagrams that wait for a holder who reads too slowly; the oldest is dropped.
/// Half a second at the sustained rate: what is older is sent again anyway.
pub const SERVED_QUEUE_MAX: usize = 128;
/// Requests for a reservation that one peer may make in a burst ...
pub const SERVED_ASKS_BURST: f64 = 6.0;
/// ... and a minute: a client that is refused or lost one waits 5 to 20 s.
pub const SERVED_ASKS_PER_MINUTE: f64 = 12.0;
/// Peers whose rates of asking are remembered.
pub const SERVED_ASKERS_MAX: usize = 512;
/// A request that overtook the last word of the link's handshake waits for it this
/// long ...
pub const SERVED_ASK_WAIT: Duration = Duration::from_secs(1);
/// ... and at most so many do at once.
pub const SERVED_ASKS_WAITING_MAX: usize = 16;
/// A reservation outlives its link by no more than this: a link that comes back
/// over the same connection a moment later must not cost all its lanes.
pub const SERVED_LINK_GRACE: Duration = Duration::from_secs(5);
/// A reservation over which nothing travels, and whose holder says nothing on the
/// link either, ends after this: as long as a lane lives.
pub const SERVED_IDLE: Duration = LANE_IDLE;
/// Whose reservation the operator ended gets none for this long ...
pub const SERVED_KEPT_OFF: Duration = Duration::from_secs(600);
/// ... and so many are remembered: each was ended by hand.
pub const SERVED_KEPT_OFF_MAX: usize = 256;

/// Sockets that a symmetric end opens to be guessed: each is a mapping of its NAT,
/// and of 64 512 ports so many are met by [`GUESS_PROBES_MAX`] probes 98 times in
/// 100.
pub const GUESS_SOCKETS_MAX: u16 = 256;
/// Probes of one run: two seconds' worth, and as many entries of connection
/// tracking at the prober's router.
pub const GUESS_PROBES_MAX: u16 = 1024;
/// Bytes of a probe, at most: whoever is hit by mistake gets 64 KiB a run.
pub const GUESS_DATAGRAM_MAX: usize = 64;
/// Datagrams a second, whether they open or probe: below what a home router
/// takes for a flood.
pub const GUESS_PER_SECOND: u16 = 500;
/// Probes are never aimed below this: well-known services are there.
pub const GUESS_PORT_MIN: u16 = 1024;
/// A NAT whose ports move by no more than this from mapping to mapping is tried
/// by its neighbours first ...
pub const GUESS_STEP_MAX: u16 = 16;
/// ... with so many probes.
pub const GUESS_NEIGHBOURS: u16 = 32;
/// Runs for one pair of peers within [`GUESS_WINDOW`]: two fail together three
/// times in ten thousand.
pub const GUESS_RUNS_PER_PAIR: usize = 2;
/// Runs towards one IP address within [`GUESS_WINDOW`]: many identities may say
/// that they are there, and one host bears it all.
pub const GUESS_RUNS_PER_IP: usize = 4;
/// Runs of a node within [`GUESS_WINDOW`]: a router's table fills by all of them.
pub const GUESS_RUNS_PER_NODE: usize = 24;
/// How long runs count.
pub const GUESS_WINDOW: Duration = Duration::from_secs(600);
/// Offers of one peer that are looked at, and answered, within [`GUESS_WINDOW`];
/// further ones are dropped.
pub const GUESS_OFFERS_PER_PEER: usize = 12;
/// Who sees the other end is asked for no longer than this, and so many answers
/// are kept.
pub const GUESS_WITNESSES_MAX: usize = 16;

/// The shortest time that a path is tested.
pub const TEST_FOR_MIN: Duration = Duration::from_secs(1);
/// The longest time that a path is tested, whatever is asked for.
pub const TEST_FOR_MAX: Duration = Duration::from_secs(60);
/// A run that is not over so long after its time is ended by the tested end ...
pub const TEST_GRACE: Duration = Duration::from_secs(5);
/// ... and so is one of which nothing is heard for this long.
pub const TEST_SILENT: Duration = Duration::from_secs(3);
/// Load of a test each way, in bytes per second: 100 Mbit/s. What is faster is shown
/// as at least that.
pub const TEST_RATE_MAX: u32 = 12_500_000;
/// The same over a relay: three quarters of what a reservation carries, so that the
/// rest goes on, and nothing of it is dropped.
pub const TEST_RELAY_RATE_MAX: u32 = (SERVED_BYTES_PER_SECOND * 0.75) as u32;
/// Load of a run each way, in bytes: more than a second at the highest rate. A member
/// can have a node send and take this much, so often as [`TEST_RUNS_PER_PEER`] says.
pub const TEST_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Bytes of load under way at once: half of what a connection takes
/// ([`CONNECTION_WINDOW`]), so that there is always room for what the link says.
pub const TEST_WINDOW_MAX: u64 = CONNECTION_WINDOW as u64 / 2;
/// Runs at which a node is the tested end at once; of one peer it is one.
pub const TESTS_SERVED_MAX: usize = 2;
/// Runs of one peer, which are a test of three paths eight times, within
/// [`TEST_WINDOW`].
pub const TEST_RUNS_PER_PEER: usize = 24;
/// Runs of everybody within [`TEST_WINDOW`].
pub const TEST_RUNS_PER_NODE: usize = 96;
/// Offers of one peer that are answered within [`TEST_WINDOW`]; further ones are
/// dropped.
pub const TEST_OFFERS_PER_PEER: usize = 48;
/// How long runs and offers count.
pub const TEST_WINDOW: Duration = Duration::from_secs(600);
/// Datagrams of a test that are answered a second: twice as many as there are.
pub const TEST_ECHOES_PER_SECOND: f64 = 200.0;
/// Bytes of datagrams that wait to be read on one connection, and the longest one that
/// the other end may send. A test's are 48 bytes, 100 a second.
pub const DATAGRAM_BUFFER: usize = 4 * 1024;
/// Datagrams between two looks ([`FRAMES_LOOKED_AT_EVERY`]) for which a connection is
/// closed: ten times what a test sends, or the library would note each that it drops.
pub const DATAGRAMS_PER_LOOK: u64 = 250;
/// Peers of which the latest test is kept.
pub const TESTS_KEPT: usize = 64;

/// Largest body that a registry reads, in bytes.
pub const REGISTRY_BODY_MAX: usize = 256 * 1024;
/// Reports in one batch.
pub const REGISTRY_BATCH_MAX: usize = 500;
/// Posts to a registry from one IP address, per minute: fifty busy nodes behind
/// one address.
pub const REGISTRY_POSTS_PER_IP: f64 = 600.0;
/// Posts by one reporter, per minute.
pub const REGISTRY_POSTS_PER_REPORTER: f64 = 60.0;
/// Questions to a registry from one IP address, per minute.
pub const REGISTRY_GETS_PER_IP: f64 = 120.0;
/// Event streams of a registry at once.
pub const REGISTRY_STREAMS_MAX: usize = 32;
/// Connections to a registry at once.
pub const REGISTRY_CONNECTIONS_MAX: usize = 1024;
/// ... and from one IPv4 address or IPv6 /64: fifty busy nodes and some readers. A
/// proxy that is believed stands for many.
pub const REGISTRY_CONNECTIONS_PER_IP: usize = 128;
/// A request's head that is not whole after this long is not waited for.
pub const REGISTRY_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head: all that one who never ends it can make a registry hold.
pub const REGISTRY_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Reporters that a registry knows: whoever is let in may make up as many. The idle
/// ones make way.
pub const REGISTRY_REPORTERS_MAX: u64 = 10_000;
/// Reporters that never reported before, from one IP address: so many at once ...
pub const REGISTRY_NEWCOMERS_PER_IP: f64 = 256.0;
/// ... and one more after each such time: to take all places takes a week.
pub const REGISTRY_NEWCOMER_EVERY: Duration = Duration::from_secs(60);
/// Different wrong tokens that an address, or a connection, may show before it has to
/// wait: the old one, the one with a typing error, and some more.
pub const REGISTRY_GUESSES_FREE: u32 = 5;
/// How long after one more; twice as long after each further one ...
pub const REGISTRY_GUESS_PAUSE: Duration = Duration::from_secs(1);
/// ... up to this.
pub const REGISTRY_GUESS_PAUSE_MAX: Duration = Duration::from_secs(300);
/// A body that is not here after this long is not waited for.
pub const REGISTRY_BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Who scrapes a node's metrics at once; one more takes the place of who came first.
pub const METRICS_AT_ONCE: usize = 16;
/// A scrape is over within this time, or is cut off.
pub const METRICS_WITHIN: Duration = Duration::from_secs(5);
/// The head of a scrape's request, in bytes.
pub const METRICS_HEAD_BYTES_MAX: usize = 16 * 1024;
