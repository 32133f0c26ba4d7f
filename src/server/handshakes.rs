//! Drives a call's DTLS handshakes: its commands become associations, their datagrams go to the relay, their keys to the
//! call's inbox.

use super::inbox::Inbox;
use crate::{
    call::{
        Input,
        handshake::{HandshakeCommand, HandshakeId, HandshakeResult},
        media_plan,
    },
    media::{
        MediaCommand, SrtpKeys,
        dtls::{Association, Dtls, Event, Identity, Role, SUITES, Setup, Sink},
        relay::Session,
    },
    sdp::Fingerprint,
};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

/// How long a handshake may take: RFC 6347's four repetitions.
const DEADLINE: Duration = Duration::from_secs(15);
/// A flight that was not answered is sent again: sooner than RFC 6347 §4.2.4.1 says, as it lets real-time applications do.
const RETRANSMIT: Duration = Duration::from_millis(400);

/// What a server's handshakes have in common.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) dtls: Dtls,
    /// Without one no handshake is begun, and nobody was told of one.
    pub(super) identity: Option<Arc<Identity>>,
}

/// The handshakes of one call.
pub(super) struct Handshakes {
    shared: Shared,
    open: HashMap<HandshakeId, Association>,
}

impl Handshakes {
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared,
            open: HashMap::new(),
        }
    }

    /// Does what the call wants. Its media have a session by now: there are no handshakes without ports.
    pub(super) fn obey(&mut self, command: HandshakeCommand, session: Option<&Arc<Session>>, inbox: &Inbox) {
        match command {
            HandshakeCommand::Begin {
                id,
                role,
                with,
                fingerprints,
            } => {
                let session = session.map(Arc::downgrade).unwrap_or_default();
                if let Err(why) = self.begin(id, role, fingerprints, sink(id, with, session, inbox.clone())) {
                    let outcome = Err(why);
                    inbox.push(Input::Handshake(HandshakeResult { id, outcome }));
                }
            }
            HandshakeCommand::Datagram { id, bytes } => {
                if let Some(association) = self.open.get(&id) {
                    association.receive(&bytes);
                }
            }
            HandshakeCommand::End(id) => {
                if let Some(association) = self.open.remove(&id) {
                    association.close();
                }
            }
        }
    }

    fn begin(
        &mut self,
        id: HandshakeId,
        role: media_plan::Role,
        fingerprints: Vec<Fingerprint>,
        sink: Sink,
    ) -> Result<(), String> {
        let identity = self.shared.identity.clone();
        let setup = Setup {
            identity: identity.ok_or("there is no certificate")?,
            role: match role {
                media_plan::Role::Client => Role::Client,
                media_plan::Role::Server => Role::Server,
            },
            fingerprints,
            suites: SUITES.to_vec(),
            deadline: DEADLINE,
            retransmit: RETRANSMIT,
        };
        let association = self.shared.dtls.begin(setup, sink);
        self.open
            .insert(id, association.map_err(|error| error.to_string())?);
        Ok(())
    }
}

/// Where a handshake's events go. It holds nothing of the call: a task that outlives it speaks to nobody.
fn sink(id: HandshakeId, with: SocketAddr, session: Weak<Session>, inbox: Inbox) -> Sink {
    Arc::new(move |event| {
        let outcome = match event {
            Event::Transmit(bytes) => {
                if let Some(session) = session.upgrade() {
                    session.send(MediaCommand::Send {
                        side: id.side,
                        stream: id.stream,
                        component: id.component,
                        bytes,
                        to: with,
                    });
                }
                return;
            }
            Event::Keyed(keys) => Ok(SrtpKeys {
                send: keys.send,
                receive: keys.receive,
            }),
            Event::Failed(error) => Err(error.to_string()),
        };
        inbox.push(Input::Handshake(HandshakeResult { id, outcome }));
    })
}
