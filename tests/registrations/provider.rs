//! A provider that takes everything and notes what comes by which port and connection.

use b2bua::sip::{Message, Method, NameAddr, Request, Status, parse};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{Arc, Mutex},
};

use super::own::SDP;

/// What a provider heard.
pub(super) struct Heard {
    /// Where it came from.
    pub(super) from: SocketAddr,
    /// Which of its connections, counted; datagrams have 0.
    pub(super) connection: usize,
    pub(super) request: Request,
}

impl Heard {
    /// Of which account it is.
    pub(super) fn user(&self) -> String {
        let from = self.request.headers.from().expect("From");
        let to = self.request.headers.to().expect("To");
        let user = |address: &NameAddr| address.uri.user().unwrap_or_default().to_owned();
        // In a call that it made, we are in To.
        [user(&from), user(&to)]
            .into_iter()
            .find(|user| user.starts_with("acc"))
            .expect("an account")
    }
    pub(super) fn contact_port(&self) -> Option<u16> {
        let contact = self.request.headers.values("Contact").next()?;
        NameAddr::parse(contact).expect("an address").uri.port()
    }
}

#[derive(Default)]
pub(super) struct Notes {
    pub(super) heard: Vec<Heard>,
    pub(super) connections: Vec<TcpStream>,
}

/// A provider that takes everything, by UDP and by TCP.
#[derive(Clone)]
pub(super) struct Provider {
    pub(super) address: SocketAddr,
    pub(super) notes: Arc<Mutex<Notes>>,
}

impl Provider {
    pub(super) fn start() -> Self {
        let (listener, socket) = (0..100)
            .find_map(|_| {
                let listener = TcpListener::bind("127.0.0.1:0").ok()?;
                let socket = UdpSocket::bind(listener.local_addr().ok()?).ok()?;
                Some((listener, socket))
            })
            .expect("a port that is free of both");
        let provider = Self {
            address: listener.local_addr().expect("bound"),
            notes: Arc::default(),
        };
        let by_stream = provider.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let number = by_stream.with(|notes| {
                    notes
                        .connections
                        .push(stream.try_clone().expect("a socket can be shared"));
                    notes.connections.len()
                });
                let provider = by_stream.clone();
                std::thread::spawn(move || provider.serve(stream, number));
            }
        });
        let by_datagram = provider.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let bytes = Bytes::copy_from_slice(&buffer[..length]);
                if let Some(answer) = by_datagram.answer(bytes, from, 0) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        provider
    }
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Notes) -> T) -> T {
        look(&mut self.notes.lock().expect("no panic"))
    }
    fn serve(&self, mut stream: TcpStream, number: usize) {
        let from = stream.peer_addr().expect("connected");
        let (mut kept, mut chunk) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = stream.read(&mut chunk) {
            kept.extend_from_slice(&chunk[..length]);
            while let Some(size) = whole(&kept) {
                let message = Bytes::from(kept.drain(..size).collect::<Vec<_>>());
                if let Some(answer) = self.answer(message, from, number)
                    && stream.write_all(&answer).is_err()
                {
                    return;
                }
            }
        }
    }
    fn answer(&self, bytes: Bytes, from: SocketAddr, connection: usize) -> Option<Bytes> {
        let (Message::Request(request), _) = parse::message(bytes).ok()? else {
            return None;
        };
        let mut response = request.respond(Status::OK, Some("theirs"));
        match request.method {
            Method::Register => {
                response.headers.copy_from(&request.headers, "Contact");
                response.headers.push("Expires", "600");
            }
            Method::Invite => {
                let transport = if connection > 0 { ";transport=tcp" } else { "" };
                response
                    .headers
                    .push("Contact", format!("<sip:callee@{}{transport}>", self.address));
                response.headers.push("Content-Type", "application/sdp");
                response.body = Bytes::from_static(SDP.as_bytes());
            }
            _ => {}
        }
        let is_ack = request.method == Method::Ack;
        self.with(|notes| {
            notes.heard.push(Heard {
                from,
                connection,
                request,
            });
        });
        (!is_ack).then(|| response.to_bytes())
    }
    /// What came of that method, by account: by which connection, from which port, and the port of its Contact.
    pub(super) fn by_account(&self, method: &Method) -> BTreeMap<String, Vec<(usize, u16, Option<u16>)>> {
        self.with(|notes| {
            let mut all: BTreeMap<String, Vec<_>> = BTreeMap::new();
            for heard in notes.heard.iter().filter(|heard| heard.request.method == *method) {
                all.entry(heard.user()).or_default().push((
                    heard.connection,
                    heard.from.port(),
                    heard.contact_port(),
                ));
            }
            all
        })
    }
}

/// The bytes of the first message, when all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = text.split("content-length:").nth(1)?.split("\r\n").next()?;
    let size = head + length.trim().parse::<usize>().expect("a number");
    (bytes.len() >= size).then_some(size)
}
