//! Digits and requests for pictures that a leg says in INFO and the other has in its media, and the other way round.

use super::*;
use crate::call::{
    digit,
    signal::{Payload, without_asker},
};
use crate::sip::{Headers, Method};

/// Keys that are kept until the call is up: more than anybody presses while a 2xx is on its way.
const MOST_EARLY: usize = 16;

/// Keys of a callee whose answer has not come: it believes that the call is up, and may be right.
#[derive(Debug, Default)]
pub(super) struct EarlyKeys(VecDeque<(Instant, u8)>);

impl EarlyKeys {
    fn press(&mut self, event: u8, now: Instant) {
        if self.0.len() >= MOST_EARLY {
            tracing::debug!("more keys than are kept before the answer");
            return;
        }
        self.0.push_back((now, event));
    }
    /// Its callee is not the one that the call is with.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Call {
    /// Carries a request across.
    pub(super) fn forward(&mut self, from: Side, mut payload: Payload, env: &mut Env<'_>) {
        payload.headers = self.crossing(payload.headers);
        if !self.becomes_media(from, &payload, env) {
            self.tell(from.other(), Signal::Request(payload), env);
        }
    }
    /// What of the header fields crosses, by what the application has said of the route.
    pub(super) fn crossing(&self, headers: Headers) -> Headers {
        if self.current.as_ref().is_some_and(|route| route.private) {
            return without_asker(&headers);
        }
        headers
    }
    /// Takes an INFO that is to become something in the media of the other leg. `false`: it crosses as it is.
    fn becomes_media(&mut self, from: Side, payload: &Payload, env: &mut Env<'_>) -> bool {
        let side = from.other();
        let command = if let Some(digit) = digit::read(payload) {
            let stream = self.media.digits(side);
            stream.map(|stream| MediaCommand::Digit { side, stream, digit })
        } else if digit::wants_picture(payload) {
            // RFC 5168, for whom RTCP can say it.
            let stream = self.media.asks_for_pictures(side);
            stream.map(|stream| MediaCommand::Picture { side, stream })
        } else {
            None
        };
        let Some(command) = command else {
            return false;
        };
        self.command(vec![command]);
        self.tell(from, Signal::Response(Status::OK, payload.without_body()), env);
        true
    }
    /// A digit came in the media of a leg whose other leg has none there.
    pub(super) fn digit_heard(&mut self, side: Side, event: u8, env: &mut Env<'_>) {
        match (&self.phase, side) {
            (Phase::Up, _) => self.tell_digit(side, event, env),
            (Phase::Dialling, Side::B) => self.early_keys.press(event, env.now),
            _ => {}
        }
    }
    fn tell_digit(&mut self, side: Side, event: u8, env: &mut Env<'_>) {
        let Some((headers, body)) = digit::write(event) else {
            return;
        };
        let info = Payload::new(Method::Info, headers, body);
        self.tell(side.other(), Signal::Request(info), env);
    }
    /// The call is up: what the callee has pressed since its answer may have left it (RFC 3261 §13.3.1.4) is told.
    pub(super) fn tell_early_keys(&mut self, env: &mut Env<'_>) {
        let longest = self.settings.profile.timers.t1_64();
        for (at, event) in std::mem::take(&mut self.early_keys.0) {
            if at + longest > env.now {
                self.tell_digit(Side::B, event, env);
            }
        }
    }
}
