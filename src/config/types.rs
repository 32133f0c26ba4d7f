//! The special words of a configuration: durations, port ranges, lists of addresses.

use serde::{Deserialize, Deserializer};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

/// A word that a type cannot be made of: what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub String);

fn bad<T>(found: impl fmt::Display) -> Result<T, BadValue> {
    Err(BadValue(found.to_string()))
}

/// Lets serde read a type by its `FromStr`.
macro_rules! deserialize_from_str {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                super::key::parsed(deserializer)
            }
        }
    )*};
}
deserialize_from_str!(
    Seconds,
    Milliseconds,
    PortRange,
    Words,
    Addresses,
    SocketAddresses,
    Networks,
    super::AudioCodecs,
    super::VideoCodecs
);

/// A duration whose number without unit is seconds: `30`, `30s`, `5min`, `2h`, `1d`, `1m` (a month), `1y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

/// A duration whose number without unit is milliseconds; units as [`Seconds`], and `ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Milliseconds(pub Duration);

impl FromStr for Seconds {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        duration(text, "s").map(Self)
    }
}

impl FromStr for Milliseconds {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        duration(text, "ms").map(Self)
    }
}

/// Digits, then a unit; `m` is a month of 30.436875 days and `y` a year of 365.2425, as upstream.
fn duration(text: &str, flavour: &str) -> Result<Duration, BadValue> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let unit = match &text[digits.len()..] {
        "" => flavour,
        unit => unit,
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return bad(format_args!("{text:?} is not a duration"));
    }
    let too_long = || BadValue(format!("{text} is longer than can be counted"));
    let number: u64 = digits.parse().map_err(|_| too_long())?;
    let unit: u64 = match unit {
        "ms" if flavour == "ms" => return Ok(Duration::from_millis(number)),
        "ms" => return bad(format_args!("{text} is finer than the whole seconds of this key")),
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "m" => 2_629_746,
        "y" => 31_556_952,
        other => return bad(format_args!("{other:?} is not a unit (ms, s, min, h, d, m, y)")),
    };
    let seconds = number.checked_mul(unit).ok_or_else(too_long)?;
    // A deadline this far away must still be a deadline when it is added to the clock.
    if seconds > 100 * 31_556_952 {
        return Err(too_long());
    }
    Ok(Duration::from_secs(seconds))
}

/// `n` or `n-m`; `0` lets the kernel choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange(pub RangeInclusive<u16>);

impl FromStr for PortRange {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else {
            return bad(format_args!("{text:?} is not a port or a range of ports"));
        };
        if first > last {
            return bad(format_args!("the range {text} ends before it begins"));
        }
        if first == 0 && last != 0 {
            return bad(format_args!("the range {text} begins with 0, which is no port"));
        }
        Ok(Self(first..=last))
    }
}

/// Words separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl FromStr for Words {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.split_ascii_whitespace().map(str::to_owned).collect()))
    }
}

/// At most one IPv4 and one IPv6 address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(pub Vec<IpAddr>);

impl FromStr for Addresses {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for word in text.split_ascii_whitespace() {
            let Ok(address) = word.parse::<IpAddr>() else {
                return bad(format_args!("{word:?} is not an IP address"));
            };
            if address.is_unspecified() || address.is_multicast() {
                return bad(format_args!("{word} is not the address of one machine"));
            }
            let family = address.is_ipv4();
            if addresses.iter().any(|known| known.is_ipv4() == family) {
                let family = if family { "IPv4" } else { "IPv6" };
                return bad(format_args!("{word} is a second {family} address"));
            }
            addresses.push(address);
        }
        Ok(Self(addresses))
    }
}

/// Addresses with ports; 53 when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketAddresses(pub Vec<SocketAddr>);

impl FromStr for SocketAddresses {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let parse = |word: &str| {
            let address = word.parse().or_else(|_| {
                let plain = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
                let plain = plain.unwrap_or(word).parse::<IpAddr>();
                plain.map(|address| SocketAddr::new(address, 53))
            });
            address.map_err(|_| BadValue(format!("{word:?} is not an address with or without port")))
        };
        text.split_ascii_whitespace()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Where HTTP is answered; `None`: nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpListen(pub Option<SocketAddr>);

impl FromStr for HttpListen {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        let address = text.trim().parse();
        address
            .map(|address| Self(Some(address)))
            .map_err(|_| BadValue(format!("{text:?} is not an address with a port")))
    }
}

