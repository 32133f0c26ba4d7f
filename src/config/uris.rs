//! Values of `[b2bua-server]` that name SIP elements: where to listen, the outbound proxy, the user agent.

use super::types::BadValue;
use crate::sip::{Uri, routing::Transport, uri::Scheme};
use serde::Deserialize;
use std::{net::IpAddr, path::PathBuf, str::FromStr};

/// `transport`: everything to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transports(pub Vec<Listening>);

/// One SIP URI of `transport`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// What is spoken there.
    pub transport: Transport,
    /// The address to bind, or a name to look up first.
    pub host: Host,
    /// 0 lets the kernel choose.
    pub port: u16,
    /// What it says of TLS; what it does not say is said by the section.
    pub tls: TlsParams,
}

/// Whose certificate is checked: `tls-verify`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum TlsVerify {
    /// Nobody's.
    None,
    /// That of a server that we call.
    Servers,
    /// Callers are asked for one too.
    Optional,
    /// Callers without one are refused.
    Required,
}

/// Parameters of one listening address that are about TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsParams {
    /// `tls-certificate`.
    pub certificate: Option<PathBuf>,
    /// `tls-key`.
    pub key: Option<PathBuf>,
    /// `tls-ca`.
    pub authorities: Option<PathBuf>,
    /// `tls-verify`.
    pub verify: Option<TlsVerify>,
}

