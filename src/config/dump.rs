//! Prints the reference: every key of every section with its help and default, in either dialect.

use super::key::{Key, Kind, Schema, Table};

/// A dialect to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// flexisip.conf.
    Ini,
    /// TOML.
    Toml,
}

const WIDTH: usize = 100;

impl Schema {
    /// All sections, or the one of that name; `None` when there is none. Keys are commented out at their defaults.
    pub fn dump(&self, section: Option<&str>, format: Format) -> Option<String> {
        let tables: Vec<_> = match section {
            None => self.tables().iter().collect(),
            Some(name) => vec![self.table(name)?],
        };
        let mut text = String::new();
        if section.is_none() {
            comment(
                &mut text,
                match format {
                    Format::Ini => {
                        "Configuration of b2bua, in the dialect of flexisip.conf; b2bua.toml beside it is the same in \
                     TOML. Every key stands here, commented out, with its default. A line that begins with # is a \
                     comment; nothing else is, so that # and ; may stand in a value. `key=` with nothing after it is \
                     the default, `key= ` with a space is empty. (reload) marks keys whose new value SIGHUP takes over; the \
                     others take a restart."
                    }
                    Format::Toml => {
                        "Configuration of b2bua in TOML; b2bua.conf beside it is the same in the dialect of \
                     flexisip.conf. Every key stands here, commented out, with its default. Where words are \
                     separated by spaces, an array of strings does as well. (reload) marks keys whose new value SIGHUP takes \
                     over; the others take a restart."
                    }
                },
            );
        }
        for table in tables {
            if !text.is_empty() {
                text.push('\n');
            }
            print(&mut text, table, format);
        }
        Some(text)
    }
}

fn print(text: &mut String, table: &Table, format: Format) {
    comment(text, table.help);
    match format {
        Format::Ini => *text += &format!("[{}]\n", table.name),
        Format::Toml => *text += &format!("[{}]\n", table.name.replace("::", ".")),
    }
    for key in table.keys {
        text.push('\n');
        comment(text, key.help);
        let reload = if key.reload { " (reload)" } else { "" };
        comment(text, &format!("Takes {}{reload}", key.kind.expected()));
        if !key.example.is_empty() {
            *text += &format!("# Example: {}\n", setting(key, key.example, format));
        }
        *text += &format!("#{}\n", setting(key, key.default, format));
    }
}

fn setting(key: &Key, value: &str, format: Format) -> String {
    match (format, key.kind) {
        (Format::Ini, _) => format!("{}={value}", key.name),
        (Format::Toml, Kind::Boolean | Kind::Integer { .. }) => format!("{} = {value}", key.name),
        (Format::Toml, Kind::Unavailable(_)) if value == "false" => format!("{} = {value}", key.name),
        (Format::Toml, _) => format!("{} = {}", key.name, quoted(value)),
    }
}

/// A TOML string: literal when it can be, as regular expressions are full of backslashes.
fn quoted(value: &str) -> String {
    if value.contains('\\') && !value.contains('\'') {
        format!("'{value}'")
    } else {
        ::toml::Value::String(value.to_owned()).to_string()
    }
}

/// Wraps text into comment lines.
fn comment(text: &mut String, help: &str) {
    let mut line = String::from("#");
    for word in help.split_ascii_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            *text += &line;
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line += word;
    }
    *text += &line;
    text.push('\n');
}
