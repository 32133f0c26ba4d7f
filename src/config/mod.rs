//! Configuration: the flexisip.conf dialect and TOML, read once, all problems in one report.

/// One key of a section, for checking, defaults, `--dump-default` and the sample.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name: lower case with `-`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The default, as one would write it.
    pub default: &'static str,
    /// What it does: sentences for the sample file.
    pub help: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true`, `false`, `1`, `0`.
    Boolean,
    /// A whole number.
    Integer,
    /// `n` or `n-m`, ports.
    PortRange,
    /// A duration; without unit, seconds.
    Seconds,
    /// A duration; without unit, milliseconds.
    Milliseconds,
    /// Words separated by spaces.
    Words,
}
