//! `trenscrypter`: the same callee, another media encryption.
//!
//! Leg B goes to the *To* of leg A (not to its Request-URI, which a proxy has often replaced by a contact), through
//! the outbound proxy. How its media is encrypted follows from the first rule that matches the callee; with no rule
//! it is what leg A offered. A leg that should be encrypted is encrypted or the call fails with 488: nothing falls
//! back to another encryption, or to none, but to those that `encryption-fallback` names.

use b2bua::{
    app::{
        Application, BuildError, Decision, Encryption, EncryptionPolicy, Failure, FailureKind, HeaderList,
        Invite, Limits, MediaPolicy, NatLatching, Origin, Outgoing, RelayChoice, Rescue, Services,
        Standalone,
    },
    config::{Key, Kind, RegexTable, checked, parsed},
    media::Suite,
    sip::{Headers, Method, NameAddr, Status, Uri},
};
use serde::Deserialize;
use std::{collections::VecDeque, str::FromStr, sync::Arc};

/// The application.
pub(crate) struct Trenscrypter {
    rules: Config,
    forwarded: Arc<HeaderList>,
    route: Vec<Uri>,
    latching: NatLatching,
}

/// `[b2bua-server::trenscrypter]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(deserialize_with = "parsed")]
    outgoing_enc_regex: RegexTable<Mode>,
    #[serde(deserialize_with = "parsed")]
    outgoing_srtp_regex: RegexTable<Suites>,
    #[serde(deserialize_with = "parsed")]
    encryption_fallback: Fallback,
    #[serde(deserialize_with = "parsed")]
    forwarded_headers: HeaderList,
}

const KEYS: &[Key] = &[
    Key {
        name: "outgoing-enc-regex",
        kind: Kind::Checked {
            expected: "pairs of none, sdes, dtls-srtp or zrtp and a regular expression, separated by spaces",
            check: checked::<RegexTable<Mode>>,
        },
        default: "",
        help: "Encryption of the call to the callee: `mode1 regex1 mode2 regex2 …`. The first regular expression that \
               matches all of the callee's URI (the To of the caller, with its parameters, without its display name) \
               decides; when none does, the callee gets what the caller offered. Modes: none, sdes, \
               dtls-srtp, zrtp. The expressions are ECMAScript's, without look-ahead and \
               back-references; end one with (;.*)? to allow parameters.",
        reload: true,
        example: r"sdes sip:.*@secure\.example\.org(;.*)? none sip:.*@pstn\.example\.org(;.*)?",
    },
    Key {
        name: "outgoing-srtp-regex",
        kind: Kind::Checked {
            expected: "pairs of suites joined by ; and a regular expression, separated by spaces",
            check: checked::<RegexTable<Suites>>,
        },
        default: "",
        help: "SRTP suites to offer to the callee when the call to it is encrypted with SDES, best first: \
               `suite;suite regex1 suite regex2 …`, matched as outgoing-enc-regex. With no match: \
               AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32, AES_256_CM_HMAC_SHA1_80, AES_256_CM_HMAC_SHA1_32, \
               AEAD_AES_128_GCM, AEAD_AES_256_GCM.",
        reload: true,
        example: r"AES_256_CM_HMAC_SHA1_80;AEAD_AES_256_GCM sip:.*@secure\.example\.org(;.*)?",
    },
    Key {
        name: "encryption-fallback",
        kind: Kind::Checked {
            expected: "encryption modes in the order in which they are to be tried, separated by spaces: none, sdes, \
                       dtls-srtp, zrtp",
            check: checked::<Fallback>,
        },
        default: "",
        help: "What to call the callee with when it refuses the encryption that it was called with (488, 415 or 606, or \
               an answer without keys): these modes, one after another, until one is taken. Empty: no other is tried, \
               and the caller gets the refusal. `none` also lets a callee go on in the clear that was called with \
               zrtp, answered, and neither announced ZRTP nor said Hello within 4 seconds. Whoever can change the \
               signalling can bring about each mode that stands here: name `none` only where that is better than no \
               call.",
        reload: true,
        example: "sdes none",
    },
    Key {
        name: "forwarded-headers",
        kind: Kind::Checked {
            expected: "names of header fields, separated by spaces; a * at the end stands for all that begin so",
            check: checked::<HeaderList>,
        },
        default: "Subject P-Asserted-Identity P-Preferred-Identity Privacy Diversion History-Info Referred-By \
                  Alert-Info Call-Info Accept-Language Organization Priority Reason Identity X-*",
        help: "Header fields of the caller's INVITE that the callee gets too, besides the From and To identities. Inside the \
               call, and either way, the same fields cross with BYE, with INFO, MESSAGE, REFER, NOTIFY, unknown methods and their \
               answers, and with failures. What belongs to one leg (Via, Contact, Call-ID, User-Agent, Supported …) can not be named here.",
        reload: true,
        example: "Subject P-Asserted-Identity Privacy X-*",
    },
];

