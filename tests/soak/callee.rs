//! The party that is called: what it does is in the name that is called.

use crate::{
    party::{Heard, Party},
    stayer::Stayer,
    transferee::Transferee,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// Answers on a thread of its own until the test ends.
pub(crate) struct Callee {
    pub(crate) address: SocketAddr,
    roles: Arc<Mutex<Roles>>,
}

/// What it is in transfers, as the server executes them or leaves them to it.
#[derive(Default)]
struct Roles {
    transferee: Transferee,
    stayer: Stayer,
}

impl Callee {
    pub(crate) fn start() -> Self {
        // Until somebody has written there is nobody to write to.
        let party = Party::udp("127.0.0.1", ([127, 0, 0, 1], 9).into());
        let (address, roles) = (party.address, Arc::<Mutex<Roles>>::default());
        let shared = roles.clone();
        thread::spawn(move || serve(party, &shared));
        Self { address, roles }
    }
    /// Calls that it has placed because it was told to, how many of them were answered, and how many the server did not take.
    pub(crate) fn placed(&self) -> (usize, usize, usize) {
        let roles = self.roles.lock().expect("it does not panic with it");
        roles.transferee.placed()
    }
    /// Calls that the server has placed to it because it was told to, and how many of them took the place of who told it.
    pub(crate) fn executed(&self) -> (usize, usize) {
        let roles = self.roles.lock().expect("it does not panic with it");
        roles.stayer.executed()
    }
}

fn serve(mut party: Party, roles: &Mutex<Roles>) {
    let mut repeated = Instant::now();
    loop {
        let heard = party.hear_within(Duration::from_millis(100));
        let mut roles = roles.lock().expect("only counted elsewhere");
        let Roles { transferee, stayer } = &mut *roles;
        match heard {
            Some(heard) if stayer.responded(&heard) => {}
            Some(heard) if heard.0.starts_with("SIP/2.0 ") => transferee.responded(&mut party, &heard),
            Some(heard) if heard.0.starts_with("REFER ") => transferee.referred(&mut party, &heard),
            Some(heard) => {
                if heard.0.starts_with("INVITE ") {
                    stayer.invited(&party, &heard);
                }
                asked(&mut party, &heard);
            }
            None => {}
        }
        if repeated.elapsed() > Duration::from_millis(100) {
            repeated = Instant::now();
            transferee.repeat(&mut party);
            stayer.hang_up(&mut party);
        }
    }
}

/// A request that needs no memory to be answered.
fn asked(party: &mut Party, heard: &Heard) {
    let user = heard.field("To");
    match heard.0.split(' ').next().unwrap_or_default() {
        "INVITE" if user.contains("sip:silent") => {}
        "INVITE" => {
            party.respond(heard, "180 Ringing", "");
            if user.contains("sip:answer") {
                let body = answer(heard, party.address);
                party.respond(heard, "200 OK", &body);
            } else if user.contains("sip:reject") {
                party.respond(heard, "486 Busy Here", "");
            }
        }
        "CANCEL" => {
            party.respond(heard, "200 OK", "");
            // The INVITE's response: same transaction, another CSeq method.
            let number = heard.field("CSeq");
            let invite = heard.0.replacen(&number, &number.replace("CANCEL", "INVITE"), 1);
            party.respond(&Heard(invite), "487 Request Terminated", "");
        }
        "BYE" => party.respond(heard, "200 OK", ""),
        _ => {}
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
