//! Call scripts: a call written down as what each party says and hears. The format is in `tests/calls/README.md`.

mod check;
mod media;
mod play;

use self::check::check;
use super::{
    Sim, Verdicts,
    sim::{SERVER_A, SERVER_B, Who},
};
use crate::{
    call::{Cause, Command, Designation, Input, Origin, Side, bridge::CallSettings, failure::Kind},
    media::{MediaEvent, StreamId},
    sip::{Message, NameAddr, Replaces, Status},
};
use std::{collections::BTreeMap, fmt, path::Path, time::Duration};

/// How long a party waits for a message that it expects.
const PATIENCE: Duration = Duration::from_secs(1);

/// A script, read.
#[derive(Clone, Debug)]
pub struct Script {
    name: String,
    lines: Vec<Line>,
    bodies: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Line {
    number: usize,
    words: Vec<String>,
    /// The rest after the first two words, unquoted as it stands: settings of applications.
    rest: String,
}

/// Why a script failed: where, what, and the ladder so far.
#[derive(Debug, thiserror::Error)]
pub struct Broken {
    name: String,
    line: usize,
    what: String,
    ladder: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n{}", self.name, self.line, self.what, self.ladder)
    }
}

/// Makes the application of an `app` line from its name and its settings.
pub type MakeApp<'a> = &'a dyn Fn(&str, &[String]) -> Result<Verdicts, String>;

impl Script {
    /// Reads a script; `sdp NAME` is the file `sdp/NAME.sdp` beside it.
    ///
    /// # Errors
    /// When a file cannot be read or a line is not understood.
    pub fn load(path: &Path) -> Result<Self, String> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut lines = Vec::new();
        let mut bodies = BTreeMap::new();
        for (index, text) in read(path)?.lines().enumerate() {
            let words = words(text).ok_or_else(|| format!("{name}:{}: a quote is not closed", index + 1))?;
            for pair in words
                .windows(2)
                .filter(|pair| pair[0] == "sdp" && !["~", "!~"].contains(&&*pair[1]))
            {
                let file = path.with_file_name("sdp").join(format!("{}.sdp", pair[1]));
                bodies.insert(pair[1].clone(), read(&file)?);
            }
            let rest = text
                .trim()
                .splitn(3, char::is_whitespace)
                .nth(2)
                .unwrap_or_default();
            if !words.is_empty() {
                lines.push(Line {
                    number: index + 1,
                    words,
                    rest: rest.trim().to_owned(),
                });
            }
        }
        Ok(Self { name, lines, bodies })
    }

    /// Plays it.
    ///
    /// # Errors
    /// At the first line whose expectation is not met.
    pub fn run(&self, make: MakeApp<'_>) -> Result<(), Broken> {
        let mut play = Play {
            script: self,
            settings: super::settings(),
            app: ("direct".to_owned(), vec!["as-caller".to_owned()]),
            make,
            sim: None,
            done: false,
        };
        for line in &self.lines {
            play.line(line).map_err(|what| Broken {
                name: self.name.clone(),
                line: line.number,
                what,
                ladder: play.sim.as_ref().map(Sim::ladder).unwrap_or_default(),
            })?;
        }
        if play.done {
            return Ok(());
        }
        Err(Broken {
            name: self.name.clone(),
            line: self.lines.last().map_or(0, |line| line.number),
            what: "expected `done` as the last line".to_owned(),
            ladder: String::new(),
        })
    }
}

/// Splits at white space, outside of `"quotes"`; `\"` and `\r\n` inside are what they say; `#` begins a comment.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            '\\' if quoted => word.push(chars.next()?),
            '#' if !quoted && word.is_empty() => break,
            c if c.is_whitespace() && !quoted => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    (!quoted).then_some(words)
}

fn duration(text: &str) -> Result<Duration, String> {
    let parse = |digits: &str| digits.parse::<u64>().ok();
    let milliseconds = text.strip_suffix("ms").and_then(parse).map(Duration::from_millis);
    milliseconds
        .or_else(|| text.strip_suffix('s').and_then(parse).map(Duration::from_secs))
        .ok_or_else(|| format!("{text:?}: expected a duration such as 20ms or 32s"))
}

/// How far it is.
struct Play<'a> {
    script: &'a Script,
    settings: CallSettings,
    app: (String, Vec<String>),
    make: MakeApp<'a>,
    sim: Option<Sim>,
    done: bool,
}
