//! A party of calls, written by hand: text out, text in. It knows no more than the wire.
#![allow(dead_code, reason = "each test that shares this uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "wires are watched in real time")]

#[path = "heard.rs"]
mod heard;

pub(crate) use heard::{Heard, whole};
use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// How long to wait for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for what must not come.
pub(crate) const SILENCE: Duration = Duration::from_millis(300);

static FRESH: AtomicU32 = AtomicU32::new(1);

/// A word that no other call of this run has.
pub(crate) fn fresh(prefix: &str) -> String {
    let number = FRESH.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}{}x{number}", std::process::id())
}

/// How a party is connected.
enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
    Other(Box<dyn Carrier>),
}

/// Another way for messages: TLS, WebSocket.
pub(crate) trait Carrier: Send + Sync {
    /// The word of Via.
    fn word(&self) -> &'static str;
    /// Whether it went out.
    fn send(&mut self, bytes: &[u8]) -> bool;
    fn hear(&mut self, time: Duration) -> Option<Vec<u8>>;
}

/// One end of a call.
pub(crate) struct Party {
    wire: Wire,
    /// Its own address.
    pub(crate) address: SocketAddr,
    /// The server, or who wrote last.
    pub(crate) peer: SocketAddr,
    /// Where its audio lives.
    pub(crate) audio: UdpSocket,
}

