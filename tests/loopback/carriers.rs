//! TLS and secure WebSocket for parties that are written by hand, with certificates of an authority of their own. Their
//! WebSocket is not ours.
#![allow(dead_code, reason = "each test that shares this uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "wires are watched in real time")]

use super::party::{Carrier, PATIENCE, Party, whole};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::WebPkiClientVerifier,
};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket, client::IntoClientRequest};

/// An authority, and the files of a server of it.
pub(crate) struct Authority {
    certificate: rcgen::Certificate,
    key: KeyPair,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority of a test");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let made = Self {
            certificate,
            key,
            folder: tempfile::tempdir().expect("a folder"),
        };
        fs::write(made.file("ca.pem"), made.certificate.pem()).expect("writable");
        made.renew();
        made
    }
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// Gives the server another certificate.
    pub(crate) fn renew(&self) {
        let (certificate, key) = self.issue();
        fs::write(self.file("server.pem"), certificate.pem()).expect("writable");
        fs::write(self.file("server.key"), key.serialize_pem()).expect("writable");
    }
    fn issue(&self) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        let made = params.signed_by(&key, &self.certificate, &self.key);
        (made.expect("a certificate"), key)
    }
    /// The lines of a configuration that name its files.
    pub(crate) fn lines(&self) -> String {
        format!(
            "tls-certificate={}\ntls-key={}\ntls-ca={}\n",
            self.file("server.pem").display(),
            self.file("server.key").display(),
            self.file("ca.pem").display()
        )
    }
    /// Of a client, with a certificate of this authority or without.
    pub(crate) fn client(&self, with_certificate: bool) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        Arc::new(if with_certificate {
            let (chain, key) = self.own();
            builder.with_client_auth_cert(chain, key).expect("a certificate")
        } else {
            builder.with_no_client_auth()
        })
    }
    fn own(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let (certificate, key) = self.issue();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        (vec![certificate.der().clone()], key)
    }
    /// Of a server, which may want a certificate of this authority from who comes.
    fn server(&self, mutual: bool) -> Arc<ServerConfig> {
        let (chain, key) = self.own();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if mutual {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        Arc::new(builder.with_single_cert(chain, key).expect("a certificate"))
    }
}

fn client(
    config: Arc<ClientConfig>,
    server: SocketAddr,
) -> (StreamOwned<ClientConnection, TcpStream>, TcpStream) {
    let stream = TcpStream::connect(server).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a valid time");
    stream.set_nodelay(true).expect("a socket");
    let shared = stream.try_clone().expect("a socket can be shared");
    let tls = ClientConnection::new(config, ServerName::from(server.ip())).expect("a configuration");
    (StreamOwned::new(tls, stream), shared)
}

/// Connected by TLS.
pub(crate) fn tls(config: Arc<ClientConfig>, server: SocketAddr) -> Party {
    let (stream, socket) = client(config, server);
    over_tls(stream, socket)
}

/// What `listener` accepts, by TLS.
pub(crate) fn accepted_tls(authority: &Authority, listener: &TcpListener) -> Party {
    accepted_by(authority.server(false), listener)
}

/// What `listener` accepts, by TLS with certificates on both sides.
pub(crate) fn accepted_mutual_tls(authority: &Authority, listener: &TcpListener) -> Party {
    accepted_by(authority.server(true), listener)
}

fn accepted_by(config: Arc<ServerConfig>, listener: &TcpListener) -> Party {
    let stream = listener.accept().expect("a connection").0;
    stream.set_read_timeout(Some(PATIENCE)).expect("a valid time");
    let socket = stream.try_clone().expect("a socket can be shared");
    let tls = ServerConnection::new(config).expect("a configuration");
    over_tls(StreamOwned::new(tls, stream), socket)
}

fn over_tls(stream: impl Read + Write + Send + Sync + 'static, socket: TcpStream) -> Party {
    let (address, peer) = ends(&socket);
    let carrier = Tls {
        stream: Box::new(stream),
        socket,
        buffer: Vec::new(),
    };
    Party::carried(Box::new(carrier), address, peer)
}

fn ends(socket: &TcpStream) -> (SocketAddr, SocketAddr) {
    let peer = socket.peer_addr().expect("connected");
    (socket.local_addr().expect("connected"), peer)
}

trait Stream: Read + Write + Send + Sync {}
impl<T: Read + Write + Send + Sync> Stream for T {}

struct Tls {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Carrier for Tls {
    fn word(&self) -> &'static str {
        "TLS"
    }
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream
            .write_all(bytes)
            .and_then(|()| self.stream.flush())
            .is_ok()
    }
    fn hear(&mut self, time: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(time)).expect("a valid time");
        loop {
            if let Some(length) = whole(&self.buffer) {
                return Some(self.buffer.drain(..length).collect());
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.buffer.extend_from_slice(&chunk[..length]),
            }
        }
    }
}

/// A browser: connected by secure WebSocket.
pub(crate) fn wss(config: Arc<ClientConfig>, server: SocketAddr) -> Party {
    let (stream, socket) = client(config, server);
    let mut request = format!("wss://{server}/").into_client_request().expect("a URI");
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", "sip".parse().expect("a value"));
    let (web, _) = tungstenite::client(request, stream).expect("an open WebSocket");
    let (address, peer) = ends(&socket);
    Party::carried(Box::new(Web { web, socket }), address, peer)
}

struct Web {
    web: WebSocket<StreamOwned<ClientConnection, TcpStream>>,
    socket: TcpStream,
}

impl Carrier for Web {
    fn word(&self) -> &'static str {
        "WSS"
    }
    fn send(&mut self, bytes: &[u8]) -> bool {
        let message = match std::str::from_utf8(bytes) {
            Ok(text) => Message::text(text),
            Err(_) => Message::binary(bytes.to_vec()),
        };
        self.web.send(message).is_ok()
    }
    fn hear(&mut self, time: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(time)).expect("a valid time");
        loop {
            match self.web.read() {
                Ok(Message::Text(text)) => return Some(text.as_bytes().to_vec()),
                Ok(Message::Binary(bytes)) => return Some(bytes.to_vec()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}
