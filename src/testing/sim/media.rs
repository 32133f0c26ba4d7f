//! Whether what two phones have understood fits what the relay was told.

use super::Sim;
use crate::{
    media::Protection,
    testing::{
        Phone,
        phone::{View, is_key},
    },
};

impl Sim {
    /// Whether each phone may send what the other will hear, the relay sends it where that phone is, and both know the key.
    ///
    /// # Panics
    /// When not, with the ladder.
    pub fn assert_media(&self, a: &Phone, b: &Phone) {
        let count = a.views.len().max(b.views.len());
        for index in 0..count {
            self.check_flow(a, b, index);
            self.check_flow(b, a, index);
        }
    }
    fn check_flow(&self, from: &Phone, to: &Phone, index: usize) {
        let nothing = View::default();
        let sent = from.views.get(index).unwrap_or(&nothing);
        let heard = to.views.get(index).unwrap_or(&nothing);
        let place = || format!("stream {index} from {:?}\n{}", from.side, self.ladder());
        assert_eq!(
            sent.sends,
            heard.receives,
            "one may send, the other listens: {}",
            place()
        );
        if !sent.sends {
            return;
        }
        let relay = &self.relay;
        let entry = relay
            .side(from.side, index)
            .unwrap_or_else(|| panic!("no flow in: {}", place()));
        let exit = relay
            .side(to.side, index)
            .unwrap_or_else(|| panic!("no flow out: {}", place()));
        let port = relay.ports.get(&(from.side, crate::media::StreamId(index)));
        assert_eq!(sent.to.as_ref(), port, "sends to our port: {}", place());
        let home = std::net::SocketAddr::new(to.rtp.ip(), to.rtp.port() + 2 * index as u16);
        assert_eq!(
            exit.remote.rtp,
            Some(home),
            "goes where the other is: {}",
            place()
        );
        let agreed = |phone: &Phone| {
            let place = (
                phone.side,
                crate::media::StreamId(index),
                crate::media::Component::Rtp,
            );
            self.handshakes.keys.get(&place).cloned()
        };
        if from.dtls.is_some() {
            let expected = agreed(from).map(|keys| Protection::Srtp(keys.receive));
            assert_eq!(Some(&entry.receive), expected.as_ref(), "{}", place());
        }
        if to.dtls.is_some() {
            let expected = agreed(to).map(|keys| Protection::Srtp(keys.send));
            assert_eq!(Some(&exit.send), expected.as_ref(), "{}", place());
        }
        match (&entry.receive, &from.secure) {
            _ if from.dtls.is_some() => {}
            (Protection::Srtp(key), _)
                if from
                    .zrtp
                    .as_ref()
                    .is_some_and(|zrtp| zrtp.send.get(&index) == Some(key)) => {}
            (other, _) if from.zrtp.is_some() => panic!("opened with {other:?}: {}", place()),
            (Protection::Clear, None) => {}
            (Protection::Srtp(key), Some(_)) if is_key(key, from.own_key().as_ref()) => {}
            (other, _) => panic!("opened with {other:?}: {}", place()),
        }
        match (&exit.send, &to.secure) {
            _ if to.dtls.is_some() => {}
            (Protection::Srtp(key), _)
                if to
                    .zrtp
                    .as_ref()
                    .is_some_and(|zrtp| zrtp.receive.get(&index) == Some(key)) => {}
            (other, _) if to.zrtp.is_some() => panic!("sealed with {other:?}: {}", place()),
            (Protection::Clear, None) => {}
            (Protection::Srtp(key), Some(_)) if is_key(key, heard.key.as_ref()) => {}
            (other, _) => panic!("sealed with {other:?}: {}", place()),
        }
    }
}
