//! Who knows of mailboxes, and can be as bad as real ones are: RFC 6665 §4.2, RFC 3842.

use super::Registrar;
use crate::sip::{Headers, Method, Request, Response, Status, Text, Uri, dialog::Dialog};
use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// See the module. Change its fields between requests to change its mood.
#[derive(Debug)]
pub struct Notifier {
    /// Where it is.
    pub address: SocketAddr,
    /// Asks for passwords, and checks them.
    pub guard: Registrar,
    /// The most that it grants, in seconds.
    pub grants: u32,
    /// Less is refused with 423.
    pub least: u32,
    /// It does not answer at all.
    pub silent: bool,
    /// It grants, and does not say what there is.
    pub says_nothing: bool,
    /// Its first NOTIFY overtakes its answer.
    pub hurries: bool,
    /// It answers everything with this, and `Retry-After`.
    pub refuses: Option<(Status, Option<u32>)>,
    /// What it says that there is.
    pub summary: String,
    /// Who is subscribed, by Call-ID.
    pub subscriptions: HashMap<Text, Subscribed>,
    /// All requests.
    pub heard: Vec<(Instant, Request)>,
    /// Answers to its NOTIFYs.
    pub told: Vec<Response>,
    /// Faults of ours that it found: each one is a failure of the test.
    pub complaints: Vec<String>,
    answered: HashMap<Text, Response>,
    count: u64,
}

/// A subscription.
#[derive(Clone, Debug)]
pub struct Subscribed {
    /// Of the subscriber.
    pub dialog: Dialog,
    /// Where it is.
    pub from: SocketAddr,
    /// How long it lasts.
    pub until: Instant,
}

