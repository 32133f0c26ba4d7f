//! Digits and requests for pictures that a leg says in INFO and the other has in its media, and the other way round.

use super::*;
use crate::call::{
    digit,
    signal::{Payload, without_asker},
};
use crate::sip::{Headers, Method};

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
        let Some((headers, body)) = digit::write(event) else {
            return;
        };
        if matches!(self.phase, Phase::Up) {
            let info = Payload::new(Method::Info, headers, body);
            self.tell(side.other(), Signal::Request(info), env);
        }
    }
}
