//! The template language: literal text with `{path}` in it, evaluated by plain concatenation.

use super::number::{Form, Numbers};
use b2bua::sip::{NameAddr, Uri, routing::Own};
use std::{fmt, net::IpAddr};

/// A template, read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Literal(String),
    Field(Source, Field),
}

/// What a field is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    From,
    To,
    RequestUri,
    AssertedIdentity,
    Diversion,
    AccountUri,
    AccountAlias,
}

/// Which part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Field {
    /// The URI alone.
    Whole,
    User,
    HostPort,
    UriParameters,
    DisplayName,
    /// The user's number, as the provider wants it; where it is none, the user.
    Number,
}

/// Where a template stands, and so what it may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// `outgoingInvite`: the call as `incoming`, and the account.
    Invite,
    /// `accountToUse.source`: the call itself.
    Call,
    /// `accountToUse.by`: the account itself.
    Account,
}

/// What of a call templates can name.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) from: NameAddr,
    /// The To header; the Refer-To of a transfer.
    pub(super) to: NameAddr,
    pub(super) request_uri: Uri,
    /// The first P-Asserted-Identity.
    pub(super) asserted_identity: Option<NameAddr>,
    /// The topmost Diversion.
    pub(super) diversion: Option<NameAddr>,
    /// Where it came from. No template names it.
    pub(super) host: Option<IpAddr>,
    /// Over whose own connection it came. No template names it.
    pub(super) own: Option<Own>,
}

/// What of an account templates can name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity<'a> {
    pub(super) uri: &'a NameAddr,
    pub(super) alias: Option<&'a Uri>,
}

/// Everything that a template may be evaluated on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) incoming: Option<&'a Incoming>,
    pub(super) account: Option<Identity<'a>>,
    pub(super) numbers: &'a Numbers,
    /// How `number` writes.
    pub(super) form: Form,
}

/// What is wrong with a template, and where: characters are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TemplateError {
    at: usize,
    what: String,
    pub(super) expected: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at, self.what)
    }
}

impl Context {
    fn sources(self) -> &'static [(&'static str, Source)] {
        match self {
            Self::Invite => &[
                ("incoming.from", Source::From),
                ("incoming.to", Source::To),
                ("incoming.requestUri", Source::RequestUri),
                ("incoming.assertedIdentity", Source::AssertedIdentity),
                ("incoming.diversion", Source::Diversion),
                ("account.uri", Source::AccountUri),
                ("account.alias", Source::AccountAlias),
            ],
            Self::Call => &[
                ("from", Source::From),
                ("to", Source::To),
                ("requestUri", Source::RequestUri),
                ("assertedIdentity", Source::AssertedIdentity),
                ("diversion", Source::Diversion),
            ],
            Self::Account => &[("uri", Source::AccountUri), ("alias", Source::AccountAlias)],
        }
    }
}

const FIELDS: [(&str, Field); 5] = [
    ("user", Field::User),
    ("hostport", Field::HostPort),
    ("uriParameters", Field::UriParameters),
    ("displayName", Field::DisplayName),
    ("number", Field::Number),
];

impl Source {
    /// An alias is a URI, and so is the Request-URI: they have no display name.
    fn has(self, field: Field) -> bool {
        field != Field::DisplayName || !matches!(self, Self::AccountAlias | Self::RequestUri)
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Where a `{` is not closed, or what stands between the braces names nothing that is known there.
    pub(super) fn parse(text: &str, context: Context) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        let position = |rest: &str| 1 + text.chars().count() - rest.chars().count();
        while let Some((literal, after)) = rest.split_once('{') {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let at = position(after);
            let Some((path, after)) = after.split_once('}') else {
                return Err(TemplateError {
                    at: at - 1,
                    what: "this { has no } after it".to_owned(),
                    expected: "a field in braces, like {incoming.to.user}".to_owned(),
                });
            };
            let (source, field) =
                resolve(path, context).map_err(|(offset, what, expected)| TemplateError {
                    at: at + offset,
                    what,
                    expected,
                })?;
            parts.push(Part::Field(source, field));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Concatenates. What is not there is empty. Bytes, since display names may be of any encoding.
    pub(super) fn evaluate(&self, scope: &Scope<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field(source, field) => scope.write(*source, *field, &mut out),
            }
        }
        out
    }
}

