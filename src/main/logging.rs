//! Where the log goes: standard output, a file that is opened anew at SIGHUP, syslog.

use b2bua::{
    config::{Global, LogLevel},
    server::plain::Entry,
    sip::masked,
};
use std::{
    fmt::{Debug, Write as _},
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Write},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    Layer, Registry,
    field::MakeExt as _,
    filter::{LevelFilter, Targets},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

/// What of logging can be changed while it runs.
pub(crate) struct Logging {
    level: reload::Handle<Targets, Registry>,
    /// Only with `--syslog`.
    syslog_level: Option<reload::Handle<Targets, Registry>>,
    file: Option<LogFile>,
    debug: bool,
}

/// What the command line says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// `-d`: debug, whatever the configuration says.
    pub(crate) debug: bool,
    /// Not with `--disable-stdout`.
    pub(crate) stdout: bool,
    /// `--syslog`
    pub(crate) syslog: bool,
}

impl Logging {
    /// Starts it.
    ///
    /// # Errors
    /// When the log file cannot be opened or syslog is not there: the setting at fault and why.
    pub(crate) fn start(global: &Global, choice: Choice) -> Result<Self, String> {
        let file = global.log_directory.as_ref().zip(global.log_filename.as_ref());
        let file = file
            .map(|(folder, name)| LogFile::open(folder.join(name.replace("{server}", "b2bua"))))
            .transpose()?;
        let syslog = choice.syslog.then(Syslog::connect).transpose()?;
        let (level, level_handle) = reload::Layer::new(targets(global.log_level, choice.debug));
        let sinks = Sinks {
            stdout: choice.stdout,
            file: file.clone(),
        };
        // Colours are for people at a terminal, and would stand in the file as well.
        let ansi = choice.stdout && file.is_none() && io::stdout().is_terminal();
        let lines = fmt::layer()
            .with_ansi(ansi)
            .fmt_fields(fields())
            .with_writer(sinks);
        let lines = lines.with_filter(level);
        let mut layers = vec![lines.boxed()];
        let syslog_level = syslog.map(|syslog| {
            let (level, handle) = reload::Layer::new(targets(global.syslog_level, false));
            let lines = fmt::layer().with_ansi(false).without_time().with_level(false);
            let lines = lines.fmt_fields(fields());
            layers.push(lines.with_writer(syslog).with_filter(level).boxed());
            handle
        });
        tracing_subscriber::registry()
            .with(layers)
            .try_init()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            level: level_handle,
            syslog_level,
            file,
            debug: choice.debug,
        })
    }

    /// Opens the log file anew (after logrotate moved it). What is logged goes to the old one until [`Self::turn`].
    ///
    /// # Errors
    /// When the file cannot be opened; the old one stays open.
    pub(crate) fn prepare(&self) -> Result<Option<File>, String> {
        self.file
            .as_ref()
            .map(|file| LogFile::append_to(&file.path))
            .transpose()
    }

    /// Goes on in a file that [`Self::prepare`] opened, at the levels of a configuration.
    pub(crate) fn turn(&self, prepared: Option<File>, global: &Global) {
        let set = |handle: &reload::Handle<_, _>, targets| {
            if let Err(error) = handle.reload(targets) {
                eprintln!("the log is gone: {error}");
            }
        };
        set(&self.level, targets(global.log_level, self.debug));
        if let Some(handle) = &self.syslog_level {
            set(handle, targets(global.syslog_level, false));
        }
        if let (Some(log), Some(file)) = (&self.file, prepared) {
            *log.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        }
    }
}

/// What is in an entry: words of strangers among it, none of which may pass for an entry or steer a terminal.
fn fields() -> impl for<'writer> fmt::FormatFields<'writer> + Send + Sync + 'static {
    let field = |out: &mut fmt::format::Writer<'_>, field: &tracing::field::Field, value: &dyn Debug| {
        // Whoever writes a URI with a password in it does not find it here again.
        let shown = format!("{value:?}");
        let shown = masked(shown.as_bytes());
        let shown = String::from_utf8_lossy(&shown);
        let mut entry = Entry::new(out);
        match field.name() {
            "message" => write!(entry, "{shown}"),
            name => write!(entry, "{name}={shown}"),
        }
    };
    fmt::format::debug_fn(field).delimited(" ")
}

