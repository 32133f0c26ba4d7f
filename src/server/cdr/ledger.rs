//! The way of records to their file: a bounded queue and one thread, so that no call ever waits for a disk.

use super::{
    Cdr, csv,
    writer::{self, Backlog},
};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::{
    fs::File,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// Records that may wait for the writer, and as many that may wait for the disk.
const QUEUE: usize = 8192;
/// How often a file that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Tries between two lines of the log that say that it still fails.
const REMIND: u32 = 120;

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CdrFile {
    /// The file; made when it is not there, with mode 0640.
    pub path: PathBuf,
    /// How records are written.
    pub format: CdrFormat,
}

/// `cdr-format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CdrFormat {
    /// An object of JSON a line.
    Json,
    /// A line of comma-separated values, under a first line of names.
    Csv,
}

/// A file of records cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be opened: {source}")]
pub struct CdrError {
    /// Which.
    path: String,
    /// Why.
    source: io::Error,
}

impl CdrError {
    fn of(target: &CdrFile) -> impl FnOnce(io::Error) -> Self {
        let path = target.path.display().to_string();
        |source| Self { path, source }
    }
}

/// How it goes with records. Read by whoever shows metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Records in the file.
    pub written: u64,
    /// Records that wait for it.
    pub waiting: usize,
    /// Times that the file did not take what it should.
    pub failed: u64,
    /// Records that went to the log instead, because too many waited or the end came.
    pub diverted: u64,
}

/// Takes records, and never makes anybody wait. A clone is another handle to the same file.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    orders: Sender<Order>,
    /// Where records go from now on; taken by the writer.
    next: Mutex<Option<Option<Opened>>>,
    /// There is a file.
    on: AtomicBool,
    /// Nobody waits any longer: what is left goes to the log.
    given_up: AtomicBool,
    waiting: AtomicUsize,
    written: AtomicU64,
    failed: AtomicU64,
    diverted: AtomicU64,
}

#[derive(Debug)]
struct Opened {
    file: File,
    format: CdrFormat,
    /// Nothing stands in the way of the next record.
    begun: bool,
}

impl Opened {
    /// Writes as much as the file takes; returns how many records were finished, and what it said.
    fn write(&mut self, backlog: &mut Backlog) -> (usize, io::Result<()>) {
        if !self.begun {
            if let Err(error) = writer::begin(&mut self.file, self.format) {
                return (0, Err(error));
            }
            self.begun = true;
        }
        backlog.write(&mut self.file)
    }
}

#[derive(Debug)]
enum Order {
    Record(Box<Cdr>),
    /// Look at what has changed.
    Wake,
    /// Say when all is written that came before.
    Flush(Sender<()>),
}

impl Opened {
    fn new(target: &CdrFile) -> Result<Self, CdrError> {
        Ok(Self {
            file: writer::open(target).map_err(CdrError::of(target))?,
            format: target.format,
            begun: false,
        })
    }
}

/// A file that is open and gets no records yet. Dropped, it changes nothing.
#[derive(Debug)]
pub struct Turn {
    ledger: Ledger,
    opened: Option<Opened>,
}

impl Turn {
    /// From now on records go there; those that wait go there too.
    pub fn commit(self) {
        let Self { ledger, opened } = self;
        ledger.0.on.store(opened.is_some(), Relaxed);
        *ledger.0.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        // Full: then the writer is awake.
        let _ = ledger.0.orders.try_send(Order::Wake);
    }
}

