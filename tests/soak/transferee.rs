//! The called party as transferee (RFC 3515, RFC 5589 §6): told by REFER whom to call, it calls, and says what became of it.

use crate::party::{Heard, Party, fresh};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// What has been asked for by REFER: the calls that it leads to, by the Call-ID of the call that the REFER was in.
#[derive(Default)]
pub(crate) struct Transferee {
    transfers: HashMap<String, Transfer>,
    /// The Call-ID of the call that a transfer leads to, and of the one that it was asked for in.
    calls: HashMap<String, String>,
    /// How many of those the server did not take, because it did not keep up.
    shed: usize,
}

struct Transfer {
    refer: Heard,
    /// Of its own requests in the first call.
    cseq: u32,
    invite: String,
    /// News that wait until the news before them have been heard.
    result: Option<String>,
    /// What waits for a response, by its method, and since when it was last sent.
    asked: HashMap<&'static str, (String, Instant)>,
    hung_up: bool,
}

impl Transferee {
    /// A REFER. Repeated ones lead to no second call.
    pub(crate) fn referred(&mut self, party: &mut Party, refer: &Heard) {
        party.respond(refer, "202 Accepted", "");
        let call_id = refer.field("Call-ID");
        if self.transfers.contains_key(&call_id) {
            return;
        }
        let refer_to = refer.field("Refer-To");
        let target = refer_to.trim_start_matches('<').split('>').next().expect("a URI");
        let to = fresh("transferred");
        let mut transfer = Transfer {
            refer: refer.clone(),
            cseq: 0,
            invite: party.invite(&to, target),
            result: None,
            asked: HashMap::new(),
            hung_up: false,
        };
        transfer.tell(party, "SIP/2.0 100 Trying\r\n");
        let invite = transfer.invite.clone();
        transfer.ask(party, "INVITE", invite);
        self.calls.insert(to, call_id.clone());
        self.transfers.insert(call_id, transfer);
    }
    /// A response to something that it has sent.
    pub(crate) fn responded(&mut self, party: &mut Party, heard: &Heard) {
        let call_id = heard.field("Call-ID");
        let first = self.calls.get(&call_id).unwrap_or(&call_id);
        let Some(transfer) = self.transfers.get_mut(first) else {
            panic!("a response to nothing: {}", heard.0);
        };
        let status: u16 = heard.0[8..11].parse().expect("a status");
        let method = heard.field("CSeq");
        match (method.split(' ').nth(1).unwrap_or_default(), status) {
            (_, 100..200) => {}
            ("INVITE", 200) => {
                party.send(&party.within("ACK", 1, heard));
                if transfer.asked.remove("INVITE").is_some() {
                    transfer.end(party, "SIP/2.0 200 OK\r\n");
                    // It has nothing to say to whom it was sent.
                    let bye = party.within("BYE", 2, heard);
                    transfer.ask(party, "BYE", bye);
                    transfer.hung_up = true;
                }
            }
            ("INVITE", 300..) => {
                let invite = transfer.invite.clone();
                party.ack_failure(&invite, heard);
                if transfer.asked.remove("INVITE").is_some() {
                    self.shed += usize::from(status == 503);
                    let line = heard.start().to_owned() + "\r\n";
                    transfer.end(party, &line);
                }
            }
            ("NOTIFY", _) => {
                transfer.asked.remove("NOTIFY");
                if let Some(news) = transfer.result.take() {
                    transfer.tell(party, &news);
                }
            }
            ("BYE", _) => {
                transfer.asked.remove("BYE");
            }
            _ => panic!("unexpected: {}", heard.0),
        }
    }
    /// Says again what was not answered, as timers A and E of RFC 3261 would.
    pub(crate) fn repeat(&mut self, party: &mut Party) {
        for (text, since) in self.transfers.values_mut().flat_map(|it| it.asked.values_mut()) {
            if since.elapsed() > Duration::from_millis(500) {
                *since = Instant::now();
                party.send(text);
            }
        }
    }
    /// Calls that it has placed, how many of them were answered, and how many the server did not take.
    pub(crate) fn placed(&self) -> (usize, usize, usize) {
        let answered = self.transfers.values().filter(|transfer| transfer.hung_up);
        (self.calls.len(), answered.count(), self.shed)
    }
}

impl Transfer {
    fn ask(&mut self, party: &mut Party, method: &'static str, text: String) {
        party.send(&text);
        self.asked.insert(method, (text, Instant::now()));
    }
    /// The last news, after those that are still on their way.
    fn end(&mut self, party: &mut Party, news: &str) {
        if self.asked.contains_key("NOTIFY") {
            self.result = Some(news.to_owned());
        } else {
            self.tell(party, news);
        }
    }
    /// A NOTIFY in the first call (RFC 3515 §2.4.4).
    fn tell(&mut self, party: &mut Party, news: &str) {
        self.cseq += 1;
        let state = match news.starts_with("SIP/2.0 1") {
            true => "active;expires=60",
            false => "terminated;reason=noresource",
        };
        let more = format!(
            "Event: refer\r\nSubscription-State: {state}\r\nContent-Type: message/sipfrag;version=2.0\r\nContent-Length: {}\r\n\r\n",
            news.len()
        );
        let notify = party.within("NOTIFY", self.cseq, &self.refer);
        let head = notify.split("Content-Length").next().expect("a head");
        let text = format!("{head}{more}{news}");
        self.ask(party, "NOTIFY", text);
    }
}