/// Our own words at the level asked for; of libraries no more than warnings.
fn targets(level: LogLevel, debug: bool) -> Targets {
    let level = if debug {
        Level::DEBUG.max(level.into())
    } else {
        level.into()
    };
    Targets::new()
        .with_target("b2bua", level)
        // It warns of every extension and record that it does not know: what a stranger sends does not fill the log. What
        // becomes of a handshake we say ourselves.
        .with_target("webrtc_dtls", LevelFilter::OFF)
        .with_default(LevelFilter::WARN.min(LevelFilter::from_level(level)))
}

/// A log file that can be opened anew.
#[derive(Clone)]
struct LogFile {
    path: Arc<PathBuf>,
    file: Arc<Mutex<File>>,
}

impl LogFile {
    fn open(path: PathBuf) -> Result<Self, String> {
        let file = Self::append_to(&path)?;
        Ok(Self {
            path: Arc::new(path),
            file: Arc::new(Mutex::new(file)),
        })
    }

    fn append_to(path: &PathBuf) -> Result<File, String> {
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
        folder
            .and_then(|()| OpenOptions::new().create(true).append(true).open(path))
            .map_err(|error| {
                format!(
                    "global/log-directory: {} cannot be opened: {error}",
                    path.display()
                )
            })
    }
}

/// Standard output and the log file, as far as there are such.
struct Sinks {
    stdout: bool,
    file: Option<LogFile>,
}

impl<'a> MakeWriter<'a> for Sinks {
    type Writer = &'a Self;
    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Sinks {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.stdout {
            io::stdout().write_all(line)?;
        }
        if let Some(file) = &self.file {
            let mut file = file.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(line)?;
        }
        Ok(line.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The local syslog daemon (RFC 3164's form, as glibc writes it).
struct Syslog {
    socket: UnixDatagram,
}

/// One line for syslog.
struct SyslogLine<'a> {
    socket: &'a UnixDatagram,
    severity: u8,
}

const SOCKET: &str = "/dev/log";
/// `LOG_USER`, shifted as it stands in a priority.
const FACILITY: u8 = 1 << 3;

impl Syslog {
    fn connect() -> Result<Self, String> {
        let connected = UnixDatagram::unbound().and_then(|socket| {
            socket.connect(SOCKET)?;
            // A syslog daemon that hangs must not take calls with it.
            socket.set_nonblocking(true)?;
            Ok(Self { socket })
        });
        connected.map_err(|error| format!("--syslog: {SOCKET} cannot be reached: {error}"))
    }
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = SyslogLine<'a>;
    fn make_writer(&'a self) -> SyslogLine<'a> {
        SyslogLine {
            socket: &self.socket,
            severity: 6,
        }
    }
    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> SyslogLine<'a> {
        let severity = match *meta.level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        SyslogLine {
            severity,
            ..self.make_writer()
        }
    }
}

impl Write for SyslogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut line = format!("<{}>b2bua[{}]: ", FACILITY | self.severity, std::process::id()).into_bytes();
        line.extend_from_slice(bytes.trim_ascii_end());
        // A full or absent daemon loses the line; standard output and the file still have it.
        let _ = self.socket.send(&line);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a log writes.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Acceptance #29.
    #[test]
    fn acceptance_29_a_strangers_word_passes_for_no_entry_and_steers_no_terminal() {
        let paper = Paper::default();
        let written = paper.clone();
        let lines = fmt::layer()
            .with_ansi(false)
            .fmt_fields(fields())
            .with_writer(move || written.clone());
        let log = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(log, || {
            let span = tracing::info_span!("call", id = 7, name = %"x\ny");
            let _inside = span.enter();
            let evil = "a\r\n2026-11-21T00:00:00Z  INFO forged\0\u{1b}[2J\u{85}\u{2028}z";
            tracing::info!(target = %evil, quoted = evil, "calling {evil}");
            tracing::info!(
                from = "sip:bob:SECRET@example.org",
                "<sip:bob:SECRET@example.org>"
            );
        });
        let text = paper.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(text).expect("a log is text");
        assert_eq!(text.matches("forged").count(), 3, "{text}");
        assert_eq!(text.matches("sip:bob:<hidden>@example.org").count(), 2, "{text}");
        assert!(!text.contains("SECRET"), "{text}");
        assert!(text.contains("call{id=7 "), "{text}");
        // Each of the two entries begins a line; all else in them is behind a tab.
        let entries: Vec<_> = text.lines().filter(|line| !line.starts_with('\t')).collect();
        assert_eq!(entries.len(), 2, "{text}");
        assert!(
            entries.iter().all(|entry| entry.contains(" INFO call{id=7 ")),
            "{text}"
        );
        let steers = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
        assert!(!text.contains(steers) && !text.contains('\u{2028}'), "{text:?}");
    }
}
