//! DTLS: datagrams of strangers, before and in the middle of genuine handshakes.

use crate::media::dtls::{Association, Dtls, Event, Identity, Limits, Role, SUITES, Setup};
use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};
use tokio::sync::mpsc;

static IDENTITY: LazyLock<Arc<Identity>> = LazyLock::new(|| {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    Arc::new(Identity::ephemeral(then).expect("the system gives randomness"))
});

/// A handshake of ours with ours, on virtual time, with somebody on the path who drops, doubles, changes and invents
/// datagrams. Both sides come to exactly one result, keys are the same on both, and nothing panics.
///
/// Each step is one octet, whose low bits say which of these it is: 0 to 2 the next datagram arrives, 3 it is lost, 4 it arrives
/// twice, 5 the next that follow become one octet of it (two octets: where, with what), 6 and 7 what follows (one octet of length)
/// arrives at the client or the server.
pub fn dtls_records(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O");
    runtime.block_on(handshake(data));
}

struct Party {
    association: Association,
    events: mpsc::UnboundedReceiver<Event>,
    result: Option<Option<Box<crate::media::dtls::DtlsKeys>>>,
}

impl Party {
    fn begin(dtls: &Dtls, role: Role) -> Self {
        let (said, events) = mpsc::unbounded_channel();
        let setup = Setup {
            identity: IDENTITY.clone(),
            role,
            fingerprints: IDENTITY.fingerprints().to_vec(),
            suites: SUITES.to_vec(),
            deadline: Duration::from_secs(3),
            retransmit: Duration::from_millis(500),
        };
        let sink = Arc::new(move |event| drop(said.send(event)));
        let association = dtls.begin(setup, sink).expect("the first ones");
        Self {
            association,
            events,
            result: None,
        }
    }
    /// What it has said; datagrams go on the path.
    fn hear(&mut self, path: &mut VecDeque<Vec<u8>>) {
        while let Ok(event) = self.events.try_recv() {
            let result = match event {
                Event::Transmit(datagram) => {
                    path.push_back(datagram);
                    continue;
                }
                Event::Keyed(keys) => Some(keys),
                Event::Failed(_) => None,
            };
            assert!(self.result.is_none(), "a second result");
            self.result = Some(result);
        }
    }
}

async fn handshake(mut data: &[u8]) {
    let dtls = Dtls::new(Limits::default());
    let mut client = Party::begin(&dtls, Role::Client);
    let mut server = Party::begin(&dtls, Role::Server);
    // To the client, to the server.
    let (mut to_client, mut to_server) = (VecDeque::new(), VecDeque::new());
    let mut injected = 0;
    while client.result.is_none() || server.result.is_none() {
        settle().await;
        client.hear(&mut to_server);
        server.hear(&mut to_client);
        let step = take(&mut data, 1).first().map_or(0, |step| step & 7);
        if step >= 6 && injected < 64 {
            injected += 1;
            let length = take(&mut data, 1)
                .first()
                .map_or(0, |&length| usize::from(length));
            let party = if step == 6 { &client } else { &server };
            party.association.receive(take(&mut data, length));
            continue;
        }
        let (party, next) = match to_server.pop_front() {
            Some(datagram) => (&server, Some(datagram)),
            None => (&client, to_client.pop_front()),
        };
        let Some(mut datagram) = next else {
            // Nothing is on its way: time passes until something is.
            wait().await;
            continue;
        };
        match step {
            3 => {}
            4 => {
                party.association.receive(&datagram);
                party.association.receive(&datagram);
            }
            5 => {
                if let &[at, with] = take(&mut data, 2) {
                    let at = usize::from(at) * datagram.len() / 256;
                    datagram[at] = with;
                }
                party.association.receive(&datagram);
            }
            _ => party.association.receive(&datagram),
        }
    }
    if let (Some(Some(client)), Some(Some(server))) = (&client.result, &server.result) {
        assert!(
            client.send == server.receive && client.receive == server.send,
            "keys that do not fit"
        );
    }
    assert_eq!(dtls.counts().faults(), 0, "a panic in a handshake");
    settle().await;
    assert_eq!(dtls.counts().open(), 0);
}

fn take<'a>(data: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = data.split_at(length.min(data.len()));
    *data = rest;
    taken
}

/// Lets every task do what it can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "on virtual time")]
async fn wait() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}
