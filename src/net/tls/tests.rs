//! Certificates of authorities made here, and clients that are not ours.

use super::*;
use crate::{
    call::Transmit,
    net::{Limits, Listen, Net, NetEvent},
    sip::routing::{Destination, Target, Transport},
};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, SanType};
use rustls::pki_types::ServerName;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

mod called;

const PATIENCE: Duration = Duration::from_secs(5);
const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                       To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

/// An authority, and a folder with what it has made.
struct Authority {
    certificate: rcgen::Certificate,
    key: KeyPair,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("a file");
        Self {
            certificate,
            key,
            folder,
        }
    }
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// Writes `name.pem` and `name.key`.
    fn issue(&self, name: &str, names: &[SanType], edit: impl FnOnce(&mut CertificateParams)) -> TlsFiles {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        edit(&mut params);
        let key = KeyPair::generate().expect("a key");
        let made = params.signed_by(&key, &self.certificate, &self.key);
        let (certificate, key_file) = (
            self.file(&format!("{name}.pem")),
            self.file(&format!("{name}.key")),
        );
        fs::write(&certificate, made.expect("a certificate").pem()).expect("a file");
        fs::write(&key_file, key.serialize_pem()).expect("a file");
        TlsFiles {
            certificate: Some(certificate),
            key: Some(key_file),
            authorities: Some(self.file("ca.pem")),
            verify: Verify::Servers,
        }
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a name"))
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().expect("a URI"))
}

#[expect(clippy::disallowed_methods, reason = "certificates live in real time")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn security(server: &TlsFiles, client: &TlsFiles) -> Security {
    let mut remarks = Vec::new();
    let security = Security {
        acceptors: vec![Some(server.acceptor(now(), &mut remarks).expect("good files"))],
        connector: Some(client.connector(now(), &mut remarks).expect("good files")),
        origins: Vec::new(),
    };
    assert_eq!(remarks, []);
    security
}

async fn listening(security: Security) -> (Net, mpsc::Receiver<NetEvent>, SocketAddr) {
    let limits = Limits {
        connect: Duration::from_secs(2),
        ..Limits::default()
    };
    listening_within(limits, security).await
}

async fn listening_within(limits: Limits, security: Security) -> (Net, mpsc::Receiver<NetEvent>, SocketAddr) {
    let (events, receiver) = mpsc::channel(64);
    let listen = Listen {
        transport: Transport::Tls,
        address: "127.0.0.1:0".parse().expect("an address"),
        advertised: None,
    };
    let net = Net::bind(&[listen], &[], limits, events).await.expect("a port");
    net.secure(security);
    let address = net.local()[0].1;
    (net, receiver, address)
}

/// Connects as `files` say.
async fn client(files: &TlsFiles, address: SocketAddr, name: &str) -> io::Result<TlsStream<TcpStream>> {
    let mut remarks = Vec::new();
    let config = files.connector(now(), &mut remarks).expect("good files").config();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(config).connect(name, stream).await
}

async fn next(events: &mut mpsc::Receiver<NetEvent>) -> NetEvent {
    #[expect(clippy::disallowed_methods, reason = "sockets are watched in real time")]
    let event = timeout(PATIENCE, events.recv()).await;
    event.expect("an event in time").expect("the net is there")
}

