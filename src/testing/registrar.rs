//! A registrar that can be as bad as real ones are: RFC 3261 §10.3 and digest, checked by code that shares nothing with our own
//! answers to challenges.

use crate::sip::{Method, NameAddr, Request, Response, Status, Text, auth::Algorithm};
use md5::{Digest, Md5};
use sha2::Sha256;
use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// See the module. Change its fields between requests to change its mood.
#[derive(Debug)]
pub struct Registrar {
    /// What it asks a password for; empty: nobody is asked.
    pub realm: String,
    /// Passwords by user name.
    pub passwords: HashMap<String, String>,
    /// The digest that it asks for.
    pub algorithm: Algorithm,
    /// Whether it says `qop="auth"`.
    pub qop: bool,
    /// How often one nonce may be used.
    pub nonce_uses: u32,
    /// Whether it says `stale=true` of a nonce that it does not know any more.
    pub says_stale: bool,
    /// The most and the least that it grants, in seconds.
    pub grants: u32,
    /// Less is refused with 423.
    pub least: u32,
    /// It does not answer at all.
    pub silent: bool,
    /// It answers everything with this, and `Retry-After`.
    pub refuses: Option<(Status, Option<u32>)>,
    /// What it says of where requests come from instead of the truth.
    pub sees: Option<SocketAddr>,
    /// Sent along with each 200.
    pub service_route: Option<String>,
    /// Who is bound where, until when.
    pub bindings: HashMap<String, (String, Instant)>,
    /// All requests.
    pub heard: Vec<(Instant, Request)>,
    /// Faults of ours that it found: each one is a failure of the test.
    pub complaints: Vec<String>,
    /// Uses of each nonce, and its last count.
    nonces: HashMap<String, (u32, u32)>,
    /// What transactions were answered with.
    answered: HashMap<Text, Response>,
    issued: u64,
    last: HashMap<String, u32>,
}

