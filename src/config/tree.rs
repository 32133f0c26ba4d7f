//! What a configuration file says, before anything is made of it: sections, keys, text, line numbers.
//!
//! Both dialects are read into this, so that everything after it knows only one.

/// A configuration file as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// In the order of their first appearance.
    pub sections: Vec<Section>,
}

/// `[name]` and what stands under it. A section that is opened twice is one section here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// As written at its first appearance.
    pub name: String,
    /// Where it was first opened.
    pub place: Place,
    /// In the order of the file; a key that is set twice stands here twice.
    pub items: Vec<Item>,
}

/// `key = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// As written.
    pub key: String,
    /// As written, without the blanks around it. A TOML array is its words with spaces between.
    pub value: String,
    /// Where.
    pub place: Place,
}

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line of the file, from 1.
    Line(usize),
    /// An argument `--set` of the command line, from 1.
    Argument(usize),
}

impl Tree {
    /// The section of that name; case does not matter.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections
            .iter()
            .find(|section| section.name.eq_ignore_ascii_case(name))
    }

    /// The section of that name, made when it is not there.
    pub(crate) fn open(&mut self, name: &str, place: Place) -> &mut Section {
        let index = self
            .sections
            .iter()
            .position(|section| section.name.eq_ignore_ascii_case(name));
        let index = index.unwrap_or_else(|| {
            self.sections.push(Section {
                name: name.to_owned(),
                place,
                items: Vec::new(),
            });
            self.sections.len() - 1
        });
        &mut self.sections[index]
    }

    /// Sets a key from the command line: what the file says of it no longer counts.
    pub(crate) fn replace(&mut self, section: &str, key: &str, value: &str, place: Place) {
        let section = self.open(section, place);
        section.items.retain(|item| !item.key.eq_ignore_ascii_case(key));
        section.items.push(Item {
            key: key.to_owned(),
            value: value.to_owned(),
            place,
        });
    }
}

impl Section {
    /// The first item of that key; case does not matter.
    pub fn item(&self, key: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.key.eq_ignore_ascii_case(key))
    }
}
