//! Via (RFC 3261 §20.42, RFC 3581).

use super::{ParseError, Text, lex, uri};
use std::net::{IpAddr, SocketAddr};

/// One Via value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, `WS`, `WSS` or another word.
    pub transport: Text,
    /// sent-by host, IPv6 without brackets.
    pub host: Text,
    /// sent-by port.
    pub port: Option<u16>,
    /// Parameters as written, with the leading `;`.
    pub params: Text,
}

const fn bad(what: &'static str) -> ParseError {
    ParseError::bad(what, "Via")
}

impl Via {
    /// Reads one value. White space may stand around each slash and before each parameter.
    ///
    /// The version is not judged here, so that a request of another one can be answered; nor are parameters.
    ///
    /// # Errors
    /// When it is not `SIP/version/transport host[:port]`.
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let text = text.into();
        Self::within(&text, &text)
    }
    /// Reads `value`, which is a part of `text`.
    pub(super) fn within(text: &Text, value: &[u8]) -> Result<Self, ParseError> {
        let parts = Parts::of(value)?;
        Ok(Self {
            transport: text.part_of(parts.transport),
            host: text.part_of(parts.host),
            port: parts.port,
            params: text.part_of(parts.params),
        })
    }
    /// A parameter: `Some(None)` when it has no value.
    pub fn param(&self, name: &str) -> Option<Option<Text>> {
        let found = lex::param(&self.params, name)?;
        Some(found.map(|value| self.params.part_of(value)))
    }
    /// The `branch`.
    pub fn branch(&self) -> Option<Text> {
        self.param("branch").flatten()
    }
    /// `received`, with or without the brackets that RFC 5118 §4.5 saw around IPv6.
    pub fn received(&self) -> Option<IpAddr> {
        let value = lex::param(&self.params, "received")??;
        address(std::str::from_utf8(value).ok()?)
    }
    /// `rport` with a value (RFC 3581 §4).
    pub fn rport(&self) -> Option<u16> {
        lex::number(lex::param(&self.params, "rport")??).and_then(|port| u16::try_from(port).ok())
    }
    /// The sent-by as written in a Via: host, IPv6 in brackets, and the port if there is one.
    pub fn sent_by(&self) -> Text {
        let mut out = Vec::with_capacity(self.host.len() + 8);
        self.write_sent_by(&mut out);
        out.into()
    }
    /// The value for the wire.
    pub fn to_text(&self) -> Text {
        let mut out = Vec::with_capacity(self.transport.len() + self.host.len() + self.params.len() + 20);
        out.extend_from_slice(b"SIP/2.0/");
        out.extend_from_slice(&self.transport);
        out.push(b' ');
        self.write_sent_by(&mut out);
        out.extend_from_slice(&self.params);
        out.into()
    }
    fn write_sent_by(&self, out: &mut Vec<u8>) {
        let brackets = self.host.contains(&b':');
        if brackets {
            out.push(b'[');
        }
        out.extend_from_slice(&self.host);
        if brackets {
            out.push(b']');
        }
        if let Some(port) = self.port {
            out.extend(format!(":{port}").into_bytes());
        }
    }

    /// What the receiver of a request writes into its top Via: `received` where sent-by is not the address it came
    /// from (always with `rport`, RFC 3581 §4), and the port into an empty `rport`. `None` when nothing changes.
    ///
    /// A `received` or `rport` value that the sender wrote itself is replaced: only we know.
    pub fn stamped(&self, source: SocketAddr) -> Option<Self> {
        let params = self.stamped_params(source)?;
        Some(Self {
            params,
            ..self.clone()
        })
    }

    /// The parameters of [`Via::stamped`].
    pub(super) fn stamped_params(&self, source: SocketAddr) -> Option<Text> {
        let source_ip = source.ip().to_canonical();
        let has_rport = lex::param(&self.params, "rport").is_some();
        let sent_by_is_source = std::str::from_utf8(&self.host).ok().and_then(address) == Some(source_ip);
        let wants_received = has_rport || !sent_by_is_source;
        let has_received = lex::param(&self.params, "received").is_some();
        if !wants_received && !has_received {
            return None;
        }
        let mut params = Vec::with_capacity(self.params.len() + 64);
        for param in lex::Params::new(&self.params) {
            if param.name.eq_ignore_ascii_case(b"received") {
                continue;
            }
            params.push(b';');
            params.extend_from_slice(param.name);
            if param.name.eq_ignore_ascii_case(b"rport") {
                params.extend(format!("={}", source.port()).into_bytes());
            } else if let Some(value) = param.value {
                params.push(b'=');
                params.extend_from_slice(value);
            }
        }
        if wants_received {
            params.extend(format!(";received={source_ip}").into_bytes());
        }
        Some(params.into())
    }

    /// Where the response to a request with this top Via goes (RFC 3261 §18.2.2, RFC 3581 §4), for a request that came
    /// from `source` over a datagram socket or over a connection that has gone.
    ///
    /// `received` and `rport` of the Via are taken for ours ([`Via::stamped`]), sent-by's port else, 5060 (5061 for TLS)
    /// last. `maddr` is never followed: it would let a stranger choose whom we send to.
    pub fn reply_address(&self, source: SocketAddr) -> SocketAddr {
        // Without `received` the sent-by host is the source, else it would have been stamped.
        let ip = self.received().unwrap_or(source.ip());
        if let Some(port) = self.rport() {
            return SocketAddr::new(ip, port);
        }
        let default = if self.transport.eq_ignore_ascii_case(b"TLS") {
            5061
        } else {
            5060
        };
        SocketAddr::new(ip, self.port.unwrap_or(default))
    }
}

