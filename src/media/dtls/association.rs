//! A handshake as whoever began it holds it, while it lasts and afterwards.

use super::{
    DtlsError, Event, MAX_DATAGRAM, Role, Setup, Sink,
    admission::{Admission, Place},
    gate::Gate,
    handshake::{self, Stage, Turn},
    pipe::Pipe,
    record::{Content, records},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::mpsc, task::AbortHandle, time::timeout};

/// Datagrams that may wait for a handshake; it works them off faster than a flight can come.
const MOST_WAITING: usize = 32;
/// How often the last flight is sent again. A peer that lost it asks once a second or, backing off, ever more seldom.
const MOST_REPEATED: u32 = 32;

/// One DTLS association. While the handshake lasts its task works; afterwards nothing is left of it but two or three
/// datagrams: our last flight, for a peer that did not get it (RFC 6347 §4.2.4), and a close_notify for the end. Dropping it ends
/// a handshake that is not over, in silence.
///
/// After the handshake everything else that comes is ignored: application data, since RFC 5764 §3 has none; a new
/// ClientHello, since a new association is agreed on by new descriptions; and alerts, because the end of a stream is SIP's
/// to say.
pub struct Association {
    incoming: mpsc::Sender<Vec<u8>>,
    after: Arc<Mutex<After>>,
    sink: Sink,
    role: Role,
    task: AbortHandle,
}

/// What is left of a handshake that is over.
#[derive(Debug, Default)]
struct After {
    keyed: bool,
    last_flight: Vec<Vec<u8>>,
    repeated: u32,
    close_notify: Vec<u8>,
}

impl Association {
    pub(super) fn begin(setup: Setup, sink: Sink, admission: Arc<Admission>, place: Place) -> Self {
        let (incoming, queue) = mpsc::channel(MOST_WAITING);
        let role = setup.role;
        let after = Arc::new(Mutex::new(After::default()));
        let work = work(setup, sink.clone(), queue, admission, after.clone());
        let work = async move {
            work.await;
            drop(place);
        };
        Self {
            incoming,
            after,
            sink,
            role,
            task: tokio::spawn(work).abort_handle(),
        }
    }
    /// Takes a datagram from the peer. Never blocks: what finds no room is lost, as it may be on any path.
    pub fn receive(&self, datagram: &[u8]) {
        if datagram.len() > MAX_DATAGRAM {
            return;
        }
        let mut after = lock(&self.after);
        if after.keyed {
            after.repeat(self.role, datagram, &self.sink);
        } else {
            drop(after);
            // Full, or the handshake has failed.
            let _ = self.incoming.try_send(datagram.to_vec());
        }
    }
    /// Ends the association: the peer is told by close_notify if the handshake was completed (RFC 5764 §3).
    pub fn close(self) {
        let close_notify = std::mem::take(&mut lock(&self.after).close_notify);
        if !close_notify.is_empty() {
            (self.sink)(Event::Transmit(close_notify));
        }
    }
}

impl Drop for Association {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Association")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl After {
    /// As the server we have sent the last flight: who repeats its own has not got ours.
    fn repeat(&mut self, role: Role, datagram: &[u8], sink: &Sink) {
        let asks = role == Role::Server && records(datagram).any(|record| of_last_flight(&record));
        if asks && self.repeated < MOST_REPEATED {
            self.repeated += 1;
            for datagram in &self.last_flight {
                sink(Event::Transmit(datagram.clone()));
            }
        }
    }
}

/// Whether it is of a client's last flight: Certificate to Finished.
fn of_last_flight(record: &super::record::Record<'_>) -> bool {
    match (record.content, record.epoch) {
        (Content::Handshake, 1) | (Content::ChangeCipherSpec, 0) => true,
        (Content::Handshake, 0) => record
            .fragments()
            .any(|fragment| matches!(fragment.kind, 11 | 15 | 16)),
        _ => false,
    }
}

fn lock(after: &Mutex<After>) -> MutexGuard<'_, After> {
    after.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task of a handshake.
async fn work(
    setup: Setup,
    sink: Sink,
    queue: mpsc::Receiver<Vec<u8>>,
    admission: Arc<Admission>,
    after: Arc<Mutex<After>>,
) {
    let pipe = Arc::new(Pipe::new(Gate::new(setup.role), sink.clone(), queue));
    let turn = Turn::default();
    #[expect(clippy::disallowed_methods, reason = "a driver: the deadline")]
    let result = timeout(setup.deadline, handshake::run(&setup, &pipe, &admission, &turn)).await;
    let result = result.unwrap_or_else(|_| {
        Err(match turn.now() {
            Stage::Queued => DtlsError::Busy(setup.deadline),
            Stage::Waiting | Stage::Begun => DtlsError::Timeout {
                within: setup.deadline,
                role: setup.role,
                heard: pipe.heard(),
            },
        })
    });
    admission.counts().note(result.as_ref().map(|_| ()));
    match result {
        Ok(keys) => {
            let (last_flight, close_notify) = pipe.remains();
            {
                let mut after = lock(&after);
                after.keyed = true;
                after.last_flight = last_flight;
                after.close_notify = close_notify;
            }
            sink(Event::Keyed(Box::new(keys)));
            for datagram in pipe.left_over().await {
                lock(&after).repeat(setup.role, &datagram, &sink);
            }
        }
        Err(error) => sink(Event::Failed(error)),
    }
}
