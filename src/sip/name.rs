//! Names of header fields, and the small number by which known ones are compared.

use super::Text;
use std::{fmt, hash};

/// The name of a header field: compared without case, compact forms equal to long ones (RFC 3261 §7.3.3).
#[derive(Clone)]
pub struct Name {
    text: Text,
    known: Known,
}

impl Name {
    /// A name already recognised.
    pub(super) fn recognised(text: Text, known: Known) -> Self {
        Self { text, known }
    }
    /// A name as written.
    pub fn new(name: impl Into<Text>) -> Self {
        let text = name.into();
        let known = Known::of(&text);
        Self { text, known }
    }
    /// As it was written.
    pub fn as_text(&self) -> &Text {
        &self.text
    }
    /// Its number, if it is one of the names that this crate has a number for.
    pub(crate) fn known(&self) -> Known {
        self.known
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        let known = Known::of(name.as_bytes());
        let canonical = known.as_str();
        Self {
            text: if canonical == name {
                Text::from_static(canonical)
            } else {
                name.into()
            },
            known,
        }
    }
}
impl From<Known> for Name {
    fn from(known: Known) -> Self {
        Self {
            text: Text::from_static(known.as_str()),
            known,
        }
    }
}
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known
            && (self.known != Known::Other || self.text.eq_ignore_ascii_case(&other.text))
    }
}
impl Eq for Name {}
impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        let known = Known::of(other.as_bytes());
        self.known == known && (known != Known::Other || self.text.eq_ignore_ascii_case(other.as_bytes()))
    }
}
impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}
impl hash::Hash for Name {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.known.hash(state);
        if self.known == Known::Other {
            self.text.to_ascii_lowercase().hash(state);
        }
    }
}
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Defines [`Known`] with its long names and the compact forms of the IANA registry.
macro_rules! known {
    ($($variant:ident $long:literal $($short:literal)?,)*) => {
        /// A name that is recognised once, at parsing, so that looking it up compares integers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub(crate) enum Known { Other = 0, $($variant,)* }

        impl Known {
            #[cfg(test)]
            const ALL: &'static [Self] = &[Self::Other, $(Self::$variant,)*];
            const LONG: &'static [&'static str] = &["", $($long,)*];
            const SPELLINGS: &'static [(&'static str, Self)] = &[$(($long, Self::$variant), $(($short, Self::$variant),)?)*];
        }
    };
}

known! {
    Via "Via" "v", From "From" "f", To "To" "t", CallId "Call-ID" "i", CSeq "CSeq", MaxForwards "Max-Forwards",
    Contact "Contact" "m", ContentLength "Content-Length" "l", ContentType "Content-Type" "c", Route "Route",
    RecordRoute "Record-Route", Require "Require", Supported "Supported" "k", ProxyRequire "Proxy-Require",
    Unsupported "Unsupported", Allow "Allow", AllowEvents "Allow-Events" "u", Event "Event" "o", Accept "Accept",
    AcceptEncoding "Accept-Encoding", AcceptLanguage "Accept-Language", AlertInfo "Alert-Info",
    AuthenticationInfo "Authentication-Info", Authorization "Authorization", CallInfo "Call-Info",
    ContentDisposition "Content-Disposition", ContentEncoding "Content-Encoding" "e",
    ContentLanguage "Content-Language", Date "Date", ErrorInfo "Error-Info", Expires "Expires",
    MinExpires "Min-Expires", MimeVersion "MIME-Version", Organization "Organization", Priority "Priority",
    ProxyAuthenticate "Proxy-Authenticate", ProxyAuthorization "Proxy-Authorization", Reason "Reason",
    ReferTo "Refer-To" "r", ReferredBy "Referred-By" "b", ReferSub "Refer-Sub", Replaces "Replaces",
    ReplyTo "Reply-To", RetryAfter "Retry-After", RAck "RAck", RSeq "RSeq", Server "Server",
    SessionExpires "Session-Expires" "x", MinSe "Min-SE", Subject "Subject" "s",
    SubscriptionState "Subscription-State", Timestamp "Timestamp", UserAgent "User-Agent", Warning "Warning",
    WwwAuthenticate "WWW-Authenticate", PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity", Privacy "Privacy", Diversion "Diversion",
    HistoryInfo "History-Info", Identity "Identity" "y", IdentityInfo "Identity-Info",
    RequestDisposition "Request-Disposition" "d", AcceptContact "Accept-Contact" "a",
    RejectContact "Reject-Contact" "j", Join "Join", Path "Path", ServiceRoute "Service-Route",
    InReplyTo "In-Reply-To", TargetDialog "Target-Dialog", SipEtag "SIP-ETag", SipIfMatch "SIP-If-Match",
    SessionId "Session-ID", UserToUser "User-to-User", PEarlyMedia "P-Early-Media",
    PAccessNetworkInfo "P-Access-Network-Info", PChargingVector "P-Charging-Vector", RecvInfo "Recv-Info",
    InfoPackage "Info-Package", Geolocation "Geolocation", MaxBreadth "Max-Breadth",
    FeatureCaps "Feature-Caps", XFlexisipB2bua "X-Flexisip-B2BUA", SecurityClient "Security-Client",
    AnswerMode "Answer-Mode",
}