/// The parts of a Via, still within its header.
pub(super) struct Parts<'a> {
    pub(super) version: &'a [u8],
    transport: &'a [u8],
    host: &'a [u8],
    port: Option<u16>,
    pub(super) params: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let bytes = lex::trim(bytes);
        let (protocol, rest) = until_slash(bytes).ok_or(bad("no protocol"))?;
        let (version, rest) = until_slash(rest).ok_or(bad("no protocol version"))?;
        if !protocol.eq_ignore_ascii_case(b"SIP") {
            return Err(bad("protocol not SIP"));
        }
        let rest = lex::trim(rest);
        let transport_len = rest.iter().take_while(|&&b| lex::is_token_byte(b)).count();
        let (transport, rest) = rest.split_at(transport_len);
        if transport.is_empty() || !rest.first().is_some_and(|&b| lex::is_space(b)) {
            return Err(bad("no transport"));
        }
        let params_at = rest.iter().position(|&b| b == b';').unwrap_or(rest.len());
        let (sent_by, params) = rest.split_at(params_at);
        let (host, after) = uri::split_host(lex::trim(sent_by)).map_err(|_| bad("no host"))?;
        let host = match host {
            [b'[', inner @ .., b']'] => inner,
            name => name,
        };
        let port = match lex::trim(after) {
            [] => None,
            [b':', port @ ..] => {
                let port = lex::number(lex::trim(port)).and_then(|port| u16::try_from(port).ok());
                Some(port.ok_or(bad("port missing or above 65535"))?)
            }
            _ => return Err(bad("text after the host")),
        };
        Ok(Self {
            version,
            transport,
            host,
            port,
            params,
        })
    }
}

/// The first value of a list of Vias.
pub(super) fn top(list: &[u8]) -> &[u8] {
    lex::find_outside(list, b',', true)
        .and_then(|comma| list.get(..comma))
        .unwrap_or(list)
}

