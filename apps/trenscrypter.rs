//! `trenscrypter`: the same callee, another media encryption.
//!
//! Leg B goes to the *To* of leg A (not to its Request-URI, which a proxy has often replaced by a contact), through
//! the outbound proxy. How its media is encrypted follows from the first rule that matches the callee; with no rule
//! it is what leg A offered. A leg that should be encrypted is encrypted or the call fails with 488: nothing falls
//! back to clear media on its own.

use b2bua::{
    app::{
        Application, BuildError, Decision, Encryption, EncryptionPolicy, HeaderList, Invite, Limits,
        MediaPolicy, NatLatching, Outgoing, RelayChoice, Services,
    },
    config::{Key, Kind, RegexTable, checked, parsed},
    media::Suite,
    sip::{Headers, NameAddr, Uri},
};
use serde::Deserialize;
use std::str::FromStr;

/// The application.
pub(crate) struct Trenscrypter {
    rules: Config,
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
        name: "forwarded-headers",
        kind: Kind::Checked {
            expected: "names of header fields, separated by spaces; a * at the end stands for all that begin so",
            check: checked::<HeaderList>,
        },
        default: "Subject P-Asserted-Identity P-Preferred-Identity Privacy Diversion History-Info Referred-By \
                  Alert-Info Call-Info Accept-Language Organization Priority Reason Identity X-*",
        help: "Header fields of the caller's INVITE that the callee gets too, besides the From and To identities. What \
               belongs to one leg (Via, Contact, Call-ID, User-Agent, Supported …) can not be named here.",
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
    type Call = ();

    async fn build(rules: Config, services: &Services) -> Result<Self, BuildError> {
        let proxy = services.outbound_proxy.iter();
        Ok(Self {
            rules,
            route: proxy.map(|uri| uri.with_param("lr", None)).collect(),
            latching: services.latching,
        })
    }

    async fn route(&self, (): &mut (), invite: &Invite) -> Decision {
        Decision::Bridge(vec![self.outgoing(invite)])
    }
}

impl Trenscrypter {
    fn outgoing(&self, invite: &Invite) -> Outgoing {
        // URI headers (`?subject=…`) have no place in To, From or a Request-URI (RFC 3261 §19.1.1).
        let identity = |address: &NameAddr| NameAddr {
            uri: address.uri.without_headers(),
            ..address.without_params()
        };
        let to = identity(&invite.to);
        let target = to.uri.clone();
        let callee = target.as_str().as_bytes();
        let rule = self.rules.outgoing_enc_regex.first_match(callee);
        let encryption = rule.map_or(EncryptionPolicy::AsCaller, |Mode(mode)| {
            EncryptionPolicy::Only(*mode)
        });
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
        // Upstream's proxies before 2.x know a call that has been here by this.
        headers.set("X-Flexisip-B2BUA", "ignore");
        Outgoing {
            target,
            route: self.route.clone(),
            from: identity(&invite.from),
            to,
            headers,
            credentials: None,
            media: MediaPolicy {
                relay: RelayChoice::Own,
                encryption,
                suites,
                latching: self.latching,
            },
            limits: Limits::default(),
            lease: None,
        }
    }
}

#[cfg(test)]
#[path = "trenscrypter/tests.rs"]
mod tests;
