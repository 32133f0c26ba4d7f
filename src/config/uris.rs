//! Values of `[b2bua-server]` that name SIP elements: where to listen, the outbound proxy, the user agent.

use super::types::BadValue;
use crate::sip::{Uri, uri::Scheme};
use std::{net::IpAddr, str::FromStr};

/// `transport`: everything to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transports(pub Vec<Listening>);

/// One SIP URI of `transport`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// TCP; otherwise UDP.
    pub tcp: bool,
    /// The address to bind, or a name to look up first.
    pub host: Host,
    /// 0 lets the kernel choose.
    pub port: u16,
}

/// A host as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An IP address.
    Address(IpAddr),
    /// A name.
    Name(String),
}

impl FromStr for Transports {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let mut all: Vec<Listening> = Vec::new();
        let mut wrong = Vec::new();
        for word in text.split_ascii_whitespace() {
            match word.parse::<Listening>() {
                Ok(one) if one.port != 0 && all.contains(&one) => {
                    wrong.push(format!("{word} is named twice"))
                }
                Ok(one) => all.push(one),
                Err(error) => wrong.push(error.0),
            }
        }
        if all.is_empty() && wrong.is_empty() {
            wrong.push("there is nothing to listen on".into());
        }
        if wrong.is_empty() {
            Ok(Self(all))
        } else {
            Err(BadValue(wrong.join(", and ")))
        }
    }
}

impl FromStr for Listening {
    type Err = BadValue;
    fn from_str(word: &str) -> Result<Self, BadValue> {
        let uri = sip_uri(word)?;
        let bad = |what: &str| Err(BadValue(format!("{word} {what}")));
        if uri.user().is_some() || !uri.headers().is_empty() {
            return bad("has a user or headers, which a place to listen has not");
        }
        let names = uri.params().split(';').skip(1);
        let mut names = names.map(|param| param.split('=').next().unwrap_or(param));
        if let Some(other) = names.find(|name| !name.eq_ignore_ascii_case("transport")) {
            return Err(BadValue(format!(
                "{word} has a parameter {other:?}, which means nothing here"
            )));
        }
        let address = uri.host().parse::<IpAddr>();
        let host = address.map_or_else(|_| Host::Name(uri.host().to_owned()), Host::Address);
        let port = match (uri.port(), &host) {
            (Some(port), _) => port,
            (None, Host::Address(_)) => 5060,
            (None, Host::Name(_)) => return bad("is a name without a port"),
        };
        let tcp = is_tcp(&uri)?;
        Ok(Self { tcp, host, port })
    }
}

/// Whether `;transport=` says TCP.
fn is_tcp(uri: &Uri) -> Result<bool, BadValue> {
    let transport = uri.param("transport").flatten().unwrap_or("udp");
    match (uri.scheme(), transport.to_ascii_lowercase().as_str()) {
        (Scheme::Sip, "udp") => Ok(false),
        (Scheme::Sip, "tcp") => Ok(true),
        (Scheme::Sips, _) | (_, "tls" | "ws" | "wss") => Err(BadValue(format!(
            "{uri} needs TLS or WebSocket, not available in this build"
        ))),
        (_, other) => Err(BadValue(format!("{uri} names the unknown transport {other:?}"))),
    }
}

fn sip_uri(word: &str) -> Result<Uri, BadValue> {
    let uri = Uri::parse(word).map_err(|error| BadValue(format!("{word:?} is not a URI: {error}")))?;
    if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) || uri.host().is_empty() {
        return Err(BadValue(format!("{word:?} is not a SIP URI")));
    }
    Ok(uri)
}

/// `outbound-proxy`: `None` when empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy(pub Option<Uri>);

impl FromStr for Proxy {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let uri = sip_uri(text)?;
        is_tcp(&uri)?;
        if !uri.headers().is_empty() {
            return Err(BadValue(format!("{text} has headers, which a route has not")));
        }
        Ok(Self(Some(uri)))
    }
}

/// `user-agent`, with our version in place of `{version}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAgent(pub String);

