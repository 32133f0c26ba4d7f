//! Somebody who asks and is asked, with transactions of its own (RFC 3261 §17, figures 6 and 8): it judges those of the server.

use super::{
    dialogue::Dialogue,
    plan::{Ask, Life, Manners},
};
use crate::sip::{
    Message, Method, Request, Response, Status,
    parse::{self, Parsed},
    routing::TransactionKey,
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const T1_64: Duration = Duration::from_secs(32);

pub(super) fn read(bytes: &Bytes) -> Message {
    match parse::datagram(bytes.clone()) {
        Ok(Parsed::Message(message)) => message,
        other => panic!("not a message: {other:?}: {}", String::from_utf8_lossy(bytes)),
    }
}

/// A request that was asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) at: Instant,
    pub(super) cseq: u32,
    branch: String,
    bytes: Bytes,
    /// Said again then, until that.
    again: Instant,
    interval: Duration,
    end: Instant,
    /// Each final response that came, but for repetitions of the same.
    pub(super) finals: Vec<Bytes>,
    /// When it had its answer, or was given up.
    pub(super) over: Option<Instant>,
    pub(super) dialogue: Option<usize>,
}

impl Asked {
    /// Whether it was asked inside of a subscription.
    pub(super) fn is_inside(&self) -> bool {
        !self.id.starts_with("ask-")
    }
    /// Its answer: code, and who gave it for what.
    pub(super) fn answer(&self) -> Option<(u16, Option<String>)> {
        let Message::Response(response) = read(self.finals.first()?) else {
            return None;
        };
        let by = response.headers.get("X-Answer").map(|by| by.to_string());
        Some((response.status.code(), by))
    }
}

/// A request that came.
struct Heard {
    key: TransactionKey,
    request: Request,
    /// What was said to it last.
    said: Option<Bytes>,
    /// What will be.
    due: Option<(Instant, u16)>,
}

pub(super) struct End {
    pub(super) name: &'static str,
    address: SocketAddr,
    pub(super) now: Instant,
    pub(super) asked: Vec<Asked>,
    heard: Vec<Heard>,
    /// How often its application has seen what.
    pub(super) seen: BTreeMap<String, u32>,
    /// What it has answered to what.
    pub(super) said: BTreeMap<String, u16>,
    pub(super) dialogues: Vec<Dialogue>,
    /// Of subscriptions that it may be asked for.
    pub(super) lives: BTreeMap<String, Life>,
    pub(super) out: Vec<Bytes>,
    branches: u32,
}

impl End {
    pub(super) fn new(name: &'static str, address: SocketAddr, now: Instant) -> Self {
        Self {
            name,
            address,
            now,
            asked: Vec::new(),
            heard: Vec::new(),
            seen: BTreeMap::new(),
            said: BTreeMap::new(),
            dialogues: Vec::new(),
            lives: BTreeMap::new(),
            out: Vec::new(),
            branches: 0,
        }
    }
    pub(super) fn due(&self) -> Option<Instant> {
        let open = self.asked.iter().filter(|asked| asked.over.is_none());
        open.map(|asked| asked.again.min(asked.end))
            .chain(self.heard.iter().filter_map(|heard| Some(heard.due?.0)))
            .chain((0..self.dialogues.len()).filter_map(|at| self.dialogues[at].due(self.waits(at))))
            .min()
    }
    pub(super) fn tick(&mut self) {
        let now = self.now;
        for asked in self.asked.iter_mut().filter(|asked| asked.over.is_none()) {
            if asked.end <= now {
                asked.over = Some(now);
                if asked.method == "SUBSCRIBE"
                    && let Some(dialogue) = asked.dialogue.and_then(|at| self.dialogues.get_mut(at))
                {
                    dialogue.fails(now);
                }
            } else if asked.again <= now {
                asked.interval = (asked.interval * 2).min(T2);
                asked.again = now + asked.interval;
                self.out.push(asked.bytes.clone());
            }
        }
        for at in 0..self.heard.len() {
            if let Some((_, code)) = self.heard[at].due.take_if(|(at, _)| *at <= now) {
                self.answer(at, code);
            }
        }
        for at in 0..self.dialogues.len() {
            self.go_on(at);
        }
    }

