//! From the caller's INVITE to the first attempt: question, lookup, ports, leg B.

use super::*;
use crate::{
    call::{
        Decision, Designation, Invite, Reliability, Rescue, Verdict,
        event::Party,
        media_plan::{asked, not_acceptable},
        signal::Body,
    },
    media::zrtp::Zid,
    sip::Message,
};

/// How long another call may take to say whose a dialog is. It is on this server.
const IDENTIFIED: Duration = Duration::from_secs(2);

impl Call {
    /// Takes the caller's INVITE. `zid`: our identity in ZRTP, the same in all calls.
    ///
    /// # Errors
    /// What the INVITE is to be answered with.
    pub fn new(
        invite: Incoming,
        settings: Arc<CallSettings>,
        zid: Zid,
        env: &mut Env<'_>,
    ) -> Result<Self, Failure> {
        let view = Invite::of(&invite)?;
        let source = media_source(&invite, false);
        let caller = invite.source.remote.ip();
        let leg = Leg::accept(Side::A, invite, settings.profile.clone(), env)?;
        let mut call = Self {
            caller,
            phase: Phase::Routing,
            asked: false,
            media: MediaPlan::new(&settings, zid),
            relay: Relay::default(),
            early_keys: EarlyKeys::default(),
            agreements: Agreements::default(),
            exchange: None,
            early: None,
            routes: VecDeque::new(),
            current: None,
            later: Vec::new(),
            attempts: 0,
            redirects: Redirects::default(),
            max_forwards: 0,
            lookups: Lookups::default(),
            requests: Requests::default(),
            transfers: Transfers::default(),
            replaces: None,
            rebridge: None,
            adoption: Adoption::default(),
            unanswered: Some(env.now + settings.profile.timers.unanswered),
            no_answer: None,
            too_long: None,
            record: Record::new(Party::of(&view, leg.call_id().clone()), env.now),
            draining: false,
            crossing: Arc::default(),
            outputs: VecDeque::new(),
            members: Vec::with_capacity(2),
            settings,
        };
        call.begin((leg, view), source, env);
        call.settle(env);
        Ok(call)
    }

    fn begin(&mut self, (leg, mut invite): (Leg, Invite), source: Option<IpAddr>, env: &mut Env<'_>) {
        let local = leg.local_ip().unwrap_or(invite.source.local.ip());
        self.media.begin(Side::A, local, env);
        self.media.takes_infos(Side::A, leg.takes_infos());
        let offered = leg.offer();
        self.members.push(Member::caller(leg, invite.source));
        if let Some(source) = source {
            self.media.trust(Side::A, source);
        }
        // RFC 3261 §16.3: a request that may go no further. Absent it counts as 70; more than that nobody needs.
        match invite.headers().max_forwards() {
            Ok(Some(0)) => {
                let failure = Failure::new(Status::TOO_MANY_HOPS, Origin::Local, Kind::Loop);
                return self.fail(failure, env);
            }
            Ok(Some(hops)) => self.max_forwards = (hops - 1).min(70),
            Ok(None) | Err(_) => self.max_forwards = 70,
        }
        let mut session = Session::default();
        let offer = match offered {
            Body::Offer(offer) => Some(offer),
            Body::None | Body::Answer(_) => None,
        };
        if let Some(offer) = &offer {
            invite.encryption = Some(asked(offer));
            if let Err(failure) = self.media.take_offer(&mut session, Side::A, offer, env.ids) {
                return self.fail(failure, env);
            }
        }
        self.exchange = Some(Exchange {
            asker: Side::A,
            offerer: offer.as_ref().map(|_| Side::A),
            offer,
            session,
            ports: false,
            is_refresh: false,
            progress: None,
            void: false,
        });
        match Replaces::of(invite.headers()) {
            Ok(None) => self.ask(Question::Route(Box::new(invite))),
            Ok(Some(replaces)) => {
                self.put(Output::Identify(replaces.clone()));
                self.phase = Phase::Identifying(Box::new(invite), replaces, env.now + IDENTIFIED);
            }
            Err(error) => {
                let failure = Failure::new(error.status, Origin::LegA, Kind::Protocol);
                self.fail(failure.because(&error.reason().to_str()), env);
            }
        }
    }
    /// It is known whose the dialog is that the caller wants replaced: leg B is told of it by the identifiers that its party has.
    /// One that is not of this server may be of whoever is called.
    pub(super) fn invite_identified(&mut self, replaces: &Replaces, found: Option<&Designation>) {
        match std::mem::replace(&mut self.phase, Phase::Routing) {
            Phase::Identifying(invite, named, _) if named == *replaces => {
                self.replaces = Some(found.map_or(named, |found| found.peer.clone()));
                self.ask(Question::Route(invite));
            }
            phase => self.phase = phase,
        }
    }
    pub(super) fn invite_due(&mut self, env: &Env<'_>) {
        if let Phase::Identifying(_, replaces, until) = &self.phase
            && *until <= env.now
        {
            let replaces = replaces.clone();
            self.invite_identified(&replaces, None);
        }
    }

