//! What a call wants done.

use super::{Event, Sim, Who};
use crate::{
    call::{
        Call, Output, Transmit,
        handshake::{ZrtpCommand, ZrtpRetained},
    },
    sip::{
        Message,
        routing::{Destination, TransactionKey},
    },
    testing::{Verdicts, peer::read},
};

impl Sim {
    /// Does what the call wants.
    pub(super) fn carry_out(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.call.as_mut().and_then(Call::poll_output) {
            outputs += 1;
            assert!(outputs < 500, "one input made more than 500 outputs");
            match output {
                Output::Transmit(side, transmit) => {
                    let who = self.reached_by(side, &transmit);
                    self.transmit(who, transmit);
                }
                Output::Lookup(side, hop, came) => {
                    // Who has called is looked for where that one came from, and not where somebody else did.
                    if let (Some(came), Ok(host)) = (came, hop.uri.host().parse::<std::net::IpAddr>()) {
                        assert_eq!(came.remote.ip(), host, "{} is looked for elsewhere", hop.uri);
                    }
                    self.schedule(self.think, Event::Lookup(side, hop));
                }
                Output::Ask(question) => {
                    self.asking = true;
                    self.questions += 1;
                    if let Some(verdict) = self.verdicts.answer(question) {
                        self.schedule(self.think, Event::Verdict(self.questions, verdict));
                    }
                }
                Output::Withdraw => {
                    assert!(std::mem::take(&mut self.asking), "withdrew what was not asked");
                }
                Output::Media(command) => {
                    if let Some(event) = self.relay.obey(command) {
                        self.schedule(self.think, Event::Media(event));
                    }
                }
                Output::Event(event) => {
                    if let Verdicts::App(state) = &mut self.verdicts {
                        state.observe(&event);
                    }
                    self.events.push(event);
                }
                Output::Handshake(command) => {
                    if let Some((after, result)) = self.handshakes.obey(command) {
                        self.schedule(after, Event::Handshake(result));
                    }
                }
                Output::Zrtp(ZrtpCommand::Lookup { side, peer }) => {
                    let retained = self.retained.of(peer);
                    let answer = ZrtpRetained { side, peer, retained };
                    self.schedule(self.think, Event::Retained(answer));
                }
                Output::Zrtp(ZrtpCommand::Store(update)) => self.retained.update(update),
                Output::Identify(replaces) => self.identify(replaces),
                Output::Refused(invite, failure) => {
                    if let Message::Request(request) = &invite.message {
                        let mut response = request.respond(failure.status, Some("stateless"));
                        for (name, value) in failure.headers.iter() {
                            response.headers.push(name, value);
                        }
                        let bytes = response.to_bytes();
                        let to = Destination::Reply {
                            source: invite.source,
                            address: invite.source.remote,
                        };
                        let words = Transmit { bytes, to };
                        if let Ok(key) = TransactionKey::of(request) {
                            self.refused.insert(key, words.clone());
                        }
                        self.transmit(Who::C, words);
                    }
                }
                Output::Designated(_, _, found) if self.is_alone => {
                    self.designated = found.map(|found| *found)
                }
                Output::Adopt(wish) if self.is_alone => {
                    self.schedule(self.think, Event::Withheld(wish.named))
                }
                output @ (Output::Adopt(_)
                | Output::Give(_)
                | Output::Withheld(..)
                | Output::Designated(..)
                | Output::Kept(..)
                | Output::Forward(..)) => self.errands.push(output),
                Output::Report(summary) => self.report = Some(*summary),
                Output::Dialog(side, key) => {
                    self.dialogs.insert(key, side);
                }
                Output::Invited(key, _) => assert!(self.dialogs.contains_key(&key)),
                Output::Tombstone(key, words) => {
                    self.graves.insert(key, words);
                }
                Output::Finished(summary) => {
                    assert_eq!(
                        self.call.as_ref().and_then(Call::poll_timeout),
                        None,
                        "a timer after the end"
                    );
                    assert!(!self.asking, "a question after the end");
                    self.summary = Some(*summary);
                    self.call = None;
                }
            }
        }
    }

    pub(super) fn transmit(&mut self, side: Who, transmit: Transmit) {
        let Transmit { bytes, to } = transmit;
        let address = match to {
            Destination::Target(target) => target.remote,
            Destination::Reply { address, .. } => address,
        };
        assert!(bytes.len() < 64 * 1024, "a message of {} octets", bytes.len());
        let message = read(&bytes);
        self.privacy.learn(side, &message);
        if let Some(word) = self.privacy.leaks(side, &bytes)
            && !self.allowed.iter().any(|allowed| allowed.contains(word))
        {
            panic!(
                "{word:?} of the other leg is on leg {side:?}:\n{}",
                String::from_utf8_lossy(&bytes)
            );
        }
        self.wire.push((self.now, side, false, bytes.clone()));
        for late in self.deliveries() {
            self.schedule(self.delay + late, Event::ToPeer(side, message.clone(), address));
        }
    }
}
