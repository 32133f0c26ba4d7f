//! How a line gets its keys: with the answer, by a DTLS handshake in a task, or by ZRTP on the media thread itself.

use super::machine::{Machine, now};
use super::{Command, LineId};
use crate::phone::audio::{Side, Talker, Voice};
use crate::phone::crypto::{Key, Protect, Unprotect};
use crate::phone::dtls::Handshake;
use crate::phone::session::Agreed;
use crate::phone::tone::Codec;
use crate::phone::zrtp::{Event, Zrtp};
use std::time::Instant;

impl Machine {
    /// Begins a handshake for a line; its keys come as a command.
    pub(super) fn shake(&mut self, id: LineId, us: Voice, agreed: &Agreed) {
        let (Some(begin), Some(described)) = (agreed.begin_dtls, &agreed.remote.dtls) else {
            return;
        };
        let (remote, codec, commands) = (agreed.remote.rtp, agreed.codec, self.commands.clone());
        let runtime = self.shaking.clone();
        let (Some(line), Some(runtime)) = (self.line(id), runtime) else {
            return;
        };
        let socket = match line.socket.try_clone() {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "a call without a handshake"),
        };
        line.remote = Some(remote);
        // What is refused is lost, and sent again in time.
        let send = move |datagram: &[u8]| drop(socket.send_to(datagram, remote));
        let done = move |keys| match keys {
            Ok(keys) => {
                let keys = Box::new(keys);
                // The thread may have ended.
                let _ = commands.send(Command::Keyed { id, us, codec, keys });
            }
            Err(error) => tracing::warn!(%error, "no keys"),
        };
        let _guard = runtime.enter();
        line.handshake = Some(Handshake::begin(
            begin,
            described.fingerprints.clone(),
            send,
            done,
        ));
    }

    /// A line reads and speaks by these keys from now on.
    pub(super) fn key(
        &mut self,
        id: LineId,
        us: Voice,
        codec: Codec,
        (ours, theirs): (Option<&Key>, Option<&Key>),
    ) {
        let (heard, spoken) = (self.line(id).map(|line| line.them), self.tone(us, codec));
        let heard = heard.map(|them| self.tone(them, codec));
        let (Some(line), Some(heard)) = (self.line(id), heard) else {
            return;
        };
        line.listener.expect_tone(heard);
        line.listener.open(Unprotect::new(theirs));
        // Streams of one run must differ; nothing asks that they be random.
        let ssrc = (us.call << 1 | u32::from(us.side == Side::Callee)).wrapping_mul(0x9e37_79b1);
        line.talker = Some(Talker::new(us, spoken, ssrc, Protect::new(ours)));
    }

    /// Begins ZRTP for a line, whose far end announced this hash.
    pub(super) fn greet(&mut self, id: LineId, us: Voice, agreed: &Agreed) {
        let (Some(hash), Some(line)) = (&agreed.zrtp, self.line(id)) else {
            return;
        };
        line.remote = Some(agreed.remote.rtp);
        line.voice = Some((us, agreed.codec));
        self.agreeing.push(id);
        self.exchange(id, |zrtp, now| {
            if let Err(error) = zrtp.begin(hash, now) {
                tracing::warn!(%error, "no keys");
            }
        });
    }

    /// Does something about a line's ZRTP, and then what comes of it.
    pub(super) fn exchange(&mut self, id: LineId, act: impl FnOnce(&mut Zrtp, Instant)) {
        let Some(line) = self.line(id) else { return };
        let (Some(zrtp), Some(remote), Some((us, codec))) = (&mut line.zrtp, line.remote, line.voice) else {
            return;
        };
        act(zrtp, now());
        let mut keyed = None;
        while let Some(event) = zrtp.poll() {
            match event {
                // What is refused is lost, and sent again in time.
                Event::Send(datagram) => drop(line.socket.send_to(&datagram, remote)),
                Event::Keyed(keys) => keyed = Some(keys),
                Event::Failed(error) => tracing::warn!(%error, "no keys"),
            }
        }
        if let Some(keys) = keyed {
            self.agreeing.retain(|other| *other != id);
            self.key(id, us, codec, (Some(&keys.0), Some(&keys.1)));
            // The engine may be gone.
            let _ = self.tells.keyed.send(id);
        }
    }

    /// Says again what was not answered in time. Once there are keys nothing is.
    pub(super) fn agree_due(&mut self, time: Instant) {
        for id in self.agreeing.clone() {
            let zrtp = self.line(id).and_then(|line| line.zrtp.as_ref());
            if zrtp
                .and_then(|zrtp| zrtp.poll_timeout())
                .is_some_and(|at| at <= time)
            {
                self.exchange(id, Zrtp::handle_timeout);
            }
        }
    }
}