/// An address with a prefix length: `192.0.2.0/24`, `2001:db8::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Its address and the length of its prefix.
    pub fn parts(&self) -> (IpAddr, u8) {
        (self.address, self.prefix)
    }
    /// Whether an address is in it. IPv4 in an IPv6 socket's clothes (`::ffff:192.0.2.1`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                let differ = ours.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                let differ = ours.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

/// One address.
impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { address, prefix }
    }
}

impl FromStr for Network {
    type Err = BadValue;
    fn from_str(word: &str) -> Result<Self, BadValue> {
        let (address, prefix) = match word.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (word, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return bad(format_args!("{word:?} is not an IP address or network"));
        };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix.map(str::parse::<u8>) {
            None => longest,
            Some(Ok(prefix)) if prefix <= longest => prefix,
            Some(_) => return bad(format_args!("{word:?} has a prefix that is not 0 to {longest}")),
        };
        Ok(Self { address, prefix })
    }
}

/// Networks, separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<Network>);

impl Networks {
    /// Whether one of them holds that address.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Networks {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let networks = text.split_ascii_whitespace().map(str::parse);
        networks.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_upstreams_units() {
        let rows = [
            ("0", 0),
            ("30", 30),
            ("30s", 30),
            ("5min", 300),
            ("2h", 7_200),
            ("1d", 86_400),
            ("1m", 2_629_746),
            ("1y", 31_556_952),
        ];
        for (text, seconds) in rows {
            assert_eq!(text.parse(), Ok(Seconds(Duration::from_secs(seconds))), "{text}");
        }
        let half = Milliseconds(Duration::from_millis(500));
        assert_eq!("500".parse(), Ok(half));
        assert_eq!("500ms".parse(), Ok(half));
        assert_eq!("1s".parse(), Ok(Milliseconds(Duration::from_secs(1))));
    }

    #[test]
    fn ill_formed_durations_are_refused() {
        let rows = [
            "",
            "s",
            "-1",
            "1.5",
            "1 s",
            "1S",
            "1w",
            "1sm",
            "+1",
            "500ms",
            "999y",
            "99999999999999999999",
        ];
        for text in rows {
            assert!(text.parse::<Seconds>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn port_ranges_are_inclusive() {
        assert_eq!("0".parse(), Ok(PortRange(0..=0)));
        assert_eq!("7000".parse(), Ok(PortRange(7000..=7000)));
        assert_eq!("7000-7999".parse(), Ok(PortRange(7000..=7999)));
        for text in ["", "-1", "1-", "2-1", "0-9", "1-2-3", "65536", "a"] {
            assert!(text.parse::<PortRange>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        let networks: Networks = "192.0.2.0/24 2001:db8::/32 198.51.100.7 0.0.0.0/0"
            .parse()
            .expect("well formed");
        let holds =
            |index: usize, address: &str| networks.0[index].contains(address.parse().expect("an address"));
        assert!(holds(0, "192.0.2.255") && !holds(0, "192.0.3.0"));
        assert!(holds(0, "::ffff:192.0.2.1"));
        assert!(holds(1, "2001:db8:1::1") && !holds(1, "2001:db9::1") && !holds(1, "192.0.2.1"));
        assert!(holds(2, "198.51.100.7") && !holds(2, "198.51.100.6"));
        assert!(holds(3, "203.0.113.9") && !holds(3, "::1"));
        for text in ["host", "192.0.2.0/33", "::/129", "1.2.3.4/", "1.2.3.4/-1"] {
            assert!(text.parse::<Networks>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn media_addresses_are_at_most_one_of_each_family() {
        let two: Addresses = "192.0.2.1 2001:db8::1".parse().expect("well formed");
        assert_eq!(two.0.len(), 2);
        for text in ["192.0.2.1 192.0.2.2", "example.org", "0.0.0.0", "::", "239.0.0.1"] {
            assert!(text.parse::<Addresses>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn name_servers_have_port_53_unless_they_say_otherwise() {
        let servers: SocketAddresses = "192.0.2.1 192.0.2.1:5353 [::1]:53 ::1 [::1]"
            .parse()
            .expect("well formed");
        let text: Vec<_> = servers.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "192.0.2.1:53",
                "192.0.2.1:5353",
                "[::1]:53",
                "[::1]:53",
                "[::1]:53"
            ]
        );
        assert!("ns.example.org".parse::<SocketAddresses>().is_err());
    }
}
