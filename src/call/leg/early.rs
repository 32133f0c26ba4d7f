//! Early dialogs of leg B: what each fork has said, and the PRACK of what it said reliably (RFC 3262 §4).

use super::{
    Env, Failure, Inbound, Leg, Matter, Origin, Outbound, Phase, Position, Purpose, Signal, content,
    uac::Calling,
};
use crate::{
    call::{Body, failure::Kind},
    sdp::Sdp,
    sip::{
        Headers, Method, Request, Response, Status, Text,
        dialog::Dialog,
        reliable::{self, RAck, RELIABLE},
    },
};
use bytes::Bytes;

/// Early dialogs that one INVITE may open; what further forks say before the answer is not passed on.
const MAX_FORKS: usize = 16;

/// How INVITEs of leg B speak of reliable provisional responses (RFC 3262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reliability {
    /// `Supported: 100rel`: the callee may send some.
    #[default]
    Supported,
    /// `Require: 100rel`: a callee that cannot refuses.
    Required,
    /// Not at all.
    Off,
}

impl Reliability {
    /// What an INVITE says of it.
    pub(super) fn dress(self, invite: &mut Headers) {
        match self {
            Self::Supported => invite.push("Supported", RELIABLE),
            Self::Required => invite.push("Require", RELIABLE),
            Self::Off => {}
        }
    }
    fn said_in(invite: &Headers) -> bool {
        ["Supported", "Require"]
            .iter()
            .any(|name| reliable::names(invite, name))
    }
}

/// One early dialog.
#[derive(Debug)]
pub(super) struct Fork {
    tag: Option<Text>,
    /// What it said last, so that repetitions are not news.
    said: (Status, Bytes),
    /// Its answer to the INVITE's offer: counts as the 2xx's where that has none, and instead of it where it came reliably.
    answer: Option<Sdp>,
    /// Once it has said something reliably.
    dialog: Option<Dialog>,
    /// The last RSeq that we have taken.
    rseq: Option<u32>,
    /// Offer and answer of the INVITE have been exchanged for good.
    settled: bool,
    /// An offer has crossed since.
    moved_on: bool,
    /// It takes UPDATE.
    updates: bool,
    /// What is acknowledged with an answer to its offer, when that is there.
    owed: Option<RAck>,
}

/// What a fork that has answered said before.
pub(super) struct Former {
    pub(super) answer: Option<Sdp>,
    pub(super) settled: bool,
    /// It is the one whose description was passed on last.
    pub(super) is_active: bool,
    /// Offers have gone on elsewhere: what the other leg's party says now is news to it.
    pub(super) is_behind: bool,
    pub(super) remote_cseq: Option<u32>,
}

impl Calling {
    fn fork_of(&self, request: &Request) -> Option<&Fork> {
        let tag = request.headers.from().ok()?.tag();
        self.forks.iter().find(|fork| fork.tag == tag)
    }
    fn fork_of_mut(&mut self, request: &Request) -> Option<&mut Fork> {
        let tag = request.headers.from().ok()?.tag();
        self.forks.iter_mut().find(|fork| fork.tag == tag)
    }
    /// Whether a request comes in order, if it is of a fork with a dialog (RFC 3261 §12.2.2).
    ///
    /// # Errors
    /// 500 when it does not.
    pub(super) fn check(&mut self, inbound: &Inbound) -> Result<(), Failure> {
        let fork = self.fork_of_mut(&inbound.request);
        let Some(dialog) = fork.and_then(|fork| fork.dialog.as_mut()) else {
            return Ok(());
        };
        dialog.receive(inbound.cseq).map_err(|error| {
            Failure::new(Status::SERVER_INTERNAL_ERROR, Origin::Local, Kind::Protocol)
                .because(&error.to_string())
        })
    }
    /// Whether the fork that sent this has exchanged offer and answer of the INVITE for good.
    pub(super) fn is_settled_with(&self, request: &Request) -> bool {
        self.fork_of(request).is_some_and(|fork| fork.settled)
    }
    /// A target refresh of a fork.
    pub(super) fn moved(&mut self, request: &Request) {
        let tag = request.headers.from().ok().and_then(|from| from.tag());
        let found = self.forks.iter().position(|fork| fork.tag == tag);
        let Some((index, fork)) = found.and_then(|index| Some((index, self.forks.get_mut(index)?))) else {
            return;
        };
        if let Some(dialog) = &mut fork.dialog {
            dialog.refresh(&request.headers);
        }
        if !request.body.is_empty() {
            fork.moved_on = true;
            self.active = Some(index);
        }
    }
    /// The active fork has taken an offer.
    pub(super) fn updated(&mut self, headers: &Headers) {
        if let Some(fork) = self.active.and_then(|index| self.forks.get_mut(index)) {
            fork.moved_on = true;
            if let Some(dialog) = &mut fork.dialog {
                dialog.refresh(headers);
            }
        }
    }
    /// The dialog of the fork whose description was passed on last, if an offer could go there.
    pub(super) fn active(&self) -> Option<&Dialog> {
        let fork = self.forks.get(self.active?)?;
        fork.dialog.as_ref().filter(|_| fork.settled)
    }
    /// Whether that fork takes UPDATE.
    pub(super) fn updates(&self) -> bool {
        let fork = self.active.and_then(|index| self.forks.get(index));
        fork.is_some_and(|fork| fork.updates)
    }
    /// The fork that answers, as it was.
    pub(super) fn former(&self, tag: Option<&Text>) -> Former {
        let index = self.forks.iter().position(|fork| fork.tag.as_ref() == tag);
        let is_active = index.is_some() && self.active == index;
        // Another one has taken an offer, or another one's offer was answered.
        let others =
            self.forks.iter().enumerate().any(|(other, fork)| {
                Some(other) != index && (fork.moved_on || fork.settled && !self.offered)
            });
        let fork = index.and_then(|index| self.forks.get(index));
        Former {
            // An answer that was followed by another offer is not what stands.
            answer: fork
                .as_ref()
                .filter(|fork| !fork.moved_on)
                .and_then(|fork| fork.answer.clone()),
            settled: fork.as_ref().is_some_and(|fork| fork.settled),
            is_active,
            is_behind: !is_active && others,
            remote_cseq: fork.and_then(|fork| fork.dialog.as_ref()?.remote_cseq),
        }
    }
}

