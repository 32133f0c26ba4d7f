//! The party that is called: what it does is in the name that is called.

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
        let method = heard.0.split(' ').next().unwrap_or_default().to_owned();
        let user = heard.field("To");
        let say = |status: &str, body: &str| {
            let response = response(&heard, own, status, body);
            socket.send_to(response.as_bytes(), from).expect("sent");
        };
        match method.as_str() {
            "INVITE" if user.contains("sip:silent") => {}
            "INVITE" => {
                say("180 Ringing", "");
                if user.contains("sip:answer") {
                    say("200 OK", &answer(&heard, own));
                } else if user.contains("sip:reject") {
                    say("486 Busy Here", "");
                }
            }
            "CANCEL" => {
                say("200 OK", "");
                // The INVITE's response: same transaction, another CSeq method.
                let invite = Heard(heard.0.replacen("CSeq: ", "CSeq-Of-Cancel: ", 1));
                let number = heard.field("CSeq").replace("CANCEL", "INVITE");
                let terminated = response(&invite, own, "487 Request Terminated", "");
                let terminated = terminated.replacen("CSeq: \r\n", &format!("CSeq: {number}\r\n"), 1);
                socket.send_to(terminated.as_bytes(), from).expect("sent");
            }
            "BYE" => say("200 OK", ""),
            _ => {}
        }
    }
}

/// An answer to all streams of the offer, in their profiles, with a key of ours where one asks for it.
fn answer(offer: &Heard, own: SocketAddr) -> String {
    let ip = own.ip();
    let mut out = format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n");
    for stream in offer.0.split("\r\nm=").skip(1) {
        let words: Vec<&str> = stream.lines().next().unwrap_or_default().split(' ').collect();
        let [kind, port, profile, format, ..] = words[..] else {
            continue;
        };
        let port = if port == "0" { 0 } else { 9 };
        out += &format!("m={kind} {port} {profile} {format}\r\n");
        if stream.contains("a=sendonly") {
            out += "a=recvonly\r\n";
        }
        if let Some(crypto) = stream.split("a=crypto:").nth(1) {
            let mut words = crypto.split(' ');
            let (tag, suite) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
            out += &format!("a=crypto:{tag} {suite} inline:{key}\r\n");
        }
    }
    out
}

fn response(request: &Heard, own: SocketAddr, status: &str, body: &str) -> String {
    let to = request.field("To");
    let tag = if to.contains(";tag=") { "" } else { ";tag=callee" };
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    let vias: String = request
        .fields("Via")
        .iter()
        .map(|via| format!("Via: {via}\r\n"))
        .collect();
    format!(
        "SIP/2.0 {status}\r\n{vias}From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{own}>\r\n{kind}\
         Content-Length: {}\r\n\r\n{body}",
        request.field("From"),
        request.field("Call-ID"),
        request.field("CSeq"),
        body.len()
    )
}