const SLOTS: usize = 512;

/// A hash that no two of our spellings share; the compiler refuses the table below otherwise.
const fn slot(name: &[u8]) -> usize {
    let [first, .., last] = name else {
        return match name {
            [only] => (21 + (*only as usize | 0x20) * (44 + 35 + 7)) % SLOTS,
            _ => 0,
        };
    };
    let middle = name[name.len() / 2];
    (name.len() * 21
        + (*first as usize | 0x20) * 44
        + (*last as usize | 0x20) * 35
        + (middle as usize | 0x20) * 7)
        % SLOTS
}

/// Index of the spelling that may live in each slot, plus one; 0 for none.
const TABLE: [u8; SLOTS] = {
    let mut table = [0_u8; SLOTS];
    let mut index = 0;
    while index < Known::SPELLINGS.len() {
        let slot = slot(Known::SPELLINGS[index].0.as_bytes());
        assert!(
            table[slot] == 0,
            "two names share a slot: change the factors of `slot`"
        );
        index += 1;
        table[slot] = index as u8;
    }
    table
};

impl Known {
    /// Recognises a name, long or compact, in any case.
    pub(crate) fn of(name: &[u8]) -> Self {
        let index = usize::from(TABLE[slot(name)]);
        match index.checked_sub(1).and_then(|index| Self::SPELLINGS.get(index)) {
            // Most senders write names as the RFC does: that comparison is cheaper.
            Some((spelling, known))
                if name == spelling.as_bytes() || name.eq_ignore_ascii_case(spelling.as_bytes()) =>
            {
                *known
            }
            _ => Self::Other,
        }
    }
    /// The long name; empty for [`Known::Other`].
    pub(crate) fn as_str(self) -> &'static str {
        Self::LONG.get(self as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_recognised_in_any_case() {
        for &known in &Known::ALL[1..] {
            let name = known.as_str();
            assert_eq!(Known::of(name.as_bytes()), known);
            assert_eq!(Known::of(name.to_ascii_uppercase().as_bytes()), known);
            assert_eq!(Known::of(format!("{name}x").as_bytes()), Known::Other);
        }
        assert_eq!(Known::of(b""), Known::Other);
        assert_eq!(Known::of(b"q"), Known::Other);
    }

    #[test]
    fn compact_and_long_names_are_equal() {
        assert_eq!(Name::from("v"), Name::from("VIA"));
        assert_eq!(Name::from("x-foo"), Name::from("X-Foo"));
        assert_ne!(Name::from("x-foo"), Name::from("x-bar"));
        let name = Name::from("m");
        assert!(name == "contact" && name != "cseq");
        assert_eq!(Name::from("m").as_text(), &Text::from("m"));
    }
}
