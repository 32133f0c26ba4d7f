//! Two parties and a path between them that loses, doubles and reorders, on virtual time.

use crate::{
    media::dtls::{
        Association, Dtls, DtlsError, DtlsKeys, Event, Identity, Limits, Role, SUITES, Setup, Sink,
        record::{Record, records},
    },
    sip::Ids,
};
use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};
use tokio::sync::mpsc;

/// What is said and by whom.
type Said = (Role, Event);

/// How bad the path is, in percent, and how long it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) delay: Duration,
    /// Up to that much more, each datagram for itself: they overtake each other.
    pub(super) jitter: Duration,
}

pub(super) const FAIR: Weather = Weather {
    lost: 0,
    doubled: 0,
    delay: Duration::from_millis(10),
    jitter: Duration::ZERO,
};

/// What is sent instead of a record.
pub(super) type Edit = fn(&Record<'_>) -> Vec<u8>;

pub(super) struct Rig {
    pub(super) dtls: Dtls,
    pub(super) client: Option<Association>,
    pub(super) server: Option<Association>,
    events: mpsc::UnboundedReceiver<Said>,
    pub(super) results: Results,
    /// Every datagram that was sent.
    pub(super) sent: Vec<(Role, Vec<u8>)>,
    weather: Weather,
    ids: Ids,
    /// What becomes of a record that the client sends.
    pub(super) edit: Option<Edit>,
    path: Vec<(tokio::time::Instant, Role, Vec<u8>)>,
}

#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) client: Option<Result<DtlsKeys, DtlsError>>,
    pub(super) server: Option<Result<DtlsKeys, DtlsError>>,
}

/// Virtual time.
pub(super) fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Made once. Nobody looks at the dates.
fn identity() -> Arc<Identity> {
    Arc::new(Identity::ephemeral(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)).unwrap())
}

pub(super) static CLIENT: LazyLock<Arc<Identity>> = LazyLock::new(identity);
pub(super) static SERVER: LazyLock<Arc<Identity>> = LazyLock::new(identity);

/// What a side is set up with when all is well.
pub(super) fn setup(role: Role) -> Setup {
    let (ours, theirs) = match role {
        Role::Client => (&CLIENT, &SERVER),
        Role::Server => (&SERVER, &CLIENT),
    };
    Setup {
        identity: LazyLock::force(ours).clone(),
        role,
        fingerprints: theirs.fingerprints().to_vec(),
        suites: SUITES.to_vec(),
        deadline: Duration::from_secs(20),
        retransmit: Duration::from_millis(500),
    }
}

impl Rig {
    pub(super) fn new(client: Option<Setup>, server: Option<Setup>, weather: Weather, seed: u64) -> Self {
        let dtls = Dtls::new(Limits::default());
        let (said, events) = mpsc::unbounded_channel();
        let begin = |setup: Option<Setup>| {
            setup.map(|setup| {
                let (said, role) = (said.clone(), setup.role);
                let sink: Sink = Arc::new(move |event| drop(said.send((role, event))));
                dtls.begin(setup, sink).unwrap()
            })
        };
        let (server, client) = (begin(server), begin(client));
        Self {
            dtls,
            client,
            server,
            events,
            results: Results::default(),
            sent: Vec::new(),
            weather,
            ids: Ids::seeded(seed),
            edit: None,
            path: Vec::new(),
        }
    }
    pub(super) fn fair(client: Setup, server: Setup) -> Self {
        Self::new(Some(client), Some(server), FAIR, 1)
    }
    /// Hands a datagram to the other side, after the path's time.
    pub(super) fn post(&mut self, from: Role, datagram: Vec<u8>) {
        let datagram = match self.edit {
            Some(edit) if from == Role::Client => {
                records(&datagram).flat_map(|record| edit(&record)).collect()
            }
            _ => datagram,
        };
        let now = now();
        let mut chance = |percent: u64| self.ids.below(100) < percent;
        if chance(self.weather.lost) {
            return;
        }
        let copies = if chance(self.weather.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = self.ids.below(self.weather.jitter.as_millis() as u64 + 1);
            let at = now + self.weather.delay + Duration::from_millis(jitter);
            self.path.push((at, from, datagram.clone()));
        }
    }
    /// What is on its way is lost.
    pub(super) fn lose_all(&mut self) {
        self.path.clear();
    }
    fn take(&mut self, (role, event): Said) {
        let result = match role {
            Role::Client => &mut self.results.client,
            Role::Server => &mut self.results.server,
        };
        match event {
            Event::Transmit(datagram) => {
                self.sent.push((role, datagram.clone()));
                self.post(role, datagram);
            }
            Event::Keyed(keys) => {
                assert!(result.is_none(), "a second result: {role:?}");
                *result = Some(Ok(*keys));
            }
            Event::Failed(error) => {
                assert!(result.is_none(), "a second result: {role:?}");
                *result = Some(Err(error));
            }
        }
    }
    /// Lets time pass until all who take part have a result, and then for as long as given.
    pub(super) async fn run(&mut self, afterwards: Duration) {
        while (self.client.is_some() && self.results.client.is_none())
            || (self.server.is_some() && self.results.server.is_none())
        {
            self.step(Duration::from_secs(3600)).await;
        }
        self.pass(afterwards).await;
    }
    pub(super) async fn pass(&mut self, time: Duration) {
        let end = now() + time;
        while now() < end {
            self.step(end - now()).await;
        }
    }
    async fn step(&mut self, most: Duration) {
        let next = self.path.iter().map(|(at, ..)| *at).min();
        let end = now() + most;
        tokio::select! {
            biased;
            Some(said) = self.events.recv() => self.take(said),
            () = tokio::time::sleep_until(next.unwrap_or(end).min(end)) => {}
        }
        let now = now();
        let (due, later): (Vec<_>, _) = std::mem::take(&mut self.path)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.path = later;
        for (_, from, datagram) in due {
            let to = match from {
                Role::Client => &self.server,
                Role::Server => &self.client,
            };
            if let Some(association) = to {
                association.receive(&datagram);
            }
        }
    }
    /// Both have keys that fit; gives the client's.
    pub(super) fn agreed(&self) -> &DtlsKeys {
        let (Some(Ok(client)), Some(Ok(server))) = (&self.results.client, &self.results.server) else {
            panic!("no keys: {:?}", self.results);
        };
        assert_eq!(client.send, server.receive);
        assert_eq!(client.receive, server.send);
        assert_ne!(client.send, client.receive);
        client
    }
}