/// A mode of `outgoing-enc-regex`.
#[derive(Clone, Copy, Debug)]
struct Mode(Encryption);

impl FromStr for Mode {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word.parse() {
            Ok(mode) => Ok(Self(mode)),
            Err(_) => Err(format!("there is no encryption mode {word:?}")),
        }
    }
}

/// `encryption-fallback`: modes in the order in which they are tried.
#[derive(Clone, Debug, Default)]
struct Fallback(Vec<Encryption>);

impl FromStr for Fallback {
    type Err = String;
    fn from_str(words: &str) -> Result<Self, String> {
        let mut modes = Vec::new();
        for word in words.split_ascii_whitespace() {
            let Mode(mode) = word.parse()?;
            if modes.contains(&mode) {
                return Err(format!("{word} stands twice in {words:?}"));
            }
            modes.push(mode);
        }
        Ok(Self(modes))
    }
}

/// What is left to be tried with a callee.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    modes: VecDeque<Encryption>,
    /// The caller's INVITE, where something is left.
    invite: Option<Box<Invite>>,
}

/// A list of `outgoing-srtp-regex`: suites joined by `;`, best first.
#[derive(Clone, Debug)]
struct Suites(Vec<Suite>);

impl FromStr for Suites {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        let mut suites: Vec<Suite> = Vec::new();
        for name in word.split(';').filter(|name| !name.is_empty()) {
            let suite = name.parse().map_err(|error| format!("{error}"))?;
            if suites.contains(&suite) {
                return Err(format!("{name} stands twice in {word:?}"));
            }
            suites.push(suite);
        }
        if suites.is_empty() {
            Err(format!("{word:?} names no suite"))
        } else {
            Ok(Self(suites))
        }
    }
}

impl Application for Trenscrypter {
    const NAME: &'static str = "trenscrypter";
    const HELP: &'static str =
        "The application trenscrypter: calls the same callee with another media encryption.";
    const KEYS: &'static [Key] = KEYS;
    type Config = Config;
    type Call = Attempts;

    async fn build(rules: Config, services: &Services) -> Result<Self, BuildError> {
        let proxy = services.outbound_proxy.iter();
        Ok(Self {
            forwarded: Arc::new(rules.forwarded_headers.clone()),
            rules,
            route: proxy.map(|uri| uri.with_param("lr", None)).collect(),
            latching: services.latching,
        })
    }

    fn forwarded(&self) -> Arc<HeaderList> {
        self.forwarded.clone()
    }

    async fn route(&self, attempts: &mut Attempts, invite: &Invite) -> Decision {
        let policy = self.policy(invite);
        // An INVITE without offer asks for no encryption that could be refused.
        if let Some(offered) = invite.encryption {
            let first = match policy {
                EncryptionPolicy::Only(mode) => mode,
                EncryptionPolicy::AsCaller => offered,
            };
            let Fallback(modes) = &self.rules.encryption_fallback;
            attempts.modes = modes.iter().copied().filter(|mode| *mode != first).collect();
            attempts.invite = (!attempts.modes.is_empty()).then(|| Box::new(invite.clone()));
        }
        Decision::Bridge(vec![self.outgoing(invite, policy)])
    }