impl Ledger {
    /// Opens the file and starts its writer. `None`: records are made by nobody until [`Self::turn`] says otherwise.
    ///
    /// # Errors
    /// When the file cannot be opened.
    ///
    /// # Panics
    /// When the system gives no thread.
    pub fn open(target: Option<&CdrFile>) -> Result<Self, CdrError> {
        let opened = target.map(Opened::new).transpose()?;
        let (orders, received) = bounded(QUEUE);
        let shared = Arc::new(Shared {
            orders,
            on: AtomicBool::new(opened.is_some()),
            next: Mutex::new(Some(opened)),
            given_up: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            diverted: AtomicU64::new(0),
        });
        let writer = Writer {
            shared: Arc::downgrade(&shared),
            received,
            backlog: Backlog::default(),
            opened: None,
            failures: 0,
            waiters: Vec::new(),
        };
        let thread = thread::Builder::new().name("cdr".into());
        thread
            .spawn(|| writer.run())
            .expect("a thread at the start of the process");
        // A table has its names before there is a record.
        let _ = shared.orders.try_send(Order::Wake);
        Ok(Self(shared))
    }
    /// Opens another file, or the same one anew, as logrotate expects. Records go on to the old one until `Turn::commit`.
    ///
    /// # Errors
    /// When it cannot be opened: then all stays as it was.
    pub fn prepare(&self, target: Option<&CdrFile>) -> Result<Turn, CdrError> {
        Ok(Turn {
            ledger: self.clone(),
            opened: target.map(Opened::new).transpose()?,
        })
    }
    /// From now on records go there: [`Self::prepare`] and `Turn::commit` at once.
    ///
    /// # Errors
    /// When it cannot be opened: then all stays as it was.
    pub fn turn(&self, target: Option<&CdrFile>) -> Result<(), CdrError> {
        self.prepare(target).map(Turn::commit)
    }
    /// Whether anybody wants records.
    pub fn is_on(&self) -> bool {
        self.0.on.load(Relaxed)
    }
    /// Takes a record. Where there is no room it goes to the log: it is not lost.
    pub(super) fn post(&self, record: Cdr) {
        if !self.is_on() {
            return;
        }
        self.0.waiting.fetch_add(1, Relaxed);
        if let Err(refused) = self.0.orders.try_send(Order::Record(Box::new(record))) {
            self.0.waiting.fetch_sub(1, Relaxed);
            if let Order::Record(record) = refused.into_inner() {
                self.0.divert("too many records wait", &json(&record));
            }
        }
    }
    /// Waits until all is written; what is not by then goes to the log. For the end of a process.
    pub fn finish(&self, patience: Duration) {
        let (done, wait) = bounded(1);
        let asked = self.0.orders.send_timeout(Order::Flush(done), patience);
        if asked.is_err() || wait.recv_timeout(patience).is_err() {
            self.0.given_up.store(true, Relaxed);
            let _ = self.0.orders.try_send(Order::Wake);
            let _ = wait.recv_timeout(4 * RETRY);
        }
    }
    /// How it goes.
    pub fn counts(&self) -> LedgerCounts {
        LedgerCounts {
            written: self.0.written.load(Relaxed),
            waiting: self.0.waiting.load(Relaxed),
            failed: self.0.failed.load(Relaxed),
            diverted: self.0.diverted.load(Relaxed),
        }
    }
}

impl Shared {
    fn divert(&self, why: &str, line: &str) {
        self.diverted.fetch_add(1, Relaxed);
        tracing::error!("{why}; not in the file of records: {}", line.trim_end());
    }
}

fn json(record: &Cdr) -> String {
    serde_json::to_string(record).expect("text and numbers, and keys that are text")
}

struct Writer {
    shared: std::sync::Weak<Shared>,
    received: Receiver<Order>,
    backlog: Backlog,
    opened: Option<Opened>,
    /// In a row.
    failures: u32,
    waiters: Vec<Sender<()>>,
}

impl Writer {
    /// Until the last handle has gone.
    #[expect(clippy::disallowed_methods, reason = "a thread of its own waits for a disk")]
    fn run(mut self) {
        loop {
            let idle = self.backlog.len() == 0;
            let order = if idle {
                self.received.recv().map_err(|_| false)
            } else if self.backlog.len() >= QUEUE {
                // No more is taken in: who posts finds the queue full.
                thread::sleep(RETRY);
                Err(true)
            } else {
                self.received
                    .recv_timeout(RETRY)
                    .map_err(|error| error.is_timeout())
            };
            let Some(shared) = self.shared.upgrade() else {
                return;
            };
            self.turn(&shared);
            match order {
                Ok(order) => self.take(order),
                Err(true) => {}
                Err(false) => return,
            }
            while self.backlog.len() < QUEUE
                && let Ok(order) = self.received.try_recv()
            {
                self.take(order);
            }
            self.write(&shared);
        }
    }
    fn turn(&mut self, shared: &Shared) {
        let next = shared.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(next) = next {
            self.opened = next;
            self.backlog.turn();
        }
    }
    fn take(&mut self, order: Order) {
        match order {
            Order::Record(record) => {
                let mut line = match self.opened.as_ref().map(|opened| opened.format) {
                    Some(CdrFormat::Csv) => csv::line(&record),
                    Some(CdrFormat::Json) | None => json(&record),
                };
                line.push('\n');
                self.backlog.push(line);
            }
            Order::Wake => {}
            Order::Flush(done) => self.waiters.push(done),
        }
    }
    fn write(&mut self, shared: &Shared) {
        if let Some(opened) = &mut self.opened {
            let (finished, outcome) = opened.write(&mut self.backlog);
            shared.written.fetch_add(finished as u64, Relaxed);
            shared.waiting.fetch_sub(finished, Relaxed);
            match outcome {
                Ok(()) if self.failures > 0 => {
                    tracing::info!("records are written again, and those that waited");
                    self.failures = 0;
                }
                Ok(()) => {}
                Err(error) => {
                    shared.failed.fetch_add(1, Relaxed);
                    if self.failures.is_multiple_of(REMIND) {
                        tracing::error!(
                            waiting = self.backlog.len(),
                            "records cannot be written, and wait: {error}"
                        );
                    }
                    self.failures = self.failures.saturating_add(1);
                }
            }
        }
        if self.opened.is_none() || shared.given_up.load(Relaxed) {
            for line in self.backlog.take() {
                shared.waiting.fetch_sub(1, Relaxed);
                shared.divert("there is no file any more", &line);
            }
        }
        if self.backlog.len() == 0 {
            for waiter in self.waiters.drain(..) {
                // It may have lost patience.
                let _ = waiter.try_send(());
            }
        }
    }
}