impl FromStr for UserAgent {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let token = |text: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
            !text.is_empty() && text.bytes().all(known)
        };
        let (name, version) = match text.split_once('/') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        if !token(name) {
            return Err(BadValue(format!(
                "{name:?} is not a product name (RFC 3261 token)"
            )));
        }
        match version {
            None => Ok(Self(name.to_owned())),
            Some("{version}") => Ok(Self(format!("{name}/{}", env!("CARGO_PKG_VERSION")))),
            Some(version) if token(version) => Ok(Self(text.to_owned())),
            Some(version) => Err(BadValue(format!("{version:?} is not a version (RFC 3261 token)"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (bool, String, u16) {
        let Transports(all) = text.parse().expect("well formed");
        assert_eq!(all.len(), 1);
        let host = match &all[0].host {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        (all[0].tcp, host, all[0].port)
    }

    #[test]
    fn transports_name_protocol_address_and_port() {
        assert_eq!(
            one("sip:127.0.0.1:6067;transport=tcp"),
            (true, "127.0.0.1".into(), 6067)
        );
        assert_eq!(one("sip:192.0.2.1"), (false, "192.0.2.1".into(), 5060));
        assert_eq!(
            one("sip:[2001:db8::1]:0;transport=UDP"),
            (false, "2001:db8::1".into(), 0)
        );
        assert_eq!(
            one("sip:sip.example.org:5070"),
            (false, "sip.example.org".into(), 5070)
        );
    }

    #[test]
    fn transports_may_be_several() {
        let all: Transports = "sip:[::1]:5060 sip:127.0.0.1:5060;transport=tcp"
            .parse()
            .expect("well formed");
        assert_eq!(all.0.len(), 2);
        let random: Result<Transports, _> = "sip:127.0.0.1:0 sip:127.0.0.1:0".parse();
        assert!(random.is_ok());
    }

    #[test]
    fn transports_that_cannot_be_are_refused_with_the_reason() {
        let rows = [
            ("", "nothing to listen on"),
            ("127.0.0.1:5060", "is not a"),
            ("sips:127.0.0.1", "not available"),
            ("sip:127.0.0.1;transport=tls", "not available"),
            ("sip:127.0.0.1;transport=sctp", "unknown transport"),
            ("sip:host.example", "without a port"),
            ("sip:me@127.0.0.1", "user"),
            ("sip:127.0.0.1;maddr=1.2.3.4", "\"maddr\""),
            ("tel:123", "not a SIP URI"),
            ("sip:127.0.0.1 sip:127.0.0.1:5060", "twice"),
            ("sips:127.0.0.1 tel:1", "tel:1"),
        ];
        for (text, reason) in rows {
            let error = text.parse::<Transports>().expect_err(text);
            assert!(error.0.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_proxy_is_a_sip_uri_or_nothing() {
        let proxy: Proxy = "sip:p.example;transport=tcp".parse().expect("well formed");
        assert_eq!(
            proxy.0.map(|uri| uri.to_string()).as_deref(),
            Some("sip:p.example;transport=tcp")
        );
        assert_eq!("".parse(), Ok(Proxy(None)));
        for text in ["p.example", "tel:1", "sips:p.example", "sip:p?a=b"] {
            assert!(text.parse::<Proxy>().is_err(), "{text}");
        }
    }

    #[test]
    fn user_agents_are_products() {
        let version = env!("CARGO_PKG_VERSION");
        let rows = [
            ("Flexisip-B2BUA/{version}", format!("Flexisip-B2BUA/{version}")),
            ("Name", "Name".into()),
            ("Name/1.2~x", "Name/1.2~x".into()),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse(), Ok(UserAgent(expected)));
        }
        for text in [
            "",
            "a b",
            "a/",
            "/1",
            "{version}",
            "a/{other}",
            "a/1/2",
            "a/v{version}",
            "é",
        ] {
            assert!(text.parse::<UserAgent>().is_err(), "{text:?}");
        }
    }
}