    /// A MESSAGE or PUBLISH goes on untouched to whom it is addressed; a SUBSCRIBE gets 488, as upstream.
    async fn route_standalone(&self, request: &Standalone) -> Decision {
        match request.method() {
            Method::Message | Method::Publish => {
                let mut headers = Headers::default();
                HeaderList::copy_all(request.headers(), &mut headers);
                Decision::Bridge(vec![self.towards(&request.from, &request.to, headers)])
            }
            Method::Subscribe => Decision::Decline(Failure::new(
                Status::NOT_ACCEPTABLE_HERE,
                Origin::App,
                FailureKind::Declined,
            )),
            _ => Decision::Decline(request.refusal()),
        }
    }

    async fn rescue(&self, attempts: &mut Attempts, failure: &Failure) -> Rescue {
        let refused = failure.origin == Origin::LegB && REFUSALS.contains(&failure.status.code());
        if let (true, Some(invite)) = (refused, &attempts.invite)
            && let Some(mode) = attempts.modes.pop_front()
        {
            tracing::warn!(status = %failure.status, %mode, "the callee refuses the encryption, tried with another");
            return Rescue::Try(vec![self.outgoing(invite, EncryptionPolicy::Only(mode))]);
        }
        Rescue::Relay
    }
}

/// Codes by which a callee refuses the offered media: 488 Not Acceptable Here, 415 Unsupported Media Type, 606 Not Acceptable.
const REFUSALS: [u16; 3] = [488, 415, 606];

/// Without what belongs to the header field. URI headers (`?subject=…`) have no place in To, From or a Request-URI (RFC 3261
/// §19.1.1).
fn identity(address: &NameAddr) -> NameAddr {
    NameAddr {
        uri: address.uri.without_headers(),
        ..address.without_params()
    }
}

impl Trenscrypter {
    /// What the rules say of the callee.
    fn policy(&self, invite: &Invite) -> EncryptionPolicy {
        let callee = identity(&invite.to).uri;
        let rules = &self.rules.outgoing_enc_regex;
        let rule = rules.first_match(callee.as_str().as_bytes());
        rule.map_or(EncryptionPolicy::AsCaller, |Mode(mode)| {
            EncryptionPolicy::Only(*mode)
        })
    }

    fn outgoing(&self, invite: &Invite, encryption: EncryptionPolicy) -> Outgoing {
        let callee = identity(&invite.to).uri;
        let callee = callee.as_str().as_bytes();
        let may_be_sdes = match encryption {
            EncryptionPolicy::Only(mode) => mode == Encryption::Sdes,
            EncryptionPolicy::AsCaller => matches!(invite.encryption, None | Some(Encryption::Sdes)),
        };
        let suites = match self.rules.outgoing_srtp_regex.first_match(callee) {
            Some(Suites(suites)) if may_be_sdes => suites.clone(),
            _ => Vec::new(),
        };
        let mut headers = Headers::default();
        self.rules.forwarded_headers.copy(invite.headers(), &mut headers);
        let outgoing = self.towards(&invite.from, &invite.to, headers);
        Outgoing {
            media: MediaPolicy {
                relay: RelayChoice::Own,
                encryption,
                suites,
                latching: self.latching,
                clear_without_zrtp: self.rules.encryption_fallback.0.contains(&Encryption::None),
                avpf: None,
            },
            ..outgoing
        }
    }

    /// From the same to the same, through the outbound proxy.
    fn towards(&self, from: &NameAddr, to: &NameAddr, mut headers: Headers) -> Outgoing {
        // Upstream's proxies before 2.x know a call that has been here by this.
        headers.set("X-Flexisip-B2BUA", "ignore");
        let to = identity(to);
        Outgoing {
            target: to.uri.clone(),
            route: self.route.clone(),
            from: identity(from),
            to,
            headers,
            credentials: None,
            caller_credentials: None,
            own: None,
            private: false,
            stranger: None,
            body: None,
            media: MediaPolicy::default(),
            limits: Limits::default(),
            lease: None,
        }
    }
}

#[cfg(test)]
#[path = "trenscrypter/tests.rs"]
mod tests;
