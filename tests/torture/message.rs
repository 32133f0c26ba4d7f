//! The raw text of a message, read as little as possible: none of the server's own code judges it here.

use regex::bytes::{Captures, Regex};

/// A message as bytes.
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Raw {
    /// With this transport and address in the topmost Via, and `rport` behind them; all else as it was.
    pub(crate) fn as_from(&self, transport: &str, sent_by: &str) -> Vec<u8> {
        let top = Regex::new(
            r"(?i-u)(?P<name>\n(?:via|v)[ \t]*:\s*SIP\s*/\s*[0-9.]+\s*/\s*)[^\s;,]+(?P<gap>\s+)(?:\[[^\]]*\]|[^\s;,:]+)(?:\s*:\s*[0-9]+)?",
        )
        .unwrap();
        let replaced = top.replace(&self.0, |found: &Captures<'_>| {
            let parts = [
                &found["name"],
                transport.as_bytes(),
                &found["gap"],
                sent_by.as_bytes(),
                b";rport",
            ];
            parts.concat()
        });
        assert!(matches!(replaced, std::borrow::Cow::Owned(_)), "it has a Via");
        replaced.into_owned()
    }
    /// The values of fields by that name or its compact form, unfolded.
    pub(crate) fn fields(&self, long: &str, short: &str) -> Vec<Vec<u8>> {
        let head = Regex::new(r"(?-u)\r?\n\r?\n").unwrap();
        let head = head
            .find(&self.0)
            .map_or(&self.0[..], |end| &self.0[..end.start()]);
        let unfolded = Regex::new(r"(?-u)\r?\n[ \t]+")
            .unwrap()
            .replace_all(head, &b" "[..])
            .into_owned();
        unfolded
            .split(|&b| b == b'\n')
            .skip(1)
            .filter_map(|line| {
                let colon = line.iter().position(|&b| b == b':')?;
                let name = String::from_utf8_lossy(&line[..colon]).trim().to_owned();
                let is_it = name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
                is_it.then(|| line[colon + 1..].trim_ascii().to_vec())
            })
            .collect()
    }
    pub(crate) fn field(&self, long: &str, short: &str) -> Vec<u8> {
        self.fields(long, short).into_iter().next().unwrap_or_default()
    }
    /// What follows the empty line.
    pub(crate) fn body(&self) -> &[u8] {
        let end = Regex::new(r"(?-u)\r?\n\r?\n").unwrap();
        end.find(&self.0).map_or(&[][..], |end| &self.0[end.end()..])
    }
    /// The start line.
    pub(crate) fn start(&self) -> String {
        String::from_utf8_lossy(self.0.split(|&b| b == b'\n').next().unwrap_or_default())
            .trim_end()
            .to_owned()
    }
    /// The status code of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        self.start().strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }
}

/// The URI of an address: between `<>`, else before the first `;`.
pub(crate) fn uri_of(address: &[u8]) -> String {
    let address = String::from_utf8_lossy(address).into_owned();
    let quoted = Regex::new(r#"^\s*"(?:[^"\\]|\\.)*""#).unwrap();
    let plain = quoted.replace(address.as_bytes(), &b""[..]).into_owned();
    let plain = String::from_utf8_lossy(&plain).into_owned();
    let uri = match plain.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => plain.split(';').next().unwrap_or_default(),
    };
    uri.trim().to_owned()
}
