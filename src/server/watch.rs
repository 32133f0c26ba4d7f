//! Notices targets that do not answer.

use crate::{
    call::Transmit,
    sip::routing::{Destination, Target},
};

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
