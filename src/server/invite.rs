//! An INVITE that belongs to no call: one that begins here, or goes in a loop.

use super::{
    admission::Refusal,
    call_task::{self, Seat},
    callers::Caller,
    dispatch::Dispatcher,
    handshakes::Shared,
    inbox::inbox,
    maps::Origination,
};
use crate::{
    call::{Failure, Origin, failure::Kind},
    sip::{
        Method, Request, Status, Text,
        routing::{DialogKey, Source, TransactionKey},
    },
};

impl Dispatcher {
    /// An INVITE that begins a call.
    pub(super) fn invite(&mut self, request: Request, key: TransactionKey, source: Source, caller: Caller) {
        let origination = Origination::of(&request);
        let merged = origination
            .as_ref()
            .is_some_and(|it| self.maps.originations.contains_key(it));
        if merged || self.is_ours(&request) {
            tracing::info!(from = %source.remote, merged, "loop detected");
            let mut response = self.answerer.response(&request, Status::LOOP_DETECTED);
            if merged {
                // Not the caller's fault: the call is here already, over another path.
                response.reason = Text::from_static("Merged Request");
            }
            if !merged {
                let failure = Failure::of(Kind::Loop, Origin::LegA);
                self.record_refusal(&request, &key, source, failure);
            }
            return self.answer(&request, response, source);
        }
        let Some(request) = self.replace(request, &key, source) else {
            return;
        };
        // Whoever was refused believes that and listens no more, though a repetition came before it heard so: no call is made of that.
        let refused = self.recent.knows(&key);
        let admitted = self.policy.admit(self.load());
        if let Err(refusal) = admitted.and(if refused { Err(Refusal::Full) } else { Ok(()) }) {
            return self.refuse(&request, &key, source, refusal);
        }
        self.gauges.taken.add();
        let (inbox, receiver) = inbox();
        let number = self.maps.begin(inbox.clone(), Some(key), origination);
        tracing::info!(
            call = number,
            from = %source.remote,
            over = source.transport.as_via(),
            call_id = %request.headers.call_id().unwrap_or_default(),
            "call"
        );
        let seat = Seat {
            number,
            net: self.net.clone(),
            relay: self.relay.clone(),
            control: self.control.clone(),
            gauges: self.gauges.clone(),
            receipt: self
                .desk
                .open(Some(number), self.policy.app.name(), &request, source)
                .of(caller.user()),
            answerer: self.answerer.clone(),
            settings: self.policy.calls.clone(),
            cache: self.cache.clone(),
            dtls: Shared {
                dtls: self.dtls.clone(),
                identity: self.policy.identity.clone(),
            },
            app: self.policy.app.clone(),
            ids: self.ids.fork(),
            inbox,
        };
        let invite = self.incoming(request.into(), source);
        self.overload.took(self.turn.waited(), self.turn.now);
        tokio::spawn(call_task::run(seat, invite, self.waiting(), receiver));
    }
    /// Whether this request is one that we have sent: From has a tag of ours in a dialog that we opened, and an INVITE the Request-URI
    /// that we gave it. With another one it was somewhere where that was decided, as a call between two accounts of one provider is,
    /// and has not gone in a loop but in a spiral (RFC 3261 §16.3). Its hops are counted down all the same.
    pub(super) fn is_ours(&self, request: &Request) -> bool {
        let from = request.headers.from().ok().and_then(|from| from.tag());
        let (Ok(call_id), Some(local_tag)) = (request.headers.call_id(), from) else {
            return false;
        };
        let key = DialogKey { call_id, local_tag };
        match request.method {
            Method::Invite => self.maps.invited.get(&key) == Some(request.uri.as_text()),
            _ => self.maps.dialogs.contains_key(&key) || self.maps.mailboxes.contains(&key),
        }
    }
}