    pub(super) fn verdict(&mut self, verdict: Verdict, env: &mut Env<'_>) {
        let awaited = matches!(
            (&verdict, &self.phase),
            (Verdict::Route(_), Phase::Routing)
                | (Verdict::Rescue(_), Phase::Rescuing(_))
                | (Verdict::InCall(_), Phase::Up)
        ) || self.awaits_for_guest(&verdict);
        self.asked &= !awaited;
        match (verdict, &self.phase) {
            (Verdict::Route(Decision::Bridge(routes)), Phase::Routing) => {
                self.routes = routes.into();
                self.try_next(Failure::of(Kind::Internal, Origin::App).because("no route"), env);
            }
            (Verdict::Route(Decision::Decline(failure)), Phase::Routing) => self.fail(failure, env),
            (Verdict::Route(Decision::Redirect(contacts)), Phase::Routing) => {
                let moved = Failure::new(Status::MOVED_TEMPORARILY, Origin::App, Kind::Declined);
                let failure = contacts.iter().fold(moved, |failure, contact| {
                    failure.with("Contact", contact.0.to_text())
                });
                self.fail(failure, env);
            }
            (Verdict::Rescue(rescue), Phase::Rescuing(failure)) => {
                let failure = failure.clone();
                match rescue {
                    Rescue::Relay => self.fail(failure, env),
                    Rescue::Replace(failure) => self.fail(failure, env),
                    Rescue::Try(routes) => {
                        self.routes = routes.into();
                        self.try_next(failure, env);
                    }
                }
            }
            (Verdict::InCall(decision), Phase::Up) => self.request_decided(decision, env),
            (verdict @ (Verdict::Route(_) | Verdict::Rescue(_)), Phase::Up) => {
                self.guest_decided(verdict, env);
                self.ask_next();
            }
            (Verdict::Handover(verdict), _) => {
                self.guest_judged(verdict, env);
                self.ask_next();
            }
            (verdict, phase) => tracing::debug!(?verdict, ?phase, "a verdict that nobody waits for"),
        }
    }

    /// Tries the next route; without one leg A gets `failure`.
    pub(super) fn try_next(&mut self, failure: Failure, env: &mut Env<'_>) {
        self.no_answer = None;
        self.later.clear();
        if self.draining {
            return self.fail(failure, env);
        }
        if self.attempts >= MAX_ATTEMPTS {
            tracing::warn!(attempts = self.attempts, "too many attempts");
            return self.fail(failure, env);
        }
        let Some(route) = self.routes.pop_front() else {
            return self.fail(failure, env);
        };
        self.attempts += 1;
        let hop = NextHop::first(&route.route, &route.target).by(route.own.as_ref());
        self.record.tries(route.target.as_text().clone());
        self.current = Some(route);
        self.phase = Phase::LookingUp;
        self.look_up(Side::B, Asker::Setup, hop, None);
    }

    /// The first hop's addresses are known.
    pub(super) fn dial_targets(&mut self, targets: Result<Vec<Target>, LookupError>, env: &mut Env<'_>) {
        if !matches!(self.phase, Phase::LookingUp) {
            return tracing::debug!("targets for an attempt that is over");
        }
        match targets {
            Ok(targets) if !targets.is_empty() => self.dial_first_of(targets, env),
            Ok(_) => self.attempt_failed(Failure::of(Kind::Unreachable, Origin::Local), env),
            Err(error) => self.attempt_failed(Failure::of_lookup(&error), env),
        }
    }

    /// Opens ports for those targets where media would live at the same address; the others come after them.
    pub(super) fn dial_first_of(&mut self, mut targets: Vec<Target>, env: &mut Env<'_>) {
        let (Some(local), Some(route), Some(exchange)) = (
            targets.first().map(|target| target.local),
            &self.current,
            &mut self.exchange,
        ) else {
            return;
        };
        self.later = targets.extract_if(.., |target| target.local != local).collect();
        if let Err(failure) = self
            .media
            .apply(&route.media, &self.settings.suites, &mut exchange.session)
        {
            return self.attempt_failed(failure, env);
        }
        self.media.begin(Side::B, local, env);
        self.agree_on_keys(env);
        self.phase = Phase::Opening(targets);
        self.open_ports(env);
    }