impl Notifier {
    /// One that grants 600 s to who knows his password.
    pub fn new(realm: &str, passwords: &[(&str, &str)]) -> Self {
        Self {
            address: ([192, 0, 2, 1], 5060).into(),
            guard: Registrar::new(realm, passwords),
            grants: 600,
            least: 0,
            silent: false,
            says_nothing: false,
            hurries: false,
            refuses: None,
            summary: "Messages-Waiting: no\r\n".to_owned(),
            subscriptions: HashMap::new(),
            heard: Vec::new(),
            told: Vec::new(),
            complaints: Vec::new(),
            answered: HashMap::new(),
            count: 0,
        }
    }
    /// It has lost its memory.
    pub fn restart(&mut self) {
        self.subscriptions.clear();
    }
    /// What it says to a SUBSCRIBE, in order: its answer, and a NOTIFY.
    pub fn receive(
        &mut self,
        mut request: Request,
        source: SocketAddr,
        now: Instant,
    ) -> (Option<Response>, Option<Request>) {
        let _ = request.headers.stamp(source);
        self.heard.push((now, request.clone()));
        if self.silent || request.method == Method::Ack {
            return (None, None);
        }
        let branch = request.headers.via().ok().and_then(|via| via.branch());
        let branch = branch.unwrap_or_default();
        if let Some(response) = self.answered.get(&branch) {
            return (Some(response.clone()), None);
        }
        let (response, notify) = self.answer(&request, source, now);
        self.answered.insert(branch, response.clone());
        (Some(response), notify)
    }
    fn answer(&mut self, request: &Request, source: SocketAddr, now: Instant) -> (Response, Option<Request>) {
        self.complain_of(request);
        if let Some((status, retry_after)) = self.refuses {
            let mut response = request.respond(status, Some("n"));
            if let Some(seconds) = retry_after {
                response.headers.push("Retry-After", seconds.to_string());
            }
            return (response, None);
        }
        if let Some(challenge) = self.guard.admit(request) {
            return (challenge, None);
        }
        let refuse = |code: u16| request.respond(Status::new(code).unwrap_or(Status::BAD_REQUEST), Some("n"));
        let headers = &request.headers;
        let (Ok(call_id), Ok(to), Ok(cseq)) = (headers.call_id(), headers.to(), headers.cseq()) else {
            return (refuse(400), None);
        };
        let asked = headers.number("Expires").unwrap_or(3600);
        if asked > 0 && asked < self.least {
            let mut response = refuse(423);
            response.headers.push("Min-Expires", self.least.to_string());
            return (response, None);
        }
        self.count += 1;
        let tag = format!("n{}", self.count);
        let known = self.subscriptions.get(&call_id).cloned();
        let mut subscribed = match (to.tag(), known) {
            (Some(_), None) => return (refuse(481), None),
            (Some(_), Some(mut known)) => {
                if known.dialog.receive(cseq.number).is_err() {
                    self.complaints.push(format!("CSeq {} came late", cseq.number));
                    return (refuse(500), None);
                }
                known
            }
            (None, _) => match Dialog::uas(request, &tag, 100) {
                Ok(dialog) => Subscribed {
                    dialog,
                    from: source,
                    until: now,
                },
                Err(error) => {
                    self.complaints.push(error.to_string());
                    return (refuse(400), None);
                }
            },
        };
        let granted = asked.min(self.grants);
        subscribed.until = now + Duration::from_secs(granted.into());
        let tag = subscribed.dialog.local_tag.to_string();
        let mut response = request.respond(Status::OK, Some(&tag));
        response.headers.push("Expires", granted.to_string());
        let contact = format!("<sip:voicemail@{}>", self.address);
        response.headers.push("Contact", contact);
        self.subscriptions.insert(call_id.clone(), subscribed);
        let state = if asked == 0 {
            "terminated;reason=timeout".to_owned()
        } else {
            format!("active;expires={granted}")
        };
        let says = !self.says_nothing || asked == 0;
        let notify = says.then(|| self.notify(&call_id, &state)).flatten();
        if asked == 0 {
            self.subscriptions.remove(&call_id);
        }
        (response, notify)
    }
    /// What RFC 6665 and RFC 3842 ask of every SUBSCRIBE.
    fn complain_of(&mut self, request: &Request) {
        let headers = &request.headers;
        let is = |name: &str, value: &str| {
            headers
                .get(name)
                .is_some_and(|written| written.as_bytes() == value.as_bytes())
        };
        let faults = [
            (request.method != Method::Subscribe, "not a SUBSCRIBE"),
            (!is("Event", "message-summary"), "another Event"),
            (
                !is("Accept", "application/simple-message-summary"),
                "another Accept",
            ),
            (headers.number("Expires").is_none(), "no Expires"),
            (
                headers.contacts().is_ok_and(|all| all.len() != 1),
                "not one Contact",
            ),
        ];
        for (is_wrong, what) in faults {
            if is_wrong {
                let shown = String::from_utf8_lossy(&request.to_bytes()).into_owned();
                self.complaints.push(format!("{what}: {shown}"));
            }
        }
    }
    /// A NOTIFY of that subscription.
    pub fn notify(&mut self, call_id: &Text, state: &str) -> Option<Request> {
        self.count += 1;
        let subscribed = self.subscriptions.get_mut(call_id)?;
        let path = subscribed.dialog.path();
        let mut request = subscribed.dialog.request(Method::Notify, &path);
        let headers = &mut request.headers;
        let via = format!("SIP/2.0/UDP {};branch=z9hG4bKn{};rport", self.address, self.count);
        headers.push_front("Via", via);
        headers.push("Contact", format!("<sip:voicemail@{}>", self.address));
        headers.push("Event", "message-summary");
        headers.push("Subscription-State", state);
        headers.push("Content-Type", "application/simple-message-summary");
        request.body = self.summary.clone().into_bytes().into();
        Some(request)
    }
    /// NOTIFYs of all subscriptions, each with where it goes.
    pub fn tell(&mut self, state: &str) -> Vec<(SocketAddr, Request)> {
        let all: Vec<_> = self.subscriptions.keys().cloned().collect();
        all.iter()
            .filter_map(|call_id| {
                let to = self.subscriptions.get(call_id)?.from;
                Some((to, self.notify(call_id, state)?))
            })
            .collect()
    }
    /// Where a subscriber is, by its Contact.
    pub fn contact(&self, call_id: &Text) -> Option<Uri> {
        Some(self.subscriptions.get(call_id)?.dialog.remote_target.clone())
    }
    /// Fields of the requests that were heard.
    pub fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        let field = |headers: &Headers| headers.get(name).map(|value| value.to_string());
        self.heard
            .iter()
            .map(move |(_, request)| field(&request.headers).unwrap_or_default())
    }
}
