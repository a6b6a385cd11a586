//! QUIC frames that the library would not send: whatever it encrypts next goes out
//! with other frames in its place. The other end sees a valid packet of the
//! connection, from who holds its keys.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ant_quic::crypto::raw_public_keys::RawPublicKeyConfigBuilder;
use ant_quic::crypto::rustls::QuicClientConfig;
use ant_quic::crypto::{
    self, CryptoError, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
};
use ant_quic::transport_parameters::TransportParameters;
use ant_quic::{
    ClientConfig, ConnectError, ConnectionId, HighLevelConnection, Side, TransportConfig, TransportError,
};
use bytes::BytesMut;
use punchdeck::node::keys::{self, KeyBytes};

use super::PATIENCE;

/// What the next packets are to hold instead of what they hold.
#[derive(Clone, Default)]
pub struct Forger(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    frames: Vec<u8>,
    /// What comes after them.
    more: Option<More>,
    /// For so many packets that have room for them.
    packets: usize,
    /// Whether nothing else is said either: nothing is acknowledged.
    mute: bool,
}

impl Forger {
    /// Settings of a client whose packets can be forged.
    pub(super) fn client_config(&self, keys: &KeyBytes) -> ClientConfig {
        let (public, secret) = keys::to_ant_quic(keys).unwrap();
        let tls = RawPublicKeyConfigBuilder::new().with_client_key(public, secret).allow_any_key();
        let tls = tls.build_rfc7250_client_config().unwrap().inner().as_ref().clone();
        let honest = Arc::new(QuicClientConfig::try_from(tls).unwrap());
        let mut config = ClientConfig::new(Arc::new(Forging { honest, forger: self.clone() }));
        let mut transport = TransportConfig::default();
        transport.enable_address_discovery(true).nat_traversal_config(None);
        config.transport_config(Arc::new(transport));
        config
    }

    /// Sends these frames over a connection, in a packet of their own.
    pub async fn send(&self, connection: &HighLevelConnection, frames: &[u8]) {
        self.carry(connection, Plan { frames: frames.to_vec(), more: None, packets: 1, mute: false }).await;
    }

    /// Flood: so many packets of what this gives, and from now on not a word of anything
    /// else.
    pub async fn floods(
        &self,
        connection: &HighLevelConnection,
        packets: usize,
        mut frames: impl FnMut() -> Vec<u8> + Send + 'static,
    ) {
        let first = frames();
        let more: More = Box::new(frames);
        self.carry(connection, Plan { frames: first, more: Some(more), packets, mute: true }).await;
    }

    async fn carry(&self, connection: &HighLevelConnection, plan: Plan) {
        let size = plan.packets * 1_500;
        *self.0.lock().unwrap() = plan;
        // Something to encrypt, of at least that size.
        let Ok((mut carrier, _recv)) = connection.open_bi().await else { return };
        let bytes = vec![0; size];
        let write = async {
            let _ = carrier.write_all(&bytes).await;
            std::future::pending::<()>().await;
        };
        let sent = async {
            while self.0.lock().unwrap().packets > 0 && connection.close_reason().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = write => {}
            () = sent => {}
            () = tokio::time::sleep(PATIENCE) => {}
        }
    }
}

type More = Box<dyn FnMut() -> Vec<u8> + Send>;

/// Frames of the library's that aim the other end at an address.
pub mod frames {
    use std::net::SocketAddr;

    use bytes::BufMut as _;

    fn frame(kind: u32, numbers: &[u8], at: SocketAddr) -> Vec<u8> {
        let SocketAddr::V4(at) = at else { panic!("IPv4 here") };
        let mut frame = Vec::new();
        frame.put_u32(kind | 0x8000_0000);
        frame.put_slice(numbers);
        frame.put_slice(&at.ip().octets());
        frame.put_u16(at.port());
        frame
    }

    pub fn add_address(at: SocketAddr) -> Vec<u8> {
        frame(0x003d_7e90, &[1], at)
    }

    pub fn punch_me_now(at: SocketAddr) -> Vec<u8> {
        frame(0x003d_7e92, &[1, 1], at)
    }

    /// The other end is seen there; each has to have a higher number.
    pub fn observed_address(number: u32, at: SocketAddr) -> Vec<u8> {
        frame(0x009f_81a6, &(number | 0x8000_0000).to_be_bytes(), at)
    }

    pub fn try_connect_to(at: SocketAddr) -> Vec<u8> {
        let mut frame = frame(0x003d_7e95, &[1], at);
        frame.put_u16(5_000);
        frame
    }
}

struct Forging {
    honest: Arc<QuicClientConfig>,
    forger: Forger,
}

impl crypto::ClientConfig for Forging {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let honest = self.honest.clone().start_session(version, server_name, params)?;
        Ok(Box::new(Forged { honest, forger: self.forger.clone(), stages: 0 }))
    }
}

/// A session as it is but for what it encrypts once the handshake is over.
struct Forged {
    honest: Box<dyn Session>,
    forger: Forger,
    /// Keys given out: those of the handshake, then those for good.
    stages: usize,
}

impl Session for Forged {
    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        let mut keys = self.honest.write_handshake(buf)?;
        self.stages += 1;
        if self.stages == 2 {
            keys.packet.local =
                Box::new(ForgingKey { honest: keys.packet.local, forger: self.forger.clone() });
        }
        Some(keys)
    }

    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.honest.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.honest.handshake_data()
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.honest.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.honest.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.honest.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.honest.is_handshaking()
    }

    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        self.honest.read_handshake(buf)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.honest.transport_parameters()
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.honest.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.honest.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.honest.export_keying_material(output, label, context)
    }
}

struct ForgingKey {
    honest: Box<dyn PacketKey>,
    forger: Forger,
}

impl PacketKey for ForgingKey {
    fn encrypt(&self, packet: u64, buf: &mut [u8], header_len: usize) {
        let mut plan = self.forger.0.lock().unwrap();
        let end = buf.len() - self.honest.tag_len();
        let payload = &mut buf[header_len..end];
        if plan.packets > 0 && payload.len() >= plan.frames.len() {
            // What is left of it is padding.
            payload.fill(0);
            payload[..plan.frames.len()].copy_from_slice(&plan.frames);
            plan.packets -= 1;
            if let Some(frames) = plan.more.as_mut().map(|more| more()) {
                plan.frames = frames;
            }
        } else if plan.mute {
            payload.fill(0);
        }
        drop(plan);
        self.honest.encrypt(packet, buf, header_len);
    }

    fn decrypt(&self, packet: u64, header: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        self.honest.decrypt(packet, header, payload)
    }

    fn tag_len(&self) -> usize {
        self.honest.tag_len()
    }

    fn confidentiality_limit(&self) -> u64 {
        self.honest.confidentiality_limit()
    }

    fn integrity_limit(&self) -> u64 {
        self.honest.integrity_limit()
    }
}