impl Party {
    /// On UDP, at an address of that host.
    pub(crate) fn udp(host: &str, server: SocketAddr) -> Self {
        let host: IpAddr = host.parse().expect("an address");
        let socket = UdpSocket::bind((host, 0)).expect("a free port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a valid time");
        let address = socket.local_addr().expect("bound");
        Self {
            wire: Wire::Udp(socket),
            address,
            peer: server,
            audio: audio(host),
        }
    }
    /// Connected by TCP.
    pub(crate) fn tcp(server: SocketAddr) -> Self {
        Self::over(TcpStream::connect(server).expect("the server listens"))
    }
    /// What `listener` accepts.
    pub(crate) fn accepted(listener: &TcpListener) -> Self {
        Self::over(listener.accept().expect("a connection").0)
    }
    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a valid time");
        let address = stream.local_addr().expect("connected");
        let peer = stream.peer_addr().expect("connected");
        Self {
            wire: Wire::Tcp(stream, Vec::new()),
            address,
            peer,
            audio: audio(address.ip()),
        }
    }
    /// Over something else that is connected.
    pub(crate) fn carried(carrier: Box<dyn Carrier>, address: SocketAddr, peer: SocketAddr) -> Self {
        Self {
            wire: Wire::Other(carrier),
            address,
            peer,
            audio: audio(address.ip()),
        }
    }
    /// The word of Via.
    pub(crate) fn transport(&self) -> &'static str {
        match &self.wire {
            Wire::Udp(_) => "UDP",
            Wire::Tcp(..) => "TCP",
            Wire::Other(carrier) => carrier.word(),
        }
    }
    pub(crate) fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        assert!(self.try_send(bytes), "not sent");
    }
    /// Whether it went out.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        match &mut self.wire {
            Wire::Udp(socket) => socket.send_to(bytes, self.peer).is_ok(),
            Wire::Tcp(stream, _) => stream.write_all(bytes).is_ok(),
            Wire::Other(carrier) => carrier.send(bytes),
        }
    }
    /// The next message, or `None` when none comes in that time or the connection is closed.
    pub(crate) fn hear_within(&mut self, time: Duration) -> Option<Heard> {
        let bytes = self.bytes_within(time)?;
        Some(Heard(String::from_utf8_lossy(&bytes).into_owned()))
    }
    /// The next message as it came: a body may be no text.
    pub(crate) fn bytes_within(&mut self, time: Duration) -> Option<Vec<u8>> {
        match &mut self.wire {
            Wire::Udp(socket) => {
                socket.set_read_timeout(Some(time)).expect("a valid time");
                let mut buffer = [0; 65_535];
                let (length, from) = socket.recv_from(&mut buffer).ok()?;
                self.peer = from;
                Some(buffer[..length].to_vec())
            }
            Wire::Tcp(stream, buffer) => {
                stream.set_read_timeout(Some(time)).expect("a valid time");
                loop {
                    if let Some(length) = whole(buffer) {
                        return Some(buffer.drain(..length).collect());
                    }
                    let mut chunk = [0; 4096];
                    match stream.read(&mut chunk) {
                        Ok(0) | Err(_) => return None,
                        Ok(length) => buffer.extend_from_slice(&chunk[..length]),
                    }
                }
            }
            Wire::Other(carrier) => {
                let message = carrier.hear(time)?;
                Some(message)
            }
        }
    }
    pub(crate) fn hear(&mut self) -> Heard {
        self.hear_within(PATIENCE).expect("a message in time")
    }
    /// The next message that begins like this; others are passed over.
    pub(crate) fn expect(&mut self, start: &str) -> Heard {
        let end = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        while let Some(left) = end
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            match self.hear_within(left) {
                Some(heard) if heard.0.starts_with(start) => return heard,
                Some(heard) => others.push(heard.0),
                None => break,
            }
        }
        panic!("{start:?} did not come; this came: {others:#?}");
    }
    /// Nothing but provisional responses and repetitions comes for a while.
    pub(crate) fn expect_silence(&mut self) {
        if let Some(heard) = self.hear_within(SILENCE) {
            panic!("unexpected: {}", heard.0);
        }
    }
    /// Whether the peer closes the connection in time.
    pub(crate) fn is_closed(&mut self) -> bool {
        let Wire::Tcp(stream, _) = &mut self.wire else {
            return false;
        };
        stream.set_read_timeout(Some(PATIENCE)).expect("a valid time");
        let mut chunk = [0; 4096];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }
    /// Says that nothing more will come from here.
    pub(crate) fn close_half(&self) {
        if let Wire::Tcp(stream, _) = &self.wire {
            stream.shutdown(std::net::Shutdown::Write).expect("connected");
        }
    }
    /// Whatever bytes come next.
    pub(crate) fn raw(&mut self) -> Vec<u8> {
        let Wire::Tcp(stream, _) = &mut self.wire else {
            panic!("only connections have bytes without a message");
        };
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).expect("bytes in time");
        chunk[..length].to_vec()
    }
    /// A URI that leads here.
    pub(crate) fn uri(&self) -> String {
        let transport = match &self.wire {
            Wire::Udp(_) => "",
            Wire::Tcp(..) => ";transport=tcp",
            // A browser knows no address of its own.
            Wire::Other(carrier) if carrier.word() == "WSS" => {
                return format!(
                    "sip:x{}@h{}.invalid;transport=ws",
                    self.address.port(),
                    self.peer.port()
                );
            }
            Wire::Other(_) => ";transport=tls",
        };
        format!("sip:{}{transport}", self.address)
    }
    /// A request of a new transaction.
    pub(crate) fn request(&self, method: &str, uri: &str, more: &str, body: &str) -> String {
        let via = format!(
            "SIP/2.0/{} {};branch=z9hG4bK{};rport",
            self.transport(),
            self.address,
            fresh("b")
        );
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nContact: <{}>\r\n{more}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            self.uri(),
            body.len()
        )
    }
    /// An INVITE with plain audio.
    pub(crate) fn invite(&self, call_id: &str, to: &str) -> String {
        let more = format!(
            "From: \"Alice\" <sip:alice@example.org>;tag=a{call_id}\r\nTo: <{to}>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n"
        );
        self.request("INVITE", to, &more, &self.sdp())
    }
    pub(crate) fn sdp(&self) -> String {
        let family = if self.address.is_ipv6() { "IP6" } else { "IP4" };
        let ip = self.address.ip();
        let port = self.audio.local_addr().expect("bound").port();
        format!(
            "v=0\r\no=- {port}00 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )
    }
    /// Answers a request.
    pub(crate) fn respond(&mut self, request: &Heard, status: &str, body: &str) {
        self.send(&self.response(request, status, body));
    }
    /// An answer to a request.
    pub(crate) fn response(&self, request: &Heard, status: &str, body: &str) -> String {
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let to = request.field("To");
        let tag = if to.contains(";tag=") { "" } else { ";tag=callee" };
        format!(
            "SIP/2.0 {status}\r\n{}From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <{}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            request
                .fields("Via")
                .iter()
                .map(|via| format!("Via: {via}\r\n"))
                .collect::<String>(),
            request.field("From"),
            request.field("Call-ID"),
            request.field("CSeq"),
            self.uri(),
            body.len()
        )
    }
    /// A request inside the dialog that `response` (to a request of ours) made, or that `request` (of the peer) made.
    pub(crate) fn within(&self, method: &str, cseq: u32, dialog: &Heard) -> String {
        self.within_with(method, cseq, dialog, "")
    }
    /// The same with a session description.
    pub(crate) fn within_with(&self, method: &str, cseq: u32, dialog: &Heard, body: &str) -> String {
        let ours = dialog.0.starts_with("SIP/2.0");
        let to = dialog.field("To");
        let tagged = if to.contains(";tag=") {
            to
        } else {
            format!("{to};tag=callee")
        };
        let (from, to) = if ours {
            (dialog.field("From"), tagged)
        } else {
            (tagged, dialog.field("From"))
        };
        let contact = dialog.field("Contact");
        let uri = contact
            .trim_start_matches('<')
            .split('>')
            .next()
            .expect("a contact")
            .to_owned();
        let more = format!(
            "From: {from}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n",
            dialog.field("Call-ID")
        );
        self.request(method, &uri, &more, body)
    }
    /// The ACK of a failure: the same transaction as the INVITE (RFC 3261 §17.1.1.3).
    pub(crate) fn ack_failure(&mut self, invite: &str, response: &Heard) {
        let invite = Heard(invite.to_owned());
        let uri = invite.0.split(' ').nth(1).expect("a Request-URI");
        let text = format!(
            "ACK {uri} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 ACK\r\n\
             Content-Length: 0\r\n\r\n",
            invite.field("Via"),
            invite.field("From"),
            response.field("To"),
            invite.field("Call-ID")
        );
        self.send(&text);
    }
    /// The CANCEL of an INVITE (RFC 3261 §9.1).
    pub(crate) fn cancelling(&self, invite: &str) -> String {
        let invite = Heard(invite.to_owned());
        let uri = invite.0.split(' ').nth(1).expect("a Request-URI");
        format!(
            "CANCEL {uri} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 CANCEL\r\n\
             Content-Length: 0\r\n\r\n",
            invite.field("Via"),
            invite.field("From"),
            invite.field("To"),
            invite.field("Call-ID")
        )
    }
    pub(crate) fn cancel(&mut self, invite: &str) {
        self.send(&self.cancelling(invite));
    }
    /// Sends audio to where `sdp` says, and returns what arrives at `other`.
    pub(crate) fn speak(&self, sdp: &Heard, other: &Self) -> Vec<u8> {
        let to = sdp.audio();
        let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4];
        packet.extend_from_slice(&[0x55; 160]);
        other
            .audio
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("a valid time");
        let mut buffer = [0; 2048];
        for sequence in 1..50_u8 {
            packet[3] = sequence;
            self.audio.send_to(&packet, to).expect("sent");
            if let Ok(length) = other.audio.recv(&mut buffer) {
                return buffer[..length].to_vec();
            }
        }
        panic!("no audio came through");
    }
    /// Sends audio to where `sdp` says, of which nothing may arrive at `other`.
    pub(crate) fn expect_not_heard(&self, sdp: &Heard, other: &Self) {
        let mut buffer = [0; 2048];
        let wait = |time| {
            let time = Duration::from_millis(time);
            other.audio.set_read_timeout(Some(time)).expect("a valid time");
        };
        // What was under way before.
        wait(100);
        while other.audio.recv(&mut buffer).is_ok() {}
        let mut packet = vec![0x80, 0, 1, 0, 0, 1, 0, 160, 1, 2, 3, 4];
        packet.extend_from_slice(&[0x66; 160]);
        for sequence in 1..10_u8 {
            packet[3] = sequence;
            self.audio.send_to(&packet, sdp.audio()).expect("sent");
        }
        wait(300);
        assert!(other.audio.recv(&mut buffer).is_err(), "audio came through");
    }
}

fn audio(host: IpAddr) -> UdpSocket {
    UdpSocket::bind((host, 0)).expect("a free port")
}
