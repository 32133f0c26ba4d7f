//! The party that is called through the provider: it answers every call.

use crate::party::Heard;
use std::{
    net::{SocketAddr, UdpSocket},
    thread,
};

/// Answers on a thread of its own until the test ends.
pub(crate) struct Callee {
    pub(crate) address: SocketAddr,
}

impl Callee {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("bound");
        thread::spawn(move || serve(&socket, address));
        Self { address }
    }
}

fn serve(socket: &UdpSocket, own: SocketAddr) {
    let mut buffer = vec![0; 65_535];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let heard = Heard(String::from_utf8_lossy(&buffer[..length]).into_owned());
        let body = match heard.0.split(' ').next() {
            Some("INVITE") => answer(own),
            Some("BYE" | "OPTIONS") => String::new(),
            // Responses and ACKs need none.
            _ => continue,
        };
        socket
            .send_to(response(&heard, own, &body).as_bytes(), from)
            .expect("sent");
    }
}

fn answer(own: SocketAddr) -> String {
    let ip = own.ip();
    format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n")
}

fn response(request: &Heard, own: SocketAddr, body: &str) -> String {
    let to = request.field("To");
    let tag = if to.contains(";tag=") { "" } else { ";tag=callee" };
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    let vias = request.fields("Via").into_iter();
    let vias: String = vias.map(|via| format!("Via: {via}\r\n")).collect();
    format!(
        "SIP/2.0 200 OK\r\n{vias}From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{own}>\r\n{kind}\
         Content-Length: {}\r\n\r\n{body}",
        request.field("From"),
        request.field("Call-ID"),
        request.field("CSeq"),
        body.len()
    )
}
