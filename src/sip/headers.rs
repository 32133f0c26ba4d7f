//! Header fields: an ordered multimap that remembers how each field was written.

use super::{Name, Text, lex, name::Known};
use bytes::Bytes;
use std::borrow::Cow;

#[cfg(test)]
mod tests;
mod typed;

/// Header fields in the order of the wire.
///
/// A field that nobody touches is printed to the byte as it came: its case, compact form, white space and folding.
#[derive(Clone, Default)]
pub struct Headers {
    fields: Vec<Field>,
    /// The datagram that untouched fields are slices of.
    wire: Text,
    /// The start line with its line end, where it is not what we would print.
    pub(super) line: Option<Bytes>,
    /// The empty line behind the fields was a bare LF.
    pub(super) bare_lf: bool,
    /// As the parser left it.
    pub(super) untouched: bool,
}

/// One field line (several where it is folded), its line end included.
#[derive(Clone)]
struct Field {
    known: Known,
    folded: bool,
    name_len: u16,
    /// The trimmed value, from the start of the line.
    value: (u32, u32),
    line: Line,
}

#[derive(Clone)]
enum Line {
    /// A part of [`Headers::wire`].
    Wire(u32, u32),
    /// On its own: built by us or copied from another message.
    Own(Text),
}

/// Where a parser found a field in the datagram.
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    /// 0 for a line that is no header field.
    pub(super) name_len: usize,
    /// Of the byte behind the colon.
    pub(super) value: usize,
    pub(super) folded: bool,
}

