//! A message as a party heard it: no more than text with fields.

use std::net::{IpAddr, SocketAddr};

/// A message as it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard(pub(crate) String);

/// The length of the whole message at the start of `buffer`.
pub(crate) fn whole(buffer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(buffer);
    let head = text.find("\r\n\r\n")? + 4;
    let length = Heard(text[..head].to_owned())
        .field("Content-Length")
        .parse::<usize>()
        .expect("a number");
    (buffer.len() >= head + length).then_some(head + length)
}

impl Heard {
    /// The first value of a field, or an empty text.
    pub(crate) fn field(&self, name: &str) -> String {
        self.fields(name).first().cloned().unwrap_or_default()
    }
    pub(crate) fn fields(&self, name: &str) -> Vec<String> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        head.split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(field, _)| field.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }
    /// The start line.
    pub(crate) fn start(&self) -> &str {
        self.0.split("\r\n").next().unwrap_or_default()
    }
    /// Where its session description wants audio.
    pub(crate) fn audio(&self) -> SocketAddr {
        let body = self.0.split_once("\r\n\r\n").expect("a body").1;
        let connection = body
            .lines()
            .find_map(|line| line.strip_prefix("c=IN IP"))
            .expect("c=");
        let ip: IpAddr = connection[2..].trim().parse().expect("an address");
        let media = body
            .lines()
            .find_map(|line| line.strip_prefix("m=audio "))
            .expect("m=audio");
        let port = media
            .split(' ')
            .next()
            .expect("a port")
            .parse()
            .expect("a number");
        (ip, port).into()
    }
}
