//! What the dispatcher does with messages of a call that has gone: its tombstones speak.

use super::{Sim, Who};
use crate::{
    call::Transmit,
    sip::{
        Message, Method, Request, Status,
        routing::{Destination, TransactionKey},
    },
};

impl Sim {
    pub(super) fn afterwards(&mut self, side: Who, message: &Message) {
        let key = match message {
            Message::Request(request) => TransactionKey::of(request),
            Message::Response(response) => TransactionKey::of_response(response),
        };
        let words = key.ok().and_then(|key| self.graves.get(&key).cloned());
        match (message, words) {
            (
                Message::Request(Request {
                    method: Method::Ack, ..
                }),
                _,
            )
            | (Message::Response(_), None) => {}
            // RFC 3261 §9.2: too late, but the transaction was there.
            (Message::Request(request), Some(_)) if request.method == Method::Cancel => {
                self.answer(side, request, Status::OK);
            }
            (_, Some(words)) => self.transmit(side, words),
            (Message::Request(request), None) => self.answer(side, request, Status::CALL_DOES_NOT_EXIST),
        }
    }
    fn answer(&mut self, side: Who, request: &Request, status: Status) {
        let bytes = request.respond(status, None).to_bytes();
        let to = Destination::Target(self.target_of(side));
        self.transmit(side, Transmit { bytes, to });
    }
}