impl Leg {
    /// A provisional response to the INVITE.
    pub(super) fn call_progress(&mut self, response: &Response, at: usize, env: &mut Env<'_>) {
        let status = response.status;
        let (Some(outbound), Phase::Calling(calling)) = (self.outbound.get(at), &mut self.phase) else {
            return;
        };
        if status == Status::TRYING {
            return;
        }
        let rseq = reliable::rseq(response).filter(|_| Reliability::said_in(&outbound.request.headers));
        let tag = response.headers.to().ok().and_then(|to| to.tag());
        let sdp = content::session(&response.headers, &response.body).unwrap_or_else(|failure| {
            tracing::debug!(%status, reason = ?failure.reason, "provisional response with a body we cannot use");
            None
        });
        let index = match calling.forks.iter().position(|fork| fork.tag == tag) {
            Some(index) => index,
            None if calling.forks.len() >= MAX_FORKS => {
                return tracing::debug!(%status, "more forks than are listened to");
            }
            None => {
                calling.forks.push(Fork::new(tag));
                calling.forks.len() - 1
            }
        };
        let awaits_answer = calling.forks.iter().any(|fork| fork.owed.is_some());
        let Some(fork) = calling.forks.get_mut(index) else {
            return;
        };
        let mut acknowledge = None;
        let is_offer = !calling.offered && sdp.is_some() && !fork.settled;
        if let Some(rseq) = rseq {
            // In order; one that comes too early will come again, as will an offer while another one is open.
            let expected = fork.rseq.is_none_or(|last| last.checked_add(1) == Some(rseq));
            if !expected || is_offer && awaits_answer {
                return tracing::debug!(%status, rseq, last = fork.rseq, "reliable response out of turn");
            }
            let Ok(cseq) = response.headers.cseq() else {
                return;
            };
            if fork.dialog.is_none() {
                match Dialog::uac(&outbound.request, response) {
                    Ok(dialog) if dialog.remote_tag.is_some() => fork.dialog = Some(dialog),
                    Ok(_) | Err(_) => {
                        return tracing::debug!(%status, "reliable response that opens no dialog");
                    }
                }
            }
            fork.rseq = Some(rseq);
            if response.headers.contains("Allow") {
                let mut methods = response.headers.values("Allow");
                fork.updates = methods.any(|method| method.as_bytes() == b"UPDATE");
            }
            acknowledge = Some(RAck { rseq, cseq });
        }
        let is_reliable = acknowledge.is_some();
        // The answer is the first one that came reliably (RFC 3261 §13.2.1). An offer has to come reliably.
        let body = match sdp {
            Some(sdp) if calling.offered && !fork.settled => {
                fork.answer = Some(sdp.clone());
                fork.settled = is_reliable;
                Body::Answer(sdp)
            }
            Some(sdp) if is_offer && is_reliable => Body::Offer(sdp),
            Some(_) | None => Body::None,
        };
        let is_news = fork.said != (status, response.body.clone());
        fork.said = (status, response.body.clone());
        if is_offer && is_reliable {
            fork.owed = acknowledge.take();
            self.offers.position = Position::PeerOfferedInProgress;
        } else if fork.settled && calling.active.is_none() {
            self.offers.position = Position::Settled;
        }
        if !matches!(body, Body::None) && self.offers.position != Position::Offered {
            calling.active = Some(index);
        }
        if let Some(rack) = acknowledge {
            self.prack(index, &rack, at, None, env);
        }
        if !is_news {
            return;
        }
        match body {
            Body::None if status == Status::RINGING => self.say(Signal::Ring),
            body => self.say(Signal::Progress { status, body }),
        }
    }
    /// The answer to the offer of a reliable provisional response, which the PRACK brings.
    pub(super) fn prack_owed(&mut self, answer: Option<&Sdp>, env: &mut Env<'_>) {
        self.offers.position = Position::Settled;
        let Phase::Calling(calling) = &mut self.phase else {
            return;
        };
        let open = calling
            .forks
            .iter_mut()
            .enumerate()
            .find_map(|(index, fork)| Some((index, fork.owed.take()?)));
        let Some((index, rack)) = open else { return };
        if let Some(fork) = calling.forks.get_mut(index) {
            fork.settled = true;
        }
        let at = self
            .outbound
            .iter()
            .position(|outbound| outbound.purpose == Purpose::Call);
        self.prack(index, &rack, at.unwrap_or(usize::MAX), answer, env);
    }
    /// Acknowledges a reliable provisional response in its own early dialog.
    fn prack(&mut self, index: usize, rack: &RAck, at: usize, answer: Option<&Sdp>, env: &mut Env<'_>) {
        let Phase::Calling(calling) = &self.phase else {
            return;
        };
        let dialog = calling.forks.get(index).and_then(|fork| fork.dialog.clone());
        let Some(dialog) = dialog else { return };
        let path = dialog.path();
        self.prefer_who_answered(at, &path.hop);
        // All dialogs of an INVITE count together: a gap is no fault.
        let number = self.dialog.local_cseq.wrapping_add(1) & 0x7fff_ffff;
        self.dialog.local_cseq = number;
        let mut prack = dialog.numbered(Method::Prack, number, &path);
        prack.headers.push("RAck", rack.to_text());
        if let Some(sdp) = answer {
            prack.headers.push("Content-Type", "application/sdp");
            prack.body = sdp.to_bytes();
        }
        self.request(
            Outbound::new(Purpose::Prack, prack, number, false, Some(path.hop)),
            env,
        );
    }
    /// A fork that does not take part in offers has answered, or none will: what is open in early dialogs is over.
    pub(super) fn leave_early_dialogs(&mut self, env: &mut Env<'_>) {
        let mut asked = self.offers.wanted.take().is_some();
        for outbound in &mut self.outbound {
            if outbound.purpose == Purpose::Offer && !outbound.done {
                asked = true;
                outbound.abandon();
            }
        }
        self.refuse_open(Matter::Offer, &Failure::of(Kind::Cancelled, Origin::LegB), env);
        self.offers.position = Position::Settled;
        self.offers.limit = None;
        if asked {
            let pending = Failure::new(Status::REQUEST_PENDING, Origin::LegB, Kind::Rejected);
            self.refuse_other(pending);
        }
    }
    /// There will be no answer: nobody waits for what goes on in early dialogs any more.
    pub(super) fn end_early_dialogs(&mut self, env: &mut Env<'_>) {
        for outbound in &mut self.outbound {
            if matches!(outbound.purpose, Purpose::Prack | Purpose::Offer) {
                outbound.abandon();
            }
        }
        self.refuse_open(Matter::Offer, &Failure::of(Kind::Cancelled, Origin::LegB), env);
    }
}

impl Fork {
    /// Whether that is the callee's tag of its dialog.
    pub(super) fn is_tagged(&self, tag: &Text) -> bool {
        self.tag.as_ref() == Some(tag)
    }
    fn new(tag: Option<Text>) -> Self {
        Self {
            tag,
            said: (Status::TRYING, Bytes::new()),
            answer: None,
            dialog: None,
            rseq: None,
            settled: false,
            moved_on: false,
            updates: false,
            owed: None,
        }
    }
}