/// What a path means; otherwise after how many characters it goes wrong, how, and what was expected.
fn resolve(path: &str, context: Context) -> Result<(Source, Field), (usize, String, String)> {
    let sources = context.sources();
    let found = sources.iter().find_map(|(name, source)| {
        let rest = path.strip_prefix(name)?;
        match rest.strip_prefix('.') {
            Some(field) => Some((*source, name.len() + 1, Some(field))),
            None => rest.is_empty().then_some((*source, 0, None)),
        }
    });
    let Some((source, at, field)) = found else {
        let names: Vec<_> = sources.iter().map(|(name, _)| *name).collect();
        // As far as it agrees with something that there is, token by token.
        let agrees = |length: usize| {
            let start = path.get(..length).unwrap_or_default();
            let begins = |name: &&&str| name.strip_prefix(start).is_some_and(|rest| rest.starts_with('.'));
            names.iter().find(begins).is_some()
        };
        let at = path
            .match_indices('.')
            .map(|(dot, _)| dot)
            .rfind(|dot| agrees(*dot))
            .map_or(0, |dot| dot + 1);
        let what = format!("there is no field {path:?}");
        return Err((at, what, format!("one of {}", names.join(", "))));
    };
    let Some(field) = field else {
        return Ok((source, Field::Whole));
    };
    let known = FIELDS.iter().filter(|(_, known)| source.has(*known));
    match known.clone().find(|(name, _)| *name == field) {
        Some((_, field)) => Ok((source, *field)),
        None => {
            let names: Vec<_> = known.map(|(name, _)| *name).collect();
            let whole = path.get(..at.saturating_sub(1)).unwrap_or_default();
            let names = names.join(", ");
            let what = format!("{whole} has no field {field:?}");
            Err((at, what, format!("one of {names}, or nothing for the URI")))
        }
    }
}

impl<'a> Scope<'a> {
    fn write(&self, source: Source, field: Field, out: &mut Vec<u8>) {
        let (display, uri, is_alias): (_, Option<&Uri>, bool) = match source {
            Source::RequestUri => (None, self.incoming.map(|call| &call.request_uri), false),
            Source::AccountAlias => (None, self.account.and_then(|account| account.alias), true),
            Source::From | Source::To | Source::AssertedIdentity | Source::Diversion | Source::AccountUri => {
                let address = self.address(source);
                (address, address.map(|address| &address.uri), false)
            }
        };
        let Some(uri) = uri else { return };
        match field {
            // What a URI of a header may carry into the message has no place in another one.
            Field::Whole => out.extend_from_slice(uri.without_headers().as_str().as_bytes()),
            Field::User if is_alias => out.extend(uri.user_unescaped().unwrap_or_default()),
            Field::User => out.extend_from_slice(uri.user().unwrap_or_default().as_bytes()),
            Field::HostPort => out.extend_from_slice(hostport(uri).as_bytes()),
            Field::UriParameters => out.extend_from_slice(uri.params().as_bytes()),
            Field::DisplayName => {
                let name = display.map(NameAddr::display_name).unwrap_or_default();
                if !name.is_empty() {
                    out.extend_from_slice(&name.quoted());
                }
            }
            // What a carrier wants before a number belongs to the number that is called, not to who calls.
            Field::Number if matches!(source, Source::To | Source::RequestUri) => {
                out.extend(self.numbers.write_called(uri, self.form).bytes());
            }
            Field::Number => out.extend(self.numbers.write(uri, self.form).bytes()),
        }
    }

    fn address(&self, source: Source) -> Option<&'a NameAddr> {
        match source {
            Source::From => self.incoming.map(|call| &call.from),
            Source::To => self.incoming.map(|call| &call.to),
            Source::AssertedIdentity => self.incoming?.asserted_identity.as_ref(),
            Source::Diversion => self.incoming?.diversion.as_ref(),
            Source::AccountUri => self.account.map(|account| account.uri),
            Source::RequestUri | Source::AccountAlias => None,
        }
    }
}

/// `host[:port]`, IPv6 in brackets.
pub(super) fn hostport(uri: &Uri) -> String {
    let host = uri.host();
    let mut text = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    if let Some(port) = uri.port() {
        text += &format!(":{port}");
    }
    text
}

/// An address as the configuration or a template writes it: in brackets, or a URI whose parameters are its own.
///
/// # Errors
/// What it is not.
pub(super) fn address(text: &[u8]) -> Result<NameAddr, String> {
    let read = if text.contains(&b'<') {
        NameAddr::parse(text.to_vec())
    } else {
        Uri::parse(text.to_vec()).map(NameAddr::of)
    };
    read.map_err(|error| {
        format!(
            "{:?} is not a SIP address: {error}",
            String::from_utf8_lossy(text)
        )
    })
}

#[cfg(test)]
mod tests;