impl Headers {
    /// Empty, for the parser to fill with fields of this datagram.
    pub(super) fn of_wire(wire: Bytes) -> Self {
        Self {
            // A usual INVITE has fewer.
            fields: Vec::with_capacity(24),
            wire: Text::from_bytes(wire),
            untouched: true,
            ..Self::default()
        }
    }
    /// Appends a field that the parser found. Its offsets are within the datagram, which is shorter than 4 GiB.
    pub(super) fn push_found(&mut self, found: &Found) {
        let line = self.wire.get(found.start..found.end).unwrap_or_default();
        let value_at = found.value - found.start;
        let raw = line.get(value_at..).unwrap_or_default();
        let value_start = value_at + raw.iter().take_while(|&&b| lex::is_space(b)).count();
        let value_len = lex::trim(raw).len();
        let name = line.get(..found.name_len).unwrap_or_default();
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.fields.push(Field {
            known: Known::of(name),
            folded: found.folded,
            name_len: u16::try_from(found.name_len).unwrap_or(u16::MAX),
            value: (offset(value_start), offset(value_start + value_len)),
            line: Line::Wire(offset(found.start), offset(found.end)),
        });
    }
    /// How many field lines there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
    /// The value of the first field of that name: trimmed, unfolded.
    pub fn get(&self, name: &str) -> Option<Text> {
        self.all(name).next()
    }
    /// Whether there is a field of that name.
    pub fn contains(&self, name: &str) -> bool {
        let wanted = Wanted::of(name);
        self.fields.iter().any(|field| self.is(field, wanted))
    }
    /// The values of all fields of that name, one a field line.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Text> + 'a {
        let wanted = Wanted::of(name);
        self.fields
            .iter()
            .filter(move |field| self.is(field, wanted))
            .map(|field| self.value(field))
    }
    /// The values of all fields of that name, split at commas outside quotes and brackets (RFC 3261 §7.3.1).
    ///
    /// Not for fields in which a comma means something else: Date, WWW-Authenticate, Authorization and the like.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Text> + 'a {
        self.all(name).flat_map(lex::List::new)
    }
    /// All fields: name as written, value trimmed and unfolded.
    pub fn iter(&self) -> impl Iterator<Item = (Name, Text)> + '_ {
        self.fields.iter().map(|field| {
            let name = self.part(field, 0, usize::from(field.name_len));
            (Name::recognised(name, field.known), self.value(field))
        })
    }
    /// Appends a field.
    ///
    /// A value can never begin a field of its own: line breaks in it become spaces; a name that is no token is cut to what
    /// is, and nothing happens when nothing is left.
    pub fn push(&mut self, name: impl Into<Name>, value: impl Into<Text>) {
        if let Some(field) = Field::built(&name.into(), &value.into()) {
            self.untouched = false;
            self.fields.push(field);
        }
    }
    /// Puts a field before all others (Via, Route, Record-Route).
    pub fn push_front(&mut self, name: impl Into<Name>, value: impl Into<Text>) {
        if let Some(field) = Field::built(&name.into(), &value.into()) {
            self.untouched = false;
            self.fields.insert(0, field);
        }
    }
    /// Replaces all fields of that name by one, in the place of the first (else appended).
    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<Text>) {
        let name = name.into();
        let Some(field) = Field::built(&name, &value.into()) else {
            return;
        };
        self.untouched = false;
        let wanted = Wanted {
            known: name.known(),
            name: name.as_text(),
        };
        let mut replacement = Some(field);
        let fields = std::mem::take(&mut self.fields);
        let mut kept = Vec::with_capacity(fields.len() + 1);
        for field in fields {
            if !self.is(&field, wanted) {
                kept.push(field);
            } else if let Some(field) = replacement.take() {
                kept.push(field);
            }
        }
        kept.extend(replacement);
        self.fields = kept;
    }
    /// Removes all fields of that name.
    pub fn remove(&mut self, name: &str) {
        let wanted = Wanted::of(name);
        let mut fields = std::mem::take(&mut self.fields);
        let before = fields.len();
        fields.retain(|field| !self.is(field, wanted));
        self.untouched &= fields.len() == before;
        self.fields = fields;
    }
    /// Copies each field of that name of `other`, as written, to the end.
    pub fn copy_from(&mut self, other: &Self, name: &str) {
        self.copy(other, Wanted::of(name));
    }
    pub(super) fn copy_known(&mut self, other: &Self, known: Known) {
        self.copy(other, Wanted { known, name: b"" });
    }
    fn copy(&mut self, other: &Self, wanted: Wanted<'_>) {
        for field in other.fields.iter().filter(|field| other.is(field, wanted)) {
            let line = match &field.line {
                Line::Wire(from, to) => other.wire.part(*from as usize, *to as usize),
                Line::Own(line) => line.clone(),
            };
            self.untouched = false;
            self.fields.push(Field {
                line: Line::Own(line),
                ..*field
            });
        }
    }
    /// Reads the value of the first field of that name within the bytes that hold it, so that its parts can be shared
    /// without sharing the value.
    pub(super) fn read_first<T>(&self, known: Known, read: impl FnOnce(&Text, &[u8]) -> T) -> Option<T> {
        let field = self.fields.iter().find(|field| field.known == known)?;
        if field.folded {
            let value = self.value(field);
            return Some(read(&value, &value));
        }
        let value = self
            .line(field)
            .get(field.value.0 as usize..field.value.1 as usize)?;
        Some(match &field.line {
            Line::Wire(..) => read(&self.wire, value),
            Line::Own(line) => read(line, value),
        })
    }
    /// The value of the first field of that name.
    pub(super) fn first(&self, known: Known) -> Option<Text> {
        self.fields
            .iter()
            .find(|field| field.known == known)
            .map(|field| self.value(field))
    }
    /// The trimmed, unfolded values of all fields of that name, borrowed where they can be.
    pub(super) fn each_borrowed(&self, known: Known) -> impl Iterator<Item = Cow<'_, [u8]>> + '_ {
        self.fields
            .iter()
            .filter(move |field| field.known == known)
            .map(|field| {
                if field.folded {
                    return Cow::Owned(self.value(field).to_vec());
                }
                let (from, to) = (field.value.0 as usize, field.value.1 as usize);
                Cow::Borrowed(self.line(field).get(from..to).unwrap_or_default())
            })
    }
    /// The values of all fields of that name, one a field line.
    pub(super) fn each(&self, known: Known) -> impl Iterator<Item = Text> + '_ {
        self.fields
            .iter()
            .filter(move |field| field.known == known)
            .map(|field| self.value(field))
    }
    /// What each field line is, in order.
    pub(super) fn known(&self) -> impl Iterator<Item = Known> + '_ {
        self.fields.iter().map(|field| field.known)
    }
    /// Each field as it is written, with its line end.
    pub(super) fn lines(&self) -> impl Iterator<Item = (Known, &[u8])> + '_ {
        self.fields.iter().map(|field| (field.known, self.line(field)))
    }
    /// Replaces the first value of the first field of that name; what follows its comma stays as written.
    pub(super) fn replace_top(&mut self, known: Known, value: &Text) {
        let Some(at) = self.fields.iter().position(|field| field.known == known) else {
            return;
        };
        let Some(field) = self.fields.get(at) else {
            return;
        };
        let line = self.line(field);
        let (from, to) = (field.value.0 as usize, field.value.1 as usize);
        let old = line.get(from..to).unwrap_or_default();
        let rest = lex::find_outside(old, b',', true).and_then(|comma| old.get(comma..));
        let name = line.get(..usize::from(field.name_len)).unwrap_or_default();
        let joined = [name, b": ", value, rest.unwrap_or_default(), b"\r\n"].concat();
        let value_len = joined.len() - name.len() - 4;
        let start = u32::try_from(name.len() + 2).unwrap_or(u32::MAX);
        let replacement = Field {
            value: (
                start,
                start.saturating_add(u32::try_from(value_len).unwrap_or(u32::MAX)),
            ),
            line: Line::Own(joined.into()),
            ..*field
        };
        self.untouched = false;
        if let Some(field) = self.fields.get_mut(at) {
            *field = replacement;
        }
    }

    fn line<'a>(&'a self, field: &'a Field) -> &'a [u8] {
        match &field.line {
            Line::Wire(from, to) => self.wire.get(*from as usize..*to as usize).unwrap_or_default(),
            Line::Own(line) => line,
        }
    }
    fn part(&self, field: &Field, from: usize, to: usize) -> Text {
        match &field.line {
            Line::Wire(start, _) => {
                let start = *start as usize;
                self.wire.part(start + from, start + to)
            }
            Line::Own(line) => line.part(from, to),
        }
    }
    fn value(&self, field: &Field) -> Text {
        let value = self.part(field, field.value.0 as usize, field.value.1 as usize);
        if field.folded { unfold(&value) } else { value }
    }
    fn is(&self, field: &Field, wanted: Wanted<'_>) -> bool {
        field.known == wanted.known
            && (field.known != Known::Other
                || self
                    .line(field)
                    .get(..usize::from(field.name_len))
                    .is_some_and(|name| !name.is_empty() && name.eq_ignore_ascii_case(wanted.name)))
    }
}

