//! What a stranger is told of why something failed or ended: codes, and no words of the other party.

use super::{Cause, Failure, Origin};
use crate::sip::{Status, Text, lex};

impl Failure {
    /// The same without what the other party wrote itself: its phrase, `Warning` (which names a host of it), the texts of `Reason`,
    /// and where it may be found instead, without which a redirection says that it is not there.
    #[must_use]
    pub(in crate::call) fn for_stranger(mut self) -> Self {
        if !is_of_peer(self.origin) {
            return self;
        }
        self.reason = None;
        let mut reasons: Vec<Text> = self.headers.all("Reason").flat_map(|text| bare(&text)).collect();
        let retry_after = self.headers.get("Retry-After");
        for name in ["Reason", "Warning", "Retry-After", "Contact"] {
            self.headers.remove(name);
        }
        if let Some(seconds) = retry_after.as_ref().and_then(seconds) {
            self.headers.push("Retry-After", seconds);
        }
        if (300..400).contains(&self.status.code()) {
            reasons.insert(0, format!("SIP;cause={}", self.status.code()).into());
            self.status = Status::TEMPORARILY_UNAVAILABLE;
        }
        for reason in reasons {
            self.headers.push("Reason", reason);
        }
        self
    }
}

impl Cause {
    /// The same with `Reason` values that have codes alone.
    #[must_use]
    pub(in crate::call) fn for_stranger(mut self) -> Self {
        if is_of_peer(self.origin) {
            self.reasons = self.reasons.iter().flat_map(bare).collect();
        }
        self
    }
}

fn is_of_peer(origin: Origin) -> bool {
    matches!(origin, Origin::LegA | Origin::LegB)
}

/// `protocol;cause=NUMBER` of each value (RFC 3326 §2); what has no number says nothing without its words.
fn bare(reasons: &Text) -> Vec<Text> {
    let value = |value: &[u8]| {
        let end = value.iter().position(|&byte| byte == b';')?;
        let (protocol, params) = value.split_at(end);
        let protocol = lex::trim(protocol);
        let cause = lex::number(lex::param(params, "cause")??)?;
        let protocol = std::str::from_utf8(protocol)
            .ok()
            .filter(|_| lex::is_token(protocol))?;
        Some(format!("{protocol};cause={cause}").into())
    };
    lex::elements(reasons.as_bytes()).filter_map(value).collect()
}

/// The number that a `Retry-After` begins with (RFC 3261 §20.33).
fn seconds(retry_after: &Text) -> Option<String> {
    let bytes = retry_after.as_bytes();
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit());
    let digits = bytes.get(..end.unwrap_or(bytes.len()))?;
    lex::number(digits).map(|seconds| seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::failure::Kind;

    fn fields(failure: &Failure) -> Vec<String> {
        let line = |(name, value): (crate::sip::Name, Text)| {
            format!("{}: {}", name.as_text().to_str(), value.to_str())
        };
        failure.headers.iter().map(line).collect()
    }

    #[test]
    fn a_stranger_hears_codes_and_no_words() {
        let said = Failure::new(Status::BUSY_HERE, Origin::LegB, Kind::Rejected)
            .because("Alice is in room 12")
            .with("Retry-After", "120 (in a meeting);duration=60")
            .with("Warning", "399 pbx.inside.example \"licence of alice\"")
            .with(
                "Reason",
                "SIP;cause=600;text=\"says alice, who \\\"hides;cause=9\", Q.850 ; text=\"x\" ; cause=17",
            )
            .with("Reason", "inside;text=\"no number\"");
        let heard = said.for_stranger();
        assert_eq!((heard.status, heard.reason.clone()), (Status::BUSY_HERE, None));
        assert_eq!(
            fields(&heard),
            [
                "Retry-After: 120",
                "Reason: SIP;cause=600",
                "Reason: Q.850;cause=17"
            ]
        );
        assert_eq!(heard.clone().for_stranger(), heard, "once is enough");
    }

    #[test]
    fn where_somebody_inside_may_be_found_is_not_said() {
        let moved = Failure::new(Status::MOVED_TEMPORARILY, Origin::LegB, Kind::Rejected)
            .with("Contact", "<sip:alice@inside.example>");
        let heard = moved.for_stranger();
        assert_eq!(heard.status, Status::TEMPORARILY_UNAVAILABLE);
        assert_eq!(fields(&heard), ["Reason: SIP;cause=302"]);
    }

    #[test]
    fn what_we_say_ourselves_is_said() {
        let ours = Failure::of(Kind::Capacity, Origin::Local)
            .because("Too many calls")
            .with("Retry-After", "30");
        assert_eq!(ours.clone().for_stranger(), ours);
        let ended = Cause {
            reasons: vec!["SIP;cause=200;text=\"taken by bob\"".into(), "words".into()],
            ..Cause::bye(Origin::LegA)
        };
        assert_eq!(ended.for_stranger().reasons, ["SIP;cause=200"]);
    }
}
