//! Where the target of a transfer is: the application is asked as if the transferor called, and the routes that it gives are tried.

use super::*;

impl Call {
    /// Asks where a guest is, when one is wanted. `true`: nothing else is to be asked now.
    pub(in crate::call::bridge) fn ask_for_guest(&mut self) -> bool {
        match self.rebridge.as_ref().map(|rebridge| &rebridge.stage) {
            Some(Stage::Wanted) => {}
            Some(Stage::Knocking(_)) => {
                self.ask_to_admit();
                return true;
            }
            _ => return false,
        }
        let invite = self.invite_of_transferor();
        let (Some(invite), Some(rebridge)) = (invite, &mut self.rebridge) else {
            return false;
        };
        rebridge.stage = Stage::Asked;
        self.ask(Question::Route(Box::new(invite)));
        true
    }

    /// The call that the transferor would make itself: by its own right, and keyed as whom it is made for.
    fn invite_of_transferor(&self) -> Option<Invite> {
        let rebridge = self.rebridge.as_ref()?;
        let mut members = self.members.iter();
        let member = members.find(|member| *member.leg.call_id() == rebridge.transferor)?;
        let dialog = member.leg.dialog();
        let target = rebridge.refer_to.as_ref()?.target();
        let from = NameAddr::parse(dialog.remote.clone()).ok()?;
        let to = NameAddr::of(target.clone());
        let mut request = Request::new(Method::Invite, target);
        let number = CSeq {
            number: 1,
            method: Method::Invite,
        };
        let headers = &mut request.headers;
        headers.push("From", from.to_text());
        headers.push("To", to.to_text());
        headers.push("Call-ID", dialog.call_id.clone());
        headers.push("CSeq", number.to_text());
        headers.push("Max-Forwards", self.max_forwards.to_string());
        if let Some(referred_by) = &rebridge.referred_by {
            headers.push("Referred-By", referred_by.clone());
        }
        Some(Invite {
            request,
            source: member.source?,
            own: None,
            from,
            to,
            encryption: self.media.agreed().encryption(rebridge.by.other()),
        })
    }

    /// Whether a verdict is about a guest.
    pub(in crate::call::bridge) fn awaits_for_guest(&self, verdict: &Verdict) -> bool {
        let stage = self.rebridge.as_ref().map(|rebridge| &rebridge.stage);
        matches!(
            (verdict, stage),
            (Verdict::Route(_), Some(Stage::Asked))
                | (Verdict::Rescue(_), Some(Stage::Rescuing(_)))
                | (Verdict::Handover(_), Some(Stage::Admitting(_)))
        )
    }