impl Registrar {
    /// One that grants 600 s to who knows his password.
    pub fn new(realm: &str, passwords: &[(&str, &str)]) -> Self {
        Self {
            realm: realm.to_owned(),
            passwords: passwords
                .iter()
                .map(|(user, password)| ((*user).to_owned(), (*password).to_owned()))
                .collect(),
            algorithm: Algorithm::Md5,
            qop: true,
            nonce_uses: u32::MAX,
            says_stale: true,
            grants: 600,
            least: 0,
            silent: false,
            refuses: None,
            sees: None,
            service_route: None,
            bindings: HashMap::new(),
            heard: Vec::new(),
            complaints: Vec::new(),
            nonces: HashMap::new(),
            answered: HashMap::new(),
            issued: 0,
            last: HashMap::new(),
        }
    }
    /// It has lost its memory.
    pub fn restart(&mut self) {
        self.bindings.clear();
        self.nonces.clear();
    }
    /// Who is bound at this moment.
    pub fn bound(&self, now: Instant) -> usize {
        self.bindings.values().filter(|(_, until)| *until > now).count()
    }
    /// Answers a REGISTER, or does not.
    pub fn receive(&mut self, mut request: Request, source: SocketAddr, now: Instant) -> Option<Response> {
        let _ = request.headers.stamp(self.sees.unwrap_or(source));
        self.heard.push((now, request.clone()));
        // Nobody answers an ACK (RFC 3261 §17.1.1.3).
        if self.silent || request.method == Method::Ack {
            return None;
        }
        let branch = request.headers.via().ok()?.branch()?;
        if let Some(response) = self.answered.get(&branch) {
            return Some(response.clone());
        }
        let response = self.answer(&request, now);
        self.answered.insert(branch, response.clone());
        Some(response)
    }
    fn answer(&mut self, request: &Request, now: Instant) -> Response {
        if request.method != Method::Register {
            // It takes no calls; but it wants to know whose they are.
            let challenge = self.admit(request);
            return challenge.unwrap_or_else(|| request.respond(Status::NOT_FOUND, Some("r")));
        }
        self.complain_of(request);
        if let Some((status, retry_after)) = self.refuses {
            let mut response = request.respond(status, Some("r"));
            if let Some(seconds) = retry_after {
                response
                    .headers
                    .push("Retry-After", format!("{seconds} (please);duration=10"));
            }
            return response;
        }
        if let Some(challenge) = self.admit(request) {
            return challenge;
        }
        self.bind(request, now)
    }
    /// A challenge, where the request has to prove whose it is and does not.
    pub(super) fn admit(&mut self, request: &Request) -> Option<Response> {
        if self.realm.is_empty() {
            return None;
        }
        let stale = self.check(request).err()?;
        Some(self.challenge(request, stale && self.says_stale))
    }
    /// What RFC 3261 §10.2 asks of every REGISTER.
    fn complain_of(&mut self, request: &Request) {
        let mut wrong = |what: &str| {
            self.complaints.push(format!(
                "{what}: {}",
                String::from_utf8_lossy(&request.to_bytes())
            ))
        };
        if request.method != Method::Register {
            wrong("not a REGISTER");
        }
        if request.uri.user().is_some() {
            wrong("a user in the Request-URI");
        }
        let headers = &request.headers;
        let (Ok(call_id), Ok(cseq)) = (headers.call_id(), headers.cseq()) else {
            return wrong("no Call-ID or CSeq");
        };
        let before = self.last.insert(call_id.to_str().into_owned(), cseq.number);
        if before.is_some_and(|before| before > cseq.number) {
            wrong("CSeq goes back");
        }
        if headers.to().ok().is_none_or(|to| to.tag().is_some()) {
            wrong("a tag in To");
        }
    }
    /// `Err` with whether the secret was right and only the nonce is not known.
    fn check(&mut self, request: &Request) -> Result<(), bool> {
        let Some(value) = request.headers.get("Authorization") else {
            return Err(false);
        };
        let value = value.to_str().into_owned();
        let directives: HashMap<&str, &str> = value
            .trim_start_matches("Digest ")
            .split(", ")
            .filter_map(|directive| directive.split_once('='))
            .map(|(name, value)| (name, value.trim_matches('"')))
            .collect();
        let of = |name| directives.get(name).copied().unwrap_or_default();
        let hash = |text: String| match self.algorithm {
            Algorithm::Md5 | Algorithm::Md5Sess => hex::encode(Md5::digest(text)),
            Algorithm::Sha256 | Algorithm::Sha256Sess => hex::encode(Sha256::digest(text)),
        };
        let (user, nonce) = (of("username"), of("nonce"));
        let Some(password) = self.passwords.get(user) else {
            return Err(false);
        };
        let a1 = hash(format!("{user}:{}:{password}", self.realm));
        let a2 = hash(format!("{}:{}", request.method, of("uri")));
        let expected = if self.qop {
            hash(format!("{a1}:{nonce}:{}:{}:auth:{a2}", of("nc"), of("cnonce")))
        } else {
            hash(format!("{a1}:{nonce}:{a2}"))
        };
        if of("uri") != request.uri.as_str() || of("realm") != self.realm || of("response") != expected {
            return Err(false);
        }
        let Some((used, last)) = self.nonces.get_mut(nonce) else {
            return Err(true);
        };
        *used += 1;
        if *used > self.nonce_uses {
            return Err(true);
        }
        if self.qop {
            // What was lost on the way was counted, too.
            let count = u32::from_str_radix(of("nc"), 16).unwrap_or(0);
            if count <= *last {
                self.complaints.push(format!("nc is {count}, it was {last}"));
            }
            *last = count;
        }
        Ok(())
    }
    fn challenge(&mut self, request: &Request, stale: bool) -> Response {
        self.issued += 1;
        let nonce = format!("nonce-{}", self.issued);
        let mut response = request.respond(Status::UNAUTHORIZED, Some("r"));
        let qop = if self.qop { ", qop=\"auth\"" } else { "" };
        let stale = if stale { ", stale=true" } else { "" };
        response.headers.push(
            "WWW-Authenticate",
            format!(
                "Digest realm=\"{}\", nonce=\"{nonce}\", algorithm={}{qop}{stale}",
                self.realm,
                self.algorithm.as_str()
            ),
        );
        self.nonces.insert(nonce, (0, 0));
        response
    }
    fn bind(&mut self, request: &Request, now: Instant) -> Response {
        let headers = &request.headers;
        let aor = headers.to().map(|to| to.uri.to_string()).unwrap_or_default();
        let asked = headers
            .get("Expires")
            .and_then(|value| value.to_str().parse::<u32>().ok())
            .unwrap_or(3600);
        if asked > 0 && asked < self.least {
            let mut response = request.respond(Status::new(423).unwrap_or(Status::BAD_REQUEST), Some("r"));
            response.headers.push("Min-Expires", self.least.to_string());
            return response;
        }
        for contact in headers
            .values("Contact")
            .filter_map(|value| NameAddr::parse(value).ok())
        {
            let own = contact.param("expires").flatten();
            let asked = own.and_then(|own| own.to_str().parse().ok()).unwrap_or(asked);
            let granted = asked.min(self.grants);
            if granted > 0 {
                let until = now + Duration::from_secs(granted.into());
                self.bindings
                    .insert(aor.clone(), (contact.uri.to_string(), until));
            } else if self
                .bindings
                .get(&aor)
                .is_some_and(|(bound, _)| *bound == contact.uri.to_string())
            {
                self.bindings.remove(&aor);
            }
        }
        let mut response = request.respond(Status::OK, Some("r"));
        if let Some((contact, until)) = self.bindings.get(&aor) {
            let left = until.saturating_duration_since(now).as_secs();
            response
                .headers
                .push("Contact", "<sip:somebody-else@192.0.2.77>;expires=7");
            response
                .headers
                .push("Contact", format!("<{contact}>;expires={left}"));
        }
        if let Some(route) = &self.service_route {
            response.headers.push("Service-Route", route.clone());
        }
        response
    }
}