/// A name to look for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    known: Known,
    /// Compared only where `known` is `Other`.
    name: &'a [u8],
}

impl<'a> Wanted<'a> {
    fn of(name: &'a str) -> Self {
        Self {
            known: Known::of(name.as_bytes()),
            name: name.as_bytes(),
        }
    }
}

impl Field {
    fn built(name: &Name, value: &[u8]) -> Option<Self> {
        let value = lex::trim(value);
        let mut line = Vec::with_capacity(name.as_text().len() + value.len() + 4);
        line.extend(
            name.as_text()
                .iter()
                .filter(|&&b| lex::is_token_byte(b))
                .take(usize::from(u16::MAX)),
        );
        let name_len = u16::try_from(line.len()).ok().filter(|&len| len > 0)?;
        // Of what is left of the name, which may be another than was meant.
        let known = Known::of(&line);
        line.extend_from_slice(b": ");
        let start = line.len();
        line.extend(value.iter().map(|&b| match b {
            b'\r' | b'\n' | 0 => b' ',
            other => other,
        }));
        while line.len() > start && line.last() == Some(&b' ') {
            line.pop();
        }
        let end = line.len();
        line.extend_from_slice(b"\r\n");
        Some(Self {
            known,
            folded: false,
            name_len,
            value: (u32::try_from(start).ok()?, u32::try_from(end).ok()?),
            line: Line::Own(line.into()),
        })
    }
}

/// Each line break with the white space around it becomes one space (RFC 3261 §7.3.1).
fn unfold(value: &Text) -> Text {
    let mut plain = Vec::with_capacity(value.len());
    for line in value.split(|&b| b == b'\n') {
        if !plain.is_empty() {
            plain.push(b' ');
        }
        plain.extend_from_slice(lex::trim(line));
    }
    plain.into()
}

impl PartialEq for Headers {
    /// Alike when they are written alike.
    fn eq(&self, other: &Self) -> bool {
        self.fields.len() == other.fields.len()
            && self
                .lines()
                .zip(other.lines())
                .all(|((_, one), (_, other))| one == other)
    }
}
impl Eq for Headers {}
impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