async fn heard(events: &mut mpsc::Receiver<NetEvent>) -> crate::sip::routing::Source {
    match next(events).await {
        NetEvent::Message(_, source, _) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_wrong_with_files_is_said_with_the_file_and_all_at_once() {
    let authority = Authority::new("ours");
    let good = authority.issue("good", &[dns("x.example")], |_| {});
    let other = authority.issue("other", &[dns("x.example")], |_| {});
    let text = authority.file("text");
    fs::write(
        &text,
        "-----BEGIN CERTIFICATE-----\nno base64 !\n-----END CERTIFICATE-----\n",
    )
    .expect("a file");
    let empty = authority.file("empty");
    fs::write(&empty, "nothing\n").expect("a file");
    let rows: [(TlsFiles, &[(&str, &str)]); 6] = [
        (
            TlsFiles {
                key: other.key.clone(),
                ..good.clone()
            },
            &[("tls-key", "is not the key of")],
        ),
        (
            TlsFiles {
                certificate: Some(text),
                key: Some(authority.file("absent")),
                ..good.clone()
            },
            &[("tls-certificate", "is not PEM"), ("tls-key", "cannot be read")],
        ),
        (
            TlsFiles {
                certificate: Some(empty.clone()),
                key: Some(empty.clone()),
                authorities: Some(empty),
                verify: Verify::Required,
            },
            &[
                ("tls-certificate", "no certificate in PEM"),
                ("tls-key", "no unencrypted private key"),
                ("tls-ca", "no certificate in PEM"),
            ],
        ),
        (
            TlsFiles {
                authorities: None,
                verify: Verify::Optional,
                ..good.clone()
            },
            &[("tls-ca", "no authority")],
        ),
        (
            TlsFiles::default(),
            &[("tls-certificate", "no certificate is named")],
        ),
        (
            TlsFiles {
                certificate: None,
                ..good.clone()
            },
            &[("tls-certificate", "a key without a certificate")],
        ),
    ];
    for (files, expected) in rows {
        let faults = files.acceptor(now(), &mut Vec::new()).expect_err("a fault");
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, (key, what)) in faults.iter().zip(expected) {
            assert_eq!(fault.key, *key);
            assert!(fault.what.contains(what), "{fault}");
        }
    }
}

#[test]
fn an_expired_certificate_is_used_with_a_remark_and_a_key_may_stand_with_its_certificate() {
    let authority = Authority::new("ours");
    let mut files = authority.issue("old", &[dns("x.example")], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    });
    let (certificate, key) = (
        files.certificate.clone().expect("one"),
        files.key.take().expect("one"),
    );
    let both = [fs::read(&certificate), fs::read(&key)].map(|it| it.expect("a file"));
    fs::write(&certificate, both.concat()).expect("a file");
    let mut remarks = Vec::new();
    files.acceptor(now(), &mut remarks).expect("it can be used");
    assert_eq!(remarks.len(), 1);
    assert!(remarks[0].what.contains("old.pem has expired"), "{remarks:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn messages_come_and_go_by_tls_and_a_caller_of_our_authority_is_vouched_for() {
    let authority = Authority::new("ours");
    let server = TlsFiles {
        verify: Verify::Optional,
        ..authority.issue("server", &[dns("sip.example.org")], |_| {})
    };
    let nobody = TlsFiles {
        authorities: Some(authority.file("ca.pem")),
        ..TlsFiles::default()
    };
    let somebody = authority.issue("phone", &[dns("phone.example.org")], |_| {});
    let (net, mut events, address) = listening(security(&server, &nobody)).await;
    for (files, vouched) in [(&nobody, false), (&somebody, true)] {
        let mut phone = client(files, address, "sip.example.org")
            .await
            .expect("a handshake");
        // Two messages and a ping in pieces that have nothing to do with records.
        phone.write_all(&OPTIONS.as_bytes()[..100]).await.expect("open");
        phone.write_all(&OPTIONS.as_bytes()[100..]).await.expect("open");
        phone
            .write_all(format!("{OPTIONS}\r\n\r\n").as_bytes())
            .await
            .expect("open");
        let source = heard(&mut events).await;
        assert_eq!(source.transport, Transport::Tls);
        assert_eq!(net.is_vouched(&source), vouched);
        heard(&mut events).await;
        let mut pong = [0; 2];
        phone.read_exact(&mut pong).await.expect("a pong");
        assert_eq!(&pong, b"\r\n");
        let answer = Transmit {
            bytes: Bytes::from_static(b"SIP/2.0 200 OK\r\n\r\n"),
            to: Destination::Reply {
                source,
                address: source.remote,
            },
        };
        net.send(answer);
        let mut got = [0; 18];
        phone.read_exact(&mut got).await.expect("an answer");
        assert_eq!(&got, b"SIP/2.0 200 OK\r\n\r\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn callers_without_a_certificate_or_with_one_of_strangers_are_refused_where_one_is_required() {
    let (ours, strangers) = (Authority::new("ours"), Authority::new("strangers"));
    let server = TlsFiles {
        verify: Verify::Required,
        ..ours.issue("server", &[dns("sip.example.org")], |_| {})
    };
    let (_net, mut events, address) = listening(security(&server, &server)).await;
    let nobody = TlsFiles {
        authorities: Some(ours.file("ca.pem")),
        ..TlsFiles::default()
    };
    let stranger = TlsFiles {
        authorities: Some(ours.file("ca.pem")),
        ..strangers.issue("stranger", &[dns("phone.example.org")], |_| {})
    };
    for files in [nobody, stranger] {
        // In TLS 1.3 the client is done before the server has looked.
        if let Ok(mut phone) = client(&files, address, "sip.example.org").await {
            let _ = phone.write_all(OPTIONS.as_bytes()).await;
            let refused = phone.read_to_end(&mut Vec::new()).await;
            refused.expect_err("an alert");
        }
    }
    assert!(events.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn half_a_handshake_is_cut_and_so_is_who_speaks_no_tls() {
    let authority = Authority::new("ours");
    let server = authority.issue("server", &[dns("sip.example.org")], |_| {});
    let limits = Limits {
        handshake: Duration::from_millis(300),
        ..Limits::default()
    };
    let (net, mut events, address) = listening_within(limits, security(&server, &server)).await;
    for opening in [&[][..], &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], OPTIONS.as_bytes()] {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(opening).await.expect("open");
        #[expect(clippy::disallowed_methods, reason = "sockets are watched in real time")]
        let ended = timeout(Duration::from_secs(3), stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "not cut after {opening:?}");
    }
    assert!(events.try_recv().is_err());
    assert_eq!(net.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_new_certificate_is_for_new_connections_and_those_that_exist_go_on() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let of_old = old.issue("server", &[dns("sip.example.org")], |_| {});
    let of_new = new.issue("server", &[dns("sip.example.org")], |_| {});
    let (net, mut events, address) = listening(security(&of_old, &of_old)).await;
    let mut before = client(&of_old, address, "sip.example.org")
        .await
        .expect("a handshake");
    before.write_all(OPTIONS.as_bytes()).await.expect("open");
    heard(&mut events).await;
    net.secure(security(&of_new, &of_new));
    client(&of_old, address, "sip.example.org")
        .await
        .expect_err("another authority");
    let mut after = client(&of_new, address, "sip.example.org")
        .await
        .expect("a handshake");
    for stream in [&mut before, &mut after] {
        stream.write_all(OPTIONS.as_bytes()).await.expect("open");
        heard(&mut events).await;
    }
}