    /// The application has said where the guest is.
    pub(in crate::call::bridge) fn guest_decided(&mut self, verdict: Verdict, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return tracing::debug!("a verdict that nobody waits for");
        };
        let stage = std::mem::replace(&mut rebridge.stage, Stage::LookingUp);
        let none = Failure::of(Kind::Internal, Origin::App).because("no route");
        let (routes, failure) = match (verdict, stage) {
            (Verdict::Route(Decision::Bridge(routes)), Stage::Asked) => (routes, none),
            (Verdict::Route(Decision::Decline(failure)), Stage::Asked) => (Vec::new(), failure),
            (Verdict::Route(Decision::Redirect(_)), Stage::Asked) => {
                let moved = Failure::new(Status::MOVED_TEMPORARILY, Origin::App, Kind::Declined);
                (Vec::new(), moved)
            }
            (Verdict::Rescue(Rescue::Try(routes)), Stage::Rescuing(failure)) => (routes, failure),
            (Verdict::Rescue(Rescue::Replace(failure)), Stage::Rescuing(_)) => (Vec::new(), failure),
            (Verdict::Rescue(_), Stage::Rescuing(failure)) => (Vec::new(), failure),
            (verdict, stage) => {
                rebridge.stage = stage;
                return tracing::debug!(?verdict, "a verdict that nobody waits for");
            }
        };
        rebridge.routes = routes.into();
        self.try_next_guest(failure, env);
    }

    /// Tries the next route to the target; without one it has failed.
    pub(super) fn try_next_guest(&mut self, failure: Failure, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        rebridge.later.clear();
        let more = !self.draining && rebridge.attempts < MAX_ATTEMPTS;
        let Some(mut route) = rebridge.routes.pop_front().filter(|_| more) else {
            return self.transfer_failed(&failure, env);
        };
        rebridge.attempts += 1;
        rebridge.stage = Stage::LookingUp;
        let (by, referred_by, replaces) = (
            rebridge.by,
            rebridge.referred_by.clone(),
            rebridge.replaces.clone(),
        );
        if let Some(replaces) = replaces {
            route.headers.set("Replaces", replaces.to_text());
        }
        // Where the application leaves the caller as it is, the target sees who it is going to talk to, and by whom.
        if let Some((transferor, stays)) = self.identities(by)
            && route.from.uri == transferor.uri
        {
            route.from = stays;
            if let Some(referred_by) = referred_by.filter(|_| !route.private)
                && !route.headers.contains("Referred-By")
            {
                route.headers.push("Referred-By", referred_by);
            }
        }
        let hop = NextHop::first(&route.route, &route.target).by(route.own.as_ref());
        self.record.tries(route.target.as_text().clone());
        if let Some(rebridge) = &mut self.rebridge {
            rebridge.route = Some(route);
        }
        self.look_up(Side::B, Asker::Guest, hop, None);
    }

    /// Who the party of a side is, and as whom it knows the other one.
    fn identities(&self, side: Side) -> Option<(NameAddr, NameAddr)> {
        let transferor = &self.rebridge.as_ref()?.transferor;
        let mut members = self.members.iter();
        let member =
            members.find(|member| member.leg.call_id() == transferor && member.leg.side() == side)?;
        let dialog = member.leg.dialog();
        let read = |text: &Text| {
            let address = NameAddr::parse(text.clone()).ok()?;
            Some(NameAddr {
                uri: address.uri.without_headers(),
                ..address.without_params()
            })
        };
        Some((read(&dialog.remote)?, read(&dialog.local)?))
    }

    /// The first hop's addresses are known.
    pub(in crate::call::bridge) fn guest_targets(
        &mut self,
        targets: Result<Vec<Target>, LookupError>,
        env: &mut Env<'_>,
    ) {
        if !matches!(&self.rebridge, Some(rebridge) if matches!(rebridge.stage, Stage::LookingUp)) {
            return tracing::debug!("targets for an attempt that is over");
        }
        match targets {
            Ok(targets) if !targets.is_empty() => self.dial_guest(targets, env),
            Ok(_) => self.guest_failed(Failure::of(Kind::Unreachable, Origin::Local), env),
            Err(error) => self.guest_failed(Failure::of_lookup(&error), env),
        }
    }

    /// Calls the target at those addresses where media would live at the same address of ours; the others come after them.
    pub(super) fn dial_guest(&mut self, mut targets: Vec<Target>, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        let Some(local) = targets.first().map(|target| target.local) else {
            return;
        };
        rebridge.later = targets.extract_if(.., |target| target.local != local).collect();
        self.call_guest(targets, env);
    }

    /// Calls the target, once there are ports for what it is offered.
    pub(super) fn call_guest(&mut self, targets: Vec<Target>, env: &mut Env<'_>) {
        let Some(by) = self.rebridge.as_ref().map(|rebridge| rebridge.by) else {
            return;
        };
        let Some(local) = targets.first().map(|target| target.local) else {
            return;
        };
        let streams = self.media.streams_to_offer(by);
        let Some(Next::Dial(targets)) = self.with_ports(local, &streams, Next::Dial(targets)) else {
            return;
        };
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        let Some(route) = &mut rebridge.route else {
            return;
        };
        let terms = (&route.media, &*self.settings.suites);
        let (guest, offer) = match self.media.invite_guest(by, local, terms, env) {
            Ok(invited) => invited,
            Err(failure) => return self.guest_failed(failure, env),
        };
        let profile = self.settings.profile.clone();
        let body = Body::Offer(offer);
        let leg = Leg::dial(by, route, body, targets, self.max_forwards, profile, env);
        rebridge.leg = Some(leg.call_id().clone());
        rebridge.guest = Some(guest);
        rebridge.early = None;
        rebridge.stage = Stage::Dialling;
        let target = route.target.to_string();
        self.members.push(Member::called(leg, Place::Guest, route));
        self.event(CallEvent::Dialled { target });
    }
}