    /// Asks for something outside of any dialog.
    pub(super) fn ask(&mut self, ask: &Ask) {
        let mut more = String::new();
        for (way, manners) in ask.manners.iter().enumerate() {
            more += &format!("X-Manners-{way}: {}\r\n", manners.to_text());
        }
        let call_id = format!("{}-{}", self.name, ask.id);
        let mut dialogue = Dialogue::new(&call_id, &format!("{}-tag", ask.id));
        dialogue.uris = ("sip:alice@example.org".into(), "sip:bob@example.org".into());
        dialogue.ask.clone_from(&ask.id);
        dialogue.target = "sip:bob@example.org".into();
        let number = ask.life.as_ref().map(|life| {
            more += &format!("Event: presence\r\nExpires: {}\r\n", life.expires);
            dialogue.subscribes(life, self.now);
            self.dialogues.len()
        });
        if ask.method == "NOTIFY" {
            more += "Event: presence\r\nSubscription-State: active\r\n";
        }
        self.send(&mut dialogue, ask.method, &ask.id, &more, number);
        if number.is_some() {
            self.dialogues.push(dialogue);
        }
    }
    fn send(&mut self, dialogue: &mut Dialogue, method: &str, id: &str, more: &str, number: Option<usize>) {
        self.branches += 1;
        dialogue.cseq += 1;
        let branch = format!("z9hG4bK-{}-{}", self.name, self.branches);
        let to = dialogue.remote.as_ref();
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {};rport;branch={branch}\r\nFrom: <{}>;tag={}\r\nTo: <{}>{}\r\n\
             Call-ID: {}\r\nCSeq: {} {method}\r\nMax-Forwards: 70\r\nContact: <sip:{}@{}>\r\nX-Id: {id}\r\n{more}\
             Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{id}",
            dialogue.target,
            self.address,
            dialogue.uris.0,
            dialogue.local,
            dialogue.uris.1,
            to.map_or(String::new(), |tag| format!(";tag={tag}")),
            dialogue.call_id,
            dialogue.cseq,
            self.name,
            self.address,
            id.len(),
        );
        let bytes = Bytes::from(text);
        self.out.push(bytes.clone());
        self.asked.push(Asked {
            id: id.to_owned(),
            method: method.to_owned(),
            at: self.now,
            cseq: dialogue.cseq,
            branch,
            bytes,
            again: self.now + T1,
            interval: T1,
            end: self.now + T1_64,
            finals: Vec::new(),
            over: None,
            dialogue: number,
        });
    }
    /// Whether something that was said in a dialog is not answered.
    fn waits(&self, at: usize) -> bool {
        let open = |asked: &Asked| asked.dialogue == Some(at) && asked.over.is_none();
        self.asked.iter().any(open)
    }
    /// Says in a dialog what is due.
    fn go_on(&mut self, at: usize) {
        let waits = self.waits(at);
        while let Some((method, more)) = self.dialogues[at].next(self.now, waits) {
            let mut dialogue = std::mem::take(&mut self.dialogues[at]);
            let id = format!("{}-{at}-{method}-{}", self.name, dialogue.cseq);
            self.send(&mut dialogue, method, &id, &more, Some(at));
            self.dialogues[at] = dialogue;
            if self.dialogues[at].patient {
                return;
            }
        }
    }

    pub(super) fn receive(&mut self, bytes: &Bytes) {
        match read(bytes) {
            Message::Request(request) => self.requested(request),
            Message::Response(response) => self.answered(&response, bytes),
        }
    }
    fn answered(&mut self, response: &Response, bytes: &Bytes) {
        let branch = response.headers.via().expect("ours").branch().unwrap_or_default();
        let Some(asked) = self.asked.iter_mut().find(|asked| branch == *asked.branch) else {
            panic!("{}: an answer to nothing: {response:?}", self.name);
        };
        if !response.status.is_final() {
            asked.interval = T2;
            return;
        }
        if !asked.finals.contains(bytes) {
            asked.finals.push(bytes.clone());
        }
        // What comes after that has been given up is for nobody.
        if asked.over.is_none() {
            asked.over = Some(self.now);
            let (method, at) = (asked.method.clone(), asked.dialogue);
            if let Some(dialogue) = at.and_then(|at| self.dialogues.get_mut(at)) {
                dialogue.told(&method, response, self.now);
            }
        }
    }
    fn requested(&mut self, request: Request) {
        let key = TransactionKey::of(&request).expect("the server's own");
        if let Some(known) = self.heard.iter().find(|heard| heard.key == key) {
            self.out.extend(known.said.clone());
            return;
        }
        let headers = &request.headers;
        let way = if self.name == "carol" { 1 } else { 0 };
        let manners = headers.get(format!("X-Manners-{way}").as_str());
        let manners = manners.and_then(|text| Manners::read(&text.to_str()));
        let to_tag = headers.to().expect("the server's own").tag();
        let (code, after, trying) = match to_tag {
            Some(_) => (Some(self.inside(&request)), Duration::ZERO, false),
            None => {
                let manners = manners.expect("what is asked outside says how");
                (manners.code, manners.after, manners.trying)
            }
        };
        let id = headers.get("X-Id").map_or(String::new(), |id| id.to_string());
        // What was overtaken, and what belongs to nothing, is seen by no application.
        if !matches!((to_tag.is_some(), code), (true, Some(481 | 500))) {
            *self.seen.entry(id).or_default() += 1;
        }
        self.heard.push(Heard {
            key,
            request,
            said: None,
            due: code.map(|code| (self.now + after, code)),
        });
        if trying {
            self.say(self.heard.len() - 1, 100);
        }
    }
    /// What is to be said to a request inside of a dialog (RFC 3261 §12.2.2, RFC 6665).
    fn inside(&mut self, request: &Request) -> u16 {
        let now = self.now;
        let known = self.dialogues.iter_mut().find(|dialogue| dialogue.is_of(request));
        known.map_or(481, |dialogue| dialogue.hears(request, now))
    }
    fn answer(&mut self, at: usize, code: u16) {
        self.say(at, code);
        let request = self.heard[at].request.clone();
        let begins = request.headers.to().is_ok_and(|to| to.tag().is_none());
        if begins && request.method == Method::Subscribe && (200..300).contains(&code) {
            let id = request.headers.get("X-Id").unwrap_or_default().to_string();
            let life = self.lives.get(&id).expect("one of the plan");
            let tag = format!("{}-{id}", self.name);
            self.dialogues
                .push(Dialogue::of_subscribe(&request, &tag, life, self.now));
        }
    }
    fn say(&mut self, at: usize, code: u16) {
        let heard = &mut self.heard[at];
        let id = heard.request.headers.get("X-Id").unwrap_or_default().to_string();
        let tag = format!("{}-{id}", self.name);
        let status = Status::new(code).expect("a code");
        let mut response = heard.request.respond(status, (code > 100).then_some(&*tag));
        if code > 100 {
            response
                .headers
                .push("X-Answer", format!("{} {id} {code}", self.name));
            response
                .headers
                .push("Contact", format!("<sip:{}@{}>", self.name, self.address));
            self.said.insert(id, code);
            if let (Method::Subscribe, Some(expires)) =
                (&heard.request.method, heard.request.headers.get("Expires"))
            {
                response.headers.push("Expires", expires);
            }
        }
        let bytes = response.to_bytes();
        heard.said = Some(bytes.clone());
        self.out.push(bytes);
    }
}
