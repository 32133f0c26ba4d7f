//! What comes inside of a subscription: SUBSCRIBE of who listens, NOTIFY of who speaks, and how it ends.

use super::{
    Crossing, MAX_CROSSINGS, Passage, Phase, Subscription, content,
    subscription::{is_last, seconds},
};
use crate::{
    call::{
        Env, Failure, Origin, Side,
        failure::Kind,
        leg::{Inbound, Outbound, Purpose, Sender, attempt::dress_contact},
        signal::without_asker,
    },
    sip::{
        Method, Request, Response, Status,
        dialog::Dialog,
        message_summary::{self, MESSAGE_SUMMARY},
        routing::{DialogKey, TransactionKey},
        subscription::Event,
    },
};
use std::time::Duration;

impl Passage {
    /// A request: a repetition of one that is known, or one inside of the subscription.
    pub(super) fn request(&mut self, side: Side, request: Request, from: &Sender, env: &mut Env<'_>) {
        let (Ok(key), Ok(cseq)) = (TransactionKey::of(&request), request.headers.cseq()) else {
            return tracing::debug!("request without usable Via or CSeq");
        };
        let (a, b) = (&mut self.a, self.b.as_mut());
        let Some(half) = (match side {
            Side::A => Some(a),
            Side::B => b,
        }) else {
            return;
        };
        let known = self.crossings.iter().filter(|crossing| crossing.asker == side);
        for inbound in known.filter_map(|crossing| crossing.inbound.as_ref()) {
            if inbound.key == key {
                return inbound.repeat(&mut half.wire(&self.profile, env));
            }
        }
        if matches!(request.method, Method::Ack | Method::Cancel) {
            return;
        }
        let inbound = Inbound::new(key, request, cseq.number, from, &half.wire(&self.profile, env));
        if self.crossings.len() >= MAX_CROSSINGS {
            return tracing::debug!(?side, "more open requests than a passage holds");
        }
        let checked = self.check(side, &inbound);
        let last = side == Side::B && is_last(&inbound.request.headers);
        let request = inbound.request.clone();
        self.crossings.push(Crossing {
            asker: side,
            inbound: Some(inbound),
            outbound: None,
            last: last && checked.is_ok(),
        });
        let at = self.crossings.len() - 1;
        if let Err(failure) = checked {
            return self.refuse(at, &failure, env);
        }
        match side {
            Side::A => self.a.note(&request, &from.source),
            Side::B => {
                if let Some(half) = &mut self.b {
                    half.note(&request, &from.source);
                }
            }
        }
        self.ask(at, side.other(), request.method.clone(), Some(&request), env);
    }
    /// Whether a request belongs to the subscription, and comes in order.
    fn check(&mut self, side: Side, inbound: &Inbound) -> Result<(), Failure> {
        let gone = || Failure::new(Status::CALL_DOES_NOT_EXIST, Origin::Local, Kind::Protocol);
        let request = &inbound.request;
        let is_subscribe = self
            .crossings
            .first()
            .and_then(|first| first.inbound.as_ref())
            .is_some_and(|first| first.request.method == Method::Subscribe);
        let lives = match (&self.subscription, self.phase) {
            (Some(subscription), _) => !subscription.over,
            // RFC 6665 §4.4.1: the first NOTIFY may overtake the answer to the SUBSCRIBE.
            (None, Phase::Crossing) => is_subscribe && side == Side::B,
            (None, _) => false,
        };
        if !lives {
            return Err(gone());
        }
        let fits = matches!(
            (side, &request.method),
            (Side::A, Method::Subscribe) | (Side::B, Method::Notify)
        );
        if !fits {
            return Err(Failure::new(
                Status::METHOD_NOT_ALLOWED,
                Origin::Local,
                Kind::Protocol,
            ));
        }
        super::super::requests::required(&request.headers)?;
        let half = match side {
            Side::A => &mut self.a,
            Side::B => self.b.as_mut().ok_or_else(gone)?,
        };
        let to = request.headers.to().ok().and_then(|to| to.tag());
        let peer = request.headers.from().ok().and_then(|from| from.tag());
        if to.as_ref() != Some(&half.dialog.local_tag) {
            return Err(gone());
        }
        if half.dialog.remote_tag.is_none() && side == Side::B {
            // Of several forks the first that speaks is the one; the others hear 481 and end (RFC 6665 §4.4.1).
            half.dialog.remote_tag = peer.clone();
            half.dialog.settle(&request.headers);
        }
        if peer != half.dialog.remote_tag {
            return Err(gone());
        }
        half.dialog.receive(inbound.cseq).map_err(|error| {
            Failure::new(Status::SERVER_INTERNAL_ERROR, Origin::Local, Kind::Protocol)
                .because(&error.to_string())
        })
    }
    /// Sends a request inside of the subscription to `side`; with what crosses of `asked`, if that is why.
    fn ask(&mut self, at: usize, side: Side, method: Method, asked: Option<&Request>, env: &mut Env<'_>) {
        if side == Side::A {
            self.enter_dialog_of_a();
        }
        let half = match side {
            Side::A => &mut self.a,
            Side::B => match &mut self.b {
                Some(half) => half,
                None => return,
            },
        };
        let path = half.path();
        let mut request = half.dialog.request(method, &path);
        dress_contact(&mut request.headers);
        request
            .headers
            .push("User-Agent", self.profile.user_agent.clone());
        match asked {
            Some(asked) => {
                let discreet = self.current.as_ref().is_some_and(|route| route.private);
                if discreet && side == Side::B {
                    content::of_request(&without_asker(&asked.headers), &mut request.headers);
                } else {
                    content::of_request(&asked.headers, &mut request.headers);
                }
                request.body = asked.body.clone();
                // As upstream: a phone that is woken for it is to know whether it is worth it.
                let summary = Event::of(&request.headers)
                    .is_some_and(|event| event.package.eq_ignore_ascii_case(MESSAGE_SUMMARY.as_bytes()));
                if summary && request.method == Method::Notify && !request.headers.contains("Priority") {
                    let priority = message_summary::priority(&request.body);
                    request.headers.push("Priority", priority);
                }
            }
            None => {
                let Some(subscription) = &self.subscription else {
                    return;
                };
                request.headers.push("Event", subscription.event.clone());
                match request.method {
                    Method::Notify => request
                        .headers
                        .push("Subscription-State", "terminated;reason=deactivated"),
                    _ => request.headers.push("Expires", "0"),
                }
            }
        }
        let cseq = half.dialog.local_cseq;
        let hop = path.hop.clone();
        let mut outbound = Outbound::new(Purpose::Passed, request, cseq, true, Some(path.hop));
        let failure = match half.targets(&hop) {
            Some(targets) => outbound.begin(&targets, &mut half.wire(&self.profile, env)),
            None => None,
        };
        if let Some(crossing) = self.crossings.get_mut(at) {
            crossing.outbound = Some(outbound);
        }
        if let Some(failure) = failure {
            self.failed(at, failure, env);
        }
    }
    /// What an answer to a SUBSCRIBE or NOTIFY means for the subscription.
    pub(super) fn note_answer(&mut self, at: usize, response: &Response, env: &Env<'_>) {
        let grace = self.grace();
        let Some(crossing) = self.crossings.get(at) else {
            return;
        };
        let Some(outbound) = &crossing.outbound else {
            return;
        };
        let request = outbound.request.clone();
        match (&request.method, response.status) {
            (Method::Subscribe, status) if status.is_success() => {
                let asked = seconds(&request.headers);
                let agreed = seconds(&response.headers).or(asked).unwrap_or_default();
                // Who asks for the end gets it, whatever the answer says.
                let agreed = if asked == Some(0) { 0 } else { agreed };
                if let Some(half) = &mut self.b {
                    half.dialog.refresh(&response.headers);
                }
                match &mut self.subscription {
                    Some(subscription) => subscription.renew(agreed, grace, env.now),
                    None => self.begin(&request, response, agreed, grace, env),
                }
            }
            // RFC 6665 §4.1.2.2, §4.2.2: the dialog, or the subscription, is not there any more.
            (
                Method::Subscribe | Method::Notify,
                Status::CALL_DOES_NOT_EXIST | Status::NOT_FOUND | Status::GONE,
            ) if self.phase == Phase::Answered => self.is_over(),
            (
                Method::Notify,
                Status::METHOD_NOT_ALLOWED | Status::NOT_IMPLEMENTED | Status::TEMPORARILY_UNAVAILABLE,
            ) => self.is_over(),
            _ => {}
        }
    }
    /// What comes in the dialog towards who subscribed is for us: from the first NOTIFY on, whose answer does not wait for that of
    /// the SUBSCRIBE (RFC 6665 §4.1.2.4).
    fn enter_dialog_of_a(&mut self) {
        if std::mem::replace(&mut self.is_known_to_a, true) {
            return;
        }
        let key = DialogKey {
            call_id: self.a.dialog.call_id.clone(),
            local_tag: self.a.dialog.local_tag.clone(),
        };
        self.out.push_back(super::PassageOutput::Dialog(Side::A, key));
    }
    /// The first SUBSCRIBE was accepted: both halves have a dialog.
    fn begin(&mut self, request: &Request, response: &Response, agreed: u32, grace: Duration, env: &Env<'_>) {
        if let (Some(half), Ok(dialog)) = (&mut self.b, Dialog::uac(request, response)) {
            let (known, numbers) = (
                half.dialog.remote_tag.clone(),
                (half.dialog.local_cseq, half.dialog.remote_cseq),
            );
            // Where a NOTIFY of another fork has come first, that one is the subscription.
            if known.is_none() || known == dialog.remote_tag {
                half.dialog = dialog;
                (half.dialog.local_cseq, half.dialog.remote_cseq) = numbers;
            }
        }
        self.enter_dialog_of_a();
        let ended = self.crossings.iter().any(|crossing| crossing.last);
        let mut subscription = Subscription {
            event: request.headers.get("Event").unwrap_or_default(),
            until: env.now,
            over: false,
        };
        subscription.renew(if ended { 0 } else { agreed }, grace, env.now);
        self.subscription = Some(subscription);
    }
    /// We end it: see [`Self::end`].
    pub(super) fn end_subscription(&mut self, env: &mut Env<'_>) {
        if self
            .subscription
            .as_ref()
            .is_none_or(|subscription| subscription.over)
        {
            return;
        }
        for (side, method) in [(Side::A, Method::Notify), (Side::B, Method::Subscribe)] {
            self.crossings.push(Crossing {
                asker: side.other(),
                inbound: None,
                outbound: None,
                last: false,
            });
            self.ask(self.crossings.len() - 1, side, method, None, env);
        }
        self.is_over();
    }
}
