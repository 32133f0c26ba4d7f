//! Configuration: the flexisip.conf dialect and TOML, read once, all problems in one report.
//!
//! A file is read into a [`Tree`] (text and line numbers), checked against the tables of keys of a [`Schema`] (one
//! pass that collects every problem), and then made into structs by serde. The tables also print `--dump-default`
//! and the sample files. Nothing below this module sees a string of the file.

mod check;
mod codecs;
mod de;
mod dump;
mod error;
mod ini;
mod key;
mod redis;
mod regex_table;
mod settings;
mod tables;
#[cfg(test)]
mod tests;
mod toml;
mod tree;
mod types;
mod upstream;
mod uris;

pub use codecs::{AudioCodecs, VideoCodecs};
pub use dump::Format;
pub use error::{ConfigErrors, Problem};
pub use key::{Key, Kind, Schema, Table, checked, parsed};
pub use redis::Redis;
pub use regex_table::{Expression, RegexTable};
pub use settings::{CONTROL_SOCKET, CdrFormat, Global, HTTP_LISTEN, LogLevel, NOTHING_KEPT, Server};
pub use tree::{Item, Place, Section, Tree};
pub use types::{
    Addresses, BadValue, Milliseconds, Network, Networks, PortRange, Seconds, SocketAddresses, Words,
};

pub use uris::{Host, Listening, Proxy, TlsParams, TlsVerify, Transports, UserAgent};

use serde::de::DeserializeOwned;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A configuration that has been read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    path: PathBuf,
    tree: Tree,
    schema: Schema,
    remarks: Vec<Problem>,
}

impl Config {
    /// Reads a file (`.toml` is TOML, anything else the flexisip.conf dialect) and checks it with what `--set` says.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path, overrides: &[String], schema: &Schema) -> Result<Self, ConfigErrors> {
        let unreadable = |found: &str| {
            let expected = "a text file that this user may read";
            ConfigErrors::new(path, vec![Problem::new(None, "", found, expected)])
        };
        let bytes = fs::read(path).map_err(|error| unreadable(&error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            let problem = Problem::new(Place::Line(line), "", "this line is not UTF-8", "UTF-8 text");
            ConfigErrors::new(path, vec![problem])
        })?;
        Self::read(path, &text, overrides, schema)
    }

    /// The same with the text at hand; the path tells the dialect and stands in reports.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(
        path: &Path,
        text: &str,
        overrides: &[String],
        schema: &Schema,
    ) -> Result<Self, ConfigErrors> {
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        let (mut tree, mut problems) = if is_toml {
            toml::read(text)
        } else {
            ini::read(text)
        };
        problems.extend(check::apply(overrides, &mut tree));
        problems.extend(check::tree(&tree, schema));
        let (remarks, problems): (Vec<_>, Vec<_>) = problems.into_iter().partition(Problem::is_remark);
        if !problems.is_empty() {
            return Err(ConfigErrors::new(path, problems));
        }
        let schema = schema.clone();
        Ok(Self {
            path: path.to_owned(),
            tree,
            schema,
            remarks,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is worth saying about it although it is good: one line each.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        self.remarks.iter().map(|remark| remark.report(&self.path))
    }

    /// One section as a struct; keys that the file does not set have the default of the section's table.
    ///
    /// # Errors
    /// When the struct and the section's table do not fit each other; what the file says was checked before.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, ConfigErrors> {
        let table = self
            .schema
            .table(name)
            .ok_or_else(|| self.refuse(name, "", "no such section is known", ""))?;
        let section = self.tree.section(name);
        de::section(table, section).map_err(|error| self.refuse(name, &error.key, &error.what, ""))
    }

    /// The section `[global]`.
    ///
    /// # Errors
    /// As [`Self::section`].
    pub fn global(&self) -> Result<Global, ConfigErrors> {
        self.section("global")
    }

    /// The section `[b2bua-server]`.
    ///
    /// # Errors
    /// As [`Self::section`].
    pub fn server(&self) -> Result<Server, ConfigErrors> {
        self.section("b2bua-server")
    }

    /// Redis, where the file names one.
    ///
    /// # Errors
    /// As [`Self::section`], or when TLS is to have a certificate and no file is named.
    pub fn redis(&self) -> Result<Option<Redis>, ConfigErrors> {
        let redis: Redis = self.section(redis::SECTION)?;
        if redis.connection == "tls-mutual" && (redis.certificate.is_empty() || redis.key.is_empty()) {
            let key = "redis-connection";
            let expected = "redis-tls-certificate and redis-tls-key beside it";
            return Err(self.refuse(
                redis::SECTION,
                key,
                "tls-mutual without a certificate of ours",
                expected,
            ));
        }
        Ok(Some(redis).filter(|redis| !redis.host.is_empty()))
    }

    /// Keys whose value differs between the two and takes a restart: `section/key`, in the order of the reference.
    pub fn needing_restart(&self, newer: &Self) -> Vec<String> {
        let mut names = Vec::new();
        for table in self.schema.tables() {
            for key in table.keys.iter().filter(|key| !key.reload) {
                if self.value(table, key) != newer.value(table, key) {
                    names.push(format!("{}/{}", table.name, key.name));
                }
            }
        }
        names
    }

    fn value(&self, table: &Table, key: &Key) -> &str {
        let section = self.tree.section(&table.name);
        let item = section.and_then(|section| section.item(key.name));
        item.map_or(key.default, |item| &item.value)
    }

    /// A report about one key, with its line when the file sets it.
    pub fn refuse(&self, section: &str, key: &str, found: &str, expected: &str) -> ConfigErrors {
        let opened = self.tree.section(section);
        let item = opened.and_then(|opened| opened.item(key));
        let place = item.map(|item| item.place).or(opened.map(|opened| opened.place));
        let name = if key.is_empty() {
            section.to_owned()
        } else {
            format!("{section}/{key}")
        };
        ConfigErrors::new(&self.path, vec![Problem::new(place, &name, found, expected)])
    }

    /// Several such reports as one.
    pub fn refuse_all(&self, section: &str, all: &[(&str, String)]) -> ConfigErrors {
        let each = |(key, found): &(&str, String)| self.refuse(section, key, found, "").problems;
        ConfigErrors::new(&self.path, all.iter().flat_map(each).collect())
    }
}