impl TlsParams {
    /// Takes one parameter, by our name or by Flexisip's; whether it is one of these.
    fn take(&mut self, name: &str, value: Option<&str>) -> Result<bool, String> {
        let path = || match value {
            Some(value) if !value.is_empty() => Ok(Some(PathBuf::from(value))),
            _ => Err(format!("names no file in {name}")),
        };
        match name.to_ascii_lowercase().as_str() {
            "tls-certificate" | "tls-certificates-file" => self.certificate = path()?,
            "tls-key" | "tls-certificates-private-key" => self.key = path()?,
            "tls-ca" | "tls-certificates-ca-file" => self.authorities = path()?,
            "tls-verify" => {
                self.verify = Some(match value.unwrap_or_default().to_ascii_lowercase().as_str() {
                    "none" => TlsVerify::None,
                    "servers" => TlsVerify::Servers,
                    "optional" => TlsVerify::Optional,
                    "required" => TlsVerify::Required,
                    other => {
                        return Err(format!(
                            "has tls-verify={other}; expected none, servers, optional or required"
                        ));
                    }
                });
            }
            "tls-verify-incoming" | "require-peer-certificate" => {
                self.verify = Some(match value {
                    Some("1" | "true") => TlsVerify::Required,
                    Some("0" | "false") => TlsVerify::Servers,
                    _ => return Err(format!("has {name} with something other than 0 or 1")),
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
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
        let transport = transport(&uri)?;
        let mut tls = TlsParams::default();
        for param in uri.params().split(';').skip(1) {
            let (name, value) = match param.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (param, None),
            };
            if name.eq_ignore_ascii_case("transport") {
                continue;
            }
            match tls.take(name, value) {
                Ok(true) if matches!(transport, Transport::Tls | Transport::Wss) => {}
                Ok(true) => {
                    return Err(BadValue(format!("{word} has a parameter {name:?}, and no TLS")));
                }
                Ok(false) => {
                    return Err(BadValue(format!(
                        "{word} has a parameter {name:?}, which means nothing here"
                    )));
                }
                Err(wrong) => return bad(&wrong),
            }
        }
        let address = uri.host().parse::<IpAddr>();
        let host = address.map_or_else(|_| Host::Name(uri.host().to_owned()), Host::Address);
        let port = match (uri.port(), &host, transport) {
            (Some(port), ..) => port,
            (None, Host::Name(_), _) => return bad("is a name without a port"),
            (None, _, Transport::Tls) => 5061,
            // RFC 7118 §7: those of the web.
            (None, _, Transport::Ws) => 80,
            (None, _, Transport::Wss) => 443,
            (None, ..) => 5060,
        };
        Ok(Self {
            transport,
            host,
            port,
            tls,
        })
    }
}

/// What the scheme and `;transport=` say.
fn transport(uri: &Uri) -> Result<Transport, BadValue> {
    let word = uri.param("transport").flatten().map(str::to_ascii_lowercase);
    match (uri.scheme(), word.as_deref()) {
        (Scheme::Sips, None | Some("tcp" | "tls")) | (Scheme::Sip, Some("tls")) => Ok(Transport::Tls),
        (Scheme::Sips, Some("ws" | "wss")) | (Scheme::Sip, Some("wss")) => Ok(Transport::Wss),
        (Scheme::Sip, Some("ws")) => Ok(Transport::Ws),
        (Scheme::Sip, None | Some("udp")) => Ok(Transport::Udp),
        (Scheme::Sip, Some("tcp")) => Ok(Transport::Tcp),
        (Scheme::Sips, Some("udp")) => Err(BadValue(format!(
            "{uri} needs DTLS, which is not available; expected TLS over TCP"
        ))),
        (_, other) => Err(BadValue(format!(
            "{uri} names the unknown transport {:?}",
            other.unwrap_or_default()
        ))),
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
        if matches!(transport(&uri)?, Transport::Ws | Transport::Wss) {
            return Err(BadValue(format!(
                "{text} is reached by WebSocket, which only browsers open"
            )));
        }
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

    fn one(text: &str) -> (Transport, String, u16) {
        let Transports(all) = text.parse().expect("well formed");
        assert_eq!(all.len(), 1);
        let host = match &all[0].host {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        (all[0].transport, host, all[0].port)
    }

    #[test]
    fn transports_name_protocol_address_and_port() {
        assert_eq!(
            one("sip:127.0.0.1:6067;transport=tcp"),
            (Transport::Tcp, "127.0.0.1".into(), 6067)
        );
        assert_eq!(one("sip:192.0.2.1"), (Transport::Udp, "192.0.2.1".into(), 5060));
        let rows = [
            ("sips:192.0.2.1", Transport::Tls, 5061),
            ("sip:192.0.2.1;transport=tls", Transport::Tls, 5061),
            ("sip:192.0.2.1;transport=ws", Transport::Ws, 80),
            ("sip:192.0.2.1:0;transport=WSS", Transport::Wss, 0),
            ("sips:192.0.2.1;transport=ws", Transport::Wss, 443),
        ];
        for (text, transport, port) in rows {
            assert_eq!(one(text), (transport, "192.0.2.1".into(), port), "{text}");
        }
        assert_eq!(
            one("sip:[2001:db8::1]:0;transport=UDP"),
            (Transport::Udp, "2001:db8::1".into(), 0)
        );
        assert_eq!(
            one("sip:sip.example.org:5070"),
            (Transport::Udp, "sip.example.org".into(), 5070)
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
    fn a_listening_address_has_its_own_certificate_by_our_names_or_flexisips() {
        let ours: Listening =
            "sips:192.0.2.1;tls-certificate=/c.pem;tls-key=/k.pem;tls-ca=/a.pem;tls-verify=required"
                .parse()
                .expect("well formed");
        let theirs: Listening =
            "sips:192.0.2.1;tls-certificates-file=/c.pem;tls-certificates-private-key=/k.pem;\
                                 tls-certificates-ca-file=/a.pem;tls-verify-incoming=1"
                .parse()
                .expect("well formed");
        assert_eq!(ours, theirs);
        assert_eq!(ours.tls.certificate, Some("/c.pem".into()));
        assert_eq!(ours.tls.verify, Some(TlsVerify::Required));
    }

    #[test]
    fn transports_that_cannot_be_are_refused_with_the_reason() {
        let rows = [
            ("", "nothing to listen on"),
            ("127.0.0.1:5060", "is not a"),
            ("sips:127.0.0.1;transport=udp", "DTLS"),
            ("sip:127.0.0.1;transport=tcp;tls-key=/k", "no TLS"),
            ("sips:127.0.0.1;tls-certificate=", "no file"),
            ("sips:127.0.0.1;tls-verify=maybe", "expected none, servers"),
            ("sip:127.0.0.1;transport=sctp", "unknown transport"),
            ("sip:host.example", "without a port"),
            ("sip:me@127.0.0.1", "user"),
            ("sip:127.0.0.1;maddr=1.2.3.4", "\"maddr\""),
            ("tel:123", "not a SIP URI"),
            ("sip:127.0.0.1 sip:127.0.0.1:5060", "twice"),
            ("sip:127.0.0.1 tel:1", "tel:1"),
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
        assert!("sips:p.example".parse::<Proxy>().is_ok());
        for text in ["p.example", "tel:1", "sip:p.example;transport=wss", "sip:p?a=b"] {
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
