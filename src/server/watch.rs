//! Notices targets that do not answer, or ask to be left alone.

use crate::{
    call::Transmit,
    sip::{
        Message, Status,
        routing::{Destination, Target},
    },
};
use std::time::Duration;

/// For how long whoever sent this wants no requests: a 503 with `Retry-After` (RFC 3261 §21.5.4).
pub(super) fn busy_for(message: &Message) -> Option<Duration> {
    match message {
        Message::Response(response) if response.status == Status::SERVICE_UNAVAILABLE => {
            response.headers.retry_after()
        }
        Message::Response(_) | Message::Request(_) => None,
    }
}

/// Where leg B's INVITE was last sent, and whether anything came back.
#[derive(Default)]
pub(super) struct Watch {
    tried: Option<Target>,
    heard: bool,
}

impl Watch {
    /// Something came from leg B.
    pub(super) fn heard(&mut self) {
        self.heard = true;
    }
    /// An INVITE goes out. When it goes elsewhere than the one before, and nothing came back from there, that target is dead.
    pub(super) fn invited(&mut self, transmit: &Transmit) -> Option<Target> {
        let Destination::Target(target) = &transmit.to else {
            return None;
        };
        if self.tried.as_ref() == Some(target) {
            return None;
        }
        let before = self.tried.replace(target.clone());
        let heard = std::mem::take(&mut self.heard);
        before.filter(|_| !heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::routing::Transport;

    fn to(port: u16) -> Transmit {
        Transmit {
            bytes: "INVITE ".into(),
            to: Destination::Target(Target {
                transport: Transport::Udp,
                remote: ([192, 0, 2, 1], port).into(),
                server_name: None,
                local: [192, 0, 2, 2].into(),
                sent_by: "192.0.2.2:5060".into(),
                fixed_transport: false,
                own: None,
            }),
        }
    }

    #[test]
    fn who_never_answered_is_dead_when_the_next_is_tried() {
        let mut watch = Watch::default();
        assert_eq!(watch.invited(&to(1)), None);
        assert_eq!(watch.invited(&to(1)), None, "a retransmission");
        assert_eq!(watch.invited(&to(2)).map(|dead| dead.remote.port()), Some(1));
    }

    #[test]
    fn who_answered_503_is_not_dead() {
        let mut watch = Watch::default();
        watch.invited(&to(1));
        watch.heard();
        assert_eq!(watch.invited(&to(2)), None);
    }
}
