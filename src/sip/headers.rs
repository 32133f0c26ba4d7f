//! Header fields: an ordered multimap that remembers how each field was written.

use super::{CSeq, NameAddr, ParseError, Text, Uri, Via};

/// The name of a header field: compared without case, compact forms equal to long ones (RFC 3261 §7.3.3).
#[derive(Clone, Debug)]
pub struct Name(Text);

impl Name {
    /// A name as written.
    pub fn new(name: impl Into<Text>) -> Self {
        Self(name.into())
    }
    /// As it was written.
    pub fn as_text(&self) -> &Text {
        &self.0
    }
}
impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// Header fields in the order of the wire.
///
/// A field that nobody touches is printed to the byte as it came: its case, compact form, white space and folding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {}

impl Headers {
    /// The value of the first field of that name: trimmed, unfolded.
    pub fn get(&self, name: &str) -> Option<Text> {
        let _ = name;
        todo!()
    }
    /// Whether there is a field of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
    /// The values of all fields of that name, one a field line.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Text> + 'a {
        let _ = name;
        std::iter::empty()
    }
    /// The values of all fields of that name, split at commas outside quotes and brackets (RFC 3261 §7.3.1).
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Text> + 'a {
        let _ = name;
        std::iter::empty()
    }
    /// All fields: name as written, value trimmed and unfolded.
    pub fn iter(&self) -> impl Iterator<Item = (Name, Text)> + '_ {
        std::iter::empty()
    }
    /// Appends a field.
    pub fn push(&mut self, name: impl Into<Name>, value: impl Into<Text>) {
        let _ = (name.into(), value.into());
        todo!()
    }
    /// Puts a field before all others (Via, Route, Record-Route).
    pub fn push_front(&mut self, name: impl Into<Name>, value: impl Into<Text>) {
        let _ = (name.into(), value.into());
        todo!()
    }
    /// Replaces all fields of that name by one, in the place of the first (else appended).
    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<Text>) {
        let _ = (name.into(), value.into());
        todo!()
    }
    /// Removes all fields of that name.
    pub fn remove(&mut self, name: &str) {
        let _ = name;
        todo!()
    }
    /// Copies each field of that name of `other`, as written, to the end.
    pub fn copy_from(&mut self, other: &Self, name: &str) {
        let _ = (other, name);
        todo!()
    }
    /// The topmost Via.
    pub fn via(&self) -> Result<Via, ParseError> {
        todo!()
    }
    /// From.
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        todo!()
    }
    /// To.
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        todo!()
    }
    /// CSeq.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        todo!()
    }
    /// Call-ID.
    pub fn call_id(&self) -> Result<Text, ParseError> {
        todo!()
    }
    /// The Contact values; `*` is an error.
    pub fn contacts(&self) -> Result<Vec<NameAddr>, ParseError> {
        todo!()
    }
    /// Record-Route or Route values, top first.
    pub fn routes(&self, name: &str) -> Result<Vec<NameAddr>, ParseError> {
        let _ = name;
        todo!()
    }
    /// Max-Forwards; `None` when absent.
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        todo!()
    }
    /// The URI of a Route set entry or similar single `name-addr`.
    pub fn uri(&self, name: &str) -> Option<Uri> {
        let _ = name;
        todo!()
    }
}