/// An address literal, brackets or not; IPv4 in IPv6 as IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// What stands before the next `/`, trimmed, and what after.
fn until_slash(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = bytes.iter().position(|&b| b == b'/')?;
    let (before, after) = bytes.split_at(slash);
    Some((lex::trim(before), after.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(text: &str) -> Via {
        Via::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }
    fn stamped(text: &str, source: &str) -> Option<String> {
        via(text)
            .stamped(source.parse().unwrap())
            .map(|via| via.to_text().to_string())
    }
    fn reply(text: &str, source: &str) -> String {
        via(text).reply_address(source.parse().unwrap()).to_string()
    }

    #[test]
    fn white_space_may_stand_nearly_anywhere() {
        let via = via("SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 : 5070 ; branch = 390skdjuw");
        assert_eq!(
            (&*via.transport, &*via.host, via.port),
            (&b"UDP"[..], &b"192.0.2.2"[..], Some(5070))
        );
        assert_eq!(via.branch(), Some("390skdjuw".into()));
    }

    #[test]
    fn ipv6_and_unknown_transports_are_read() {
        let text = "SIP/2.0/UNKNOWN [2001:db8::9:1]:5061;received=[2001:db8::9:255];rport;branch=z9hG4bK1";
        let via = via(text);
        assert_eq!(via.host, "2001:db8::9:1");
        assert_eq!(via.sent_by(), "[2001:db8::9:1]:5061");
        assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
        assert_eq!((via.param("rport"), via.rport()), (Some(None), None));
        assert_eq!(via.to_text(), text);
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/ h",
            "HTTP/2.0/UDP h",
            "SIP/2.0/UDP h:x",
            "SIP/2.0/UDP h x",
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP ;x",
        ] {
            assert!(Via::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn received_is_added_when_sent_by_is_another_address_or_a_name() {
        assert_eq!(
            stamped("SIP/2.0/UDP 192.0.2.1:5060;branch=z", "192.0.2.1:9"),
            None
        );
        assert_eq!(
            stamped("SIP/2.0/UDP host.example;branch=z", "192.0.2.1:5060").unwrap(),
            "SIP/2.0/UDP host.example;branch=z;received=192.0.2.1"
        );
        assert_eq!(stamped("SIP/2.0/UDP [2001:DB8::0:1]", "[2001:db8::1]:5060"), None);
        assert_eq!(stamped("SIP/2.0/UDP 192.0.2.1", "[::ffff:192.0.2.1]:5060"), None);
    }

    #[test]
    fn rport_is_filled_and_brings_received() {
        assert_eq!(
            stamped("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z", "192.0.2.1:4444").unwrap(),
            "SIP/2.0/UDP 10.0.0.1:5060;rport=4444;branch=z;received=192.0.2.1"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP 192.0.2.1;rport;branch=z", "192.0.2.1:4444").unwrap(),
            "SIP/2.0/UDP 192.0.2.1;rport=4444;branch=z;received=192.0.2.1"
        );
    }

    #[test]
    fn what_the_sender_claims_to_be_received_is_replaced() {
        assert_eq!(
            stamped(
                "SIP/2.0/UDP 192.0.2.1;received=203.0.113.9;rport=1",
                "192.0.2.1:4444"
            )
            .unwrap(),
            "SIP/2.0/UDP 192.0.2.1;rport=4444;received=192.0.2.1"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP 192.0.2.1;received=203.0.113.9", "192.0.2.1:4444").unwrap(),
            "SIP/2.0/UDP 192.0.2.1"
        );
    }

    #[test]
    fn replies_go_to_received_and_rport_and_never_to_maddr() {
        let from = "192.0.2.1:4444";
        assert_eq!(
            reply("SIP/2.0/UDP 10.0.0.1:5070;rport=4444;received=192.0.2.1", from),
            "192.0.2.1:4444"
        );
        assert_eq!(
            reply("SIP/2.0/UDP 10.0.0.1:5070;received=192.0.2.1", from),
            "192.0.2.1:5070"
        );
        assert_eq!(reply("SIP/2.0/UDP 192.0.2.1", from), "192.0.2.1:5060");
        assert_eq!(reply("SIP/2.0/TLS 192.0.2.1", from), "192.0.2.1:5061");
        assert_eq!(
            reply("SIP/2.0/UDP host.example;maddr=203.0.113.1", from),
            "192.0.2.1:5060"
        );
    }
}