    pub(super) fn dial(&mut self, targets: Vec<Target>, env: &mut Env<'_>) {
        let reliable = self.leg_of(Side::A).is_some_and(Leg::is_reliable);
        let (Some(exchange), Some(route)) = (&mut self.exchange, &mut self.current) else {
            return;
        };
        let body = match &exchange.offer {
            Some(offer) => {
                let offer = self.media.offer_to(&mut exchange.session, Side::B, offer, env);
                Body::Offer(offer)
            }
            None => Body::None,
        };
        if let Some(replaces) = &self.replaces {
            route.headers.set("Replaces", replaces.to_text());
        }
        let mut profile = self.settings.profile.clone();
        // An offer in a reliable provisional response would need an answer before the caller could be told of it.
        if exchange.offer.is_none() && !reliable {
            profile = Arc::new(Profile {
                reliable: Reliability::Off,
                ..(*profile).clone()
            });
        }
        let leg = Leg::dial(Side::B, route, body, targets, self.max_forwards, profile, env);
        let caller = self.caller;
        let mut members = self.members.iter_mut();
        if let Some(member) = members.find(|member| member.is_current(Side::A)) {
            member.leg.authenticate(route.caller_credentials.clone(), caller);
            member.stranger = route.stranger == Some(Side::A);
        }
        self.record.b = Some(Party {
            call_id: leg.call_id().clone(),
            from: route.from.to_text(),
            to: route.to.to_text(),
            uri: route.target.as_text().clone(),
        });
        self.no_answer = route.limits.no_answer.map(|after| env.now + after);
        let target = route.target.to_string();
        self.members.push(Member::called(leg, Place::Current, route));
        self.event(CallEvent::Dialled { target });
    }

    pub(super) fn heard_from_a(&mut self, signal: Signal, env: &mut Env<'_>) {
        match (signal, &self.phase) {
            (signal, Phase::Over) => tracing::debug!(?signal, "leg A says after the end"),
            (Signal::Hangup(cause), _) => self.hang_up(Some(Side::A), cause, env),
            (signal, Phase::Up) => self.in_call(Side::A, signal, env),
            (
                signal @ (Signal::Offer(_)
                | Signal::Accept(_)
                | Signal::Refuse(_)
                | Signal::Withdraw
                | Signal::Refresh),
                Phase::Dialling,
            ) => self.early(Side::A, signal, env),
            // Nobody is asked yet, or just then: its requests find nobody.
            (Signal::Offer(_), _) => {
                let pending = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
                self.tell(Side::A, Signal::Refuse(pending), env);
            }
            (Signal::Request(payload), Phase::Dialling) => self.tell(Side::B, Signal::Request(payload), env),
            (Signal::Response(status, payload), Phase::Dialling) => {
                self.tell(Side::B, Signal::Response(status, payload), env);
            }
            (Signal::Request(payload), _) => {
                let signal = Signal::Response(Status::TEMPORARILY_UNAVAILABLE, payload.without_body());
                self.tell(Side::A, signal, env);
            }
            (signal, phase) => tracing::debug!(?signal, ?phase, "leg A says out of turn"),
        }
    }
}

/// Where a phone's media may come from besides where its SDP says: the address that its SIP came from, as seen by the first
/// hop (`received` of the bottom Via, believed from trusted proxies only), or by ourselves when no proxy is between. `direct`: we
/// called it, and by no proxy.
pub(super) fn media_source(incoming: &Incoming, direct: bool) -> Option<IpAddr> {
    let headers = incoming.message.headers();
    match &incoming.message {
        Message::Request(_) => {
            let vias: Vec<Text> = headers.values("Via").collect();
            let bottom = crate::sip::Via::parse(vias.last()?.clone()).ok()?;
            if vias.len() == 1 {
                return Some(incoming.source.remote.ip());
            }
            let seen = bottom.received().or_else(|| bottom.host.to_str().parse().ok());
            seen.filter(|_| incoming.trusted)
        }
        // A response bears only our own Via. It came straight from the phone if nobody stood in its way.
        Message::Response(response) => {
            let direct = direct
                && !headers.contains("Record-Route")
                && response.status != Status::TRYING
                && !response.body.is_empty();
            direct.then(|| incoming.source.remote.ip())
        }
    }
}

impl Call {
    /// The failure of an exchange that no leg can be told of as a refusal.
    pub(super) fn unkeyed() -> Cause {
        Cause::of(Kind::NotAcceptable, Origin::Local)
    }
    pub(super) fn no_body() -> Failure {
        not_acceptable(Origin::LegB, "answer without SDP")
    }
}
