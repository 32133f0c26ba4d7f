//! Session timers of one leg (RFC 4028): a session that nobody refreshes is over, so that no call outlives its parties.
//!
//! Each leg has its own, whatever the other one's peer can do. We refresh whenever we may choose: then a peer only has to
//! answer. A peer that knows nothing of session timers is asked all the same (§7.2): whoever is gone does not answer.

use super::{Cause, Env, Failure, Leg, Origin, Phase, Purpose, Signal};
use crate::{
    call::failure::Kind,
    sip::{
        Headers, Method, Response, Status,
        replaces::REPLACES,
        session::{self, Refresher, SessionExpires},
    },
};
use std::time::{Duration, Instant};

/// No session is to be shorter (RFC 4028 §5).
const SHORTEST: u32 = 90;
/// Between two tries to refresh, at least.
const PAUSE: Duration = Duration::from_secs(5);

/// What the configuration says of session timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimers {
    /// What we ask for, in seconds; `None`: nothing, and only what a peer asks for counts.
    pub expires: Option<u32>,
    /// Who asks for less, in seconds, is refused with 422.
    pub min_se: u32,
}

impl Default for SessionTimers {
    /// None are asked for.
    fn default() -> Self {
        Self {
            expires: None,
            min_se: SHORTEST,
        }
    }
}

/// The session timer of a leg.
#[derive(Debug)]
pub(super) struct Session {
    settings: SessionTimers,
    /// The longest Min-SE that a peer or a proxy has asked for.
    least: u32,
    /// The peer takes UPDATE.
    updates: bool,
    /// The peer takes INFO, by its own word.
    infos: bool,
    /// The peer takes an INVITE with Replaces, by its own word.
    replaces: bool,
    clock: Option<Clock>,
}

/// A session that expires.
#[derive(Clone, Copy, Debug)]
struct Clock {
    seconds: u32,
    /// When we refresh next; `None`: the peer does.
    ours: Option<Instant>,
    /// The peer knows of it. Else it is for our own sake alone, and all that counts is that somebody is there.
    agreed: bool,
    end: Instant,
}

/// What we agree to in a 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    value: SessionExpires,
    /// The peer is told.
    told: bool,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Refresh,
    Expired,
}

impl Session {
    pub(super) fn new(settings: SessionTimers) -> Self {
        Self {
            settings,
            least: settings.min_se.max(SHORTEST),
            updates: false,
            infos: false,
            replaces: false,
            clock: None,
        }
    }

    /// Notes what a message's sender takes, if it says what it takes: INFO, and Replaces.
    pub(super) fn note_abilities(&mut self, headers: &Headers) {
        if headers.contains("Allow") {
            self.infos = headers.values("Allow").any(|method| method.as_bytes() == b"INFO");
        }
        if headers.contains("Supported") {
            let mut tags = headers.values("Supported");
            self.replaces = tags.any(|tag| tag.eq_ignore_ascii_case(REPLACES.as_bytes()));
        }
    }
    pub(super) const fn takes_replaces(&self) -> bool {
        self.replaces
    }
    pub(super) const fn takes_infos(&self) -> bool {
        self.infos
    }

    /// Notes whether a message's sender takes UPDATE, if it says what it takes.
    pub(super) fn note(&mut self, headers: &Headers) {
        if headers.contains("Allow") {
            self.updates = headers
                .values("Allow")
                .any(|method| method.as_bytes() == b"UPDATE");
        }
    }

    /// Whether the peer takes UPDATE, as far as it has said so.
    pub(super) fn updates(&self) -> bool {
        self.updates
    }

    /// What an INVITE or UPDATE of ours says.
    pub(super) fn dress(&self, headers: &mut Headers) {
        headers.push("Supported", session::TIMER);
        headers.push("Supported", REPLACES);
        let (seconds, refresher) = match self.clock {
            Some(Clock { seconds, ours, .. }) => {
                let refresher = if ours.is_some() {
                    Refresher::Uac
                } else {
                    Refresher::Uas
                };
                (seconds, Some(refresher))
            }
            // The first request leaves it to the other side (§7.1).
            None => match self.settings.expires {
                Some(seconds) => (seconds, None),
                None => return,
            },
        };
        let value = SessionExpires {
            seconds: seconds.max(self.least),
            refresher,
        };
        headers.push("Session-Expires", value.to_text());
        if self.least > SHORTEST {
            headers.push("Min-SE", self.least.to_string());
        }
    }

    /// A 422 to a request of ours: it is to be said again with what it asks for. `false`: it asks for nothing more.
    pub(super) fn raise(&mut self, refusal: &Headers, request: &mut Headers) -> bool {
        let Some(least) = session::min_se(refusal).filter(|least| *least > self.least) else {
            return false;
        };
        let Some(said) = SessionExpires::of(request) else {
            return false;
        };
        self.least = least;
        let value = SessionExpires {
            seconds: said.seconds.max(least),
            ..said
        };
        request.set("Session-Expires", value.to_text());
        request.set("Min-SE", least.to_string());
        true
    }

    /// What an INVITE or UPDATE of the peer gets, should it be accepted (§9).
    ///
    /// # Errors
    /// 422: the interval is too short.
    pub(super) fn answer(&self, request: &Headers) -> Result<Option<Agreed>, Failure> {
        let timer = session::is_supported(request);
        let asked = SessionExpires::of(request);
        let short = asked.is_some_and(|asked| asked.seconds < self.settings.min_se.max(SHORTEST));
        if short && timer {
            let failure = Failure::new(Status::SESSION_INTERVAL_TOO_SMALL, Origin::Local, Kind::Protocol);
            return Err(failure.with("Min-SE", self.settings.min_se.max(SHORTEST).to_string()));
        }
        let least = session::min_se(request).unwrap_or(SHORTEST).max(SHORTEST);
        let own = self.settings.expires.map(|own| own.max(least));
        // A proxy's wish that its caller would not understand a refusal of.
        let asked = asked.filter(|_| !short);
        let value = match (asked, own) {
            (Some(asked), own) => SessionExpires {
                seconds: own.map_or(asked.seconds, |own| asked.seconds.min(own)),
                // The peer refreshes only if it wants to, and can.
                refresher: asked
                    .refresher
                    .filter(|wanted| timer && *wanted == Refresher::Uac)
                    .or(Some(Refresher::Uas)),
            },
            (None, Some(seconds)) => SessionExpires {
                seconds,
                refresher: Some(Refresher::Uas),
            },
            (None, None) => return Ok(None),
        };
        Ok(Some(Agreed {
            value,
            told: timer || asked.is_some(),
        }))
    }

    /// We have accepted an INVITE or UPDATE of the peer like that.
    pub(super) fn agree(&mut self, agreed: Option<Agreed>, now: Instant) {
        self.clock = agreed.map(|Agreed { value, told }| Clock {
            agreed: told,
            ..Clock::new(value.seconds, value.refresher == Some(Refresher::Uas), now)
        });
    }

    /// The peer has accepted an INVITE or UPDATE of ours.
    pub(super) fn accepted(&mut self, response: &Headers, now: Instant) {
        self.note(response);
        let own = self.settings.expires.map(|own| own.max(self.least));
        self.clock = match (SessionExpires::of(response), own) {
            (Some(said), _) => Some(Clock::new(
                said.seconds,
                said.refresher != Some(Refresher::Uas),
                now,
            )),
            // §7.2: for our own sake.
            (None, Some(own)) => Some(Clock {
                agreed: false,
                ..Clock::new(own, true, now)
            }),
            (None, None) => None,
        };
    }

    /// The peer has refused an INVITE or UPDATE of ours, so it is there. Where it has agreed to no timer, that is what was asked.
    pub(super) fn refused(&mut self, status: Status, now: Instant) {
        // RFC 5057 §5.1: these say that it is not, and 503 and 504 that nobody knows.
        let gone = matches!(
            status.code(),
            404 | 408 | 410 | 416 | 480..=485 | 502..=504 | 604
        );
        if let Some(clock) = self.clock.filter(|clock| !clock.agreed && !gone) {
            self.clock = Some(Clock {
                agreed: false,
                ..Clock::new(clock.seconds, true, now)
            });
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let clock = self.clock?;
        Some(clock.ours.unwrap_or(clock.end).min(clock.end))
    }

    /// The peer has nothing against UPDATE, it said; now it has.
    fn refuses_updates(&mut self, now: Instant) {
        self.updates = false;
        if let Some(Clock { ours: Some(next), .. }) = &mut self.clock {
            *next = now;
        }
    }

    fn due(&mut self, now: Instant) -> Option<Due> {
        let clock = self.clock.as_mut()?;
        if clock.end <= now {
            self.clock = None;
            return Some(Due::Expired);
        }
        let next = clock.ours.as_mut().filter(|next| **next <= now)?;
        // Should this one fail, there is another try in half of the time that is left.
        *next = now + ((clock.end - now) / 2).max(PAUSE);
        Some(Due::Refresh)
    }
}

impl Clock {
    fn new(seconds: u32, ours: bool, now: Instant) -> Self {
        let interval = Duration::from_secs(seconds.max(SHORTEST).into());
        // §10: the BYE goes before the end, so that both sides end at once.
        let margin = Duration::from_secs(32).min(interval / 3);
        Self {
            seconds,
            ours: ours.then_some(now + interval / 2),
            agreed: true,
            end: now + interval - margin,
        }
    }
}

impl Agreed {
    /// What the 2xx says.
    pub(super) fn dress(self, headers: &mut Headers) {
        if self.told {
            // §9: whoever is to refresh must know.
            if self.value.refresher == Some(Refresher::Uac) {
                headers.push("Require", session::TIMER);
            }
            headers.push("Session-Expires", self.value.to_text());
        }
    }
}

impl Leg {
    /// The session is to be refreshed, or over.
    pub(super) fn session_due(&mut self, env: &mut Env<'_>) {
        if !matches!(self.phase, Phase::Up(_)) {
            return;
        }
        match self.session.due(env.now) {
            Some(Due::Refresh) if self.is_refreshing() => {}
            // Whichever of the two came in last would be refused (RFC 3261 §12.2.2), and the re-INVITE refreshes as well.
            Some(Due::Refresh) if self.is_inviting() => {}
            Some(Due::Refresh) if self.session.updates => self.update(env),
            // The leg does not know what was said last on it, and what comes back may be news for the other.
            Some(Due::Refresh) => self.say(Signal::Refresh),
            Some(Due::Expired) => {
                let cause = Cause {
                    reasons: vec!["SIP;cause=408;text=\"Session expired\"".into()],
                    ..Cause::of(Kind::Timeout, self.origin())
                };
                self.hang_up(&cause, env);
                self.say(Signal::Hangup(cause));
            }
            None => {}
        }
    }

    fn is_refreshing(&self) -> bool {
        self.outbound
            .iter()
            .any(|outbound| outbound.purpose == Purpose::Refresh && !outbound.done)
    }

    /// A re-INVITE is on its way, of which nobody knows whether it has arrived.
    fn is_inviting(&self) -> bool {
        self.outbound
            .iter()
            .any(|outbound| outbound.purpose == Purpose::Offer && outbound.is_unheard())
    }

    /// Refreshes by UPDATE without a description (RFC 3311 §5.1): nothing that could collide with an offer.
    fn update(&mut self, env: &mut Env<'_>) {
        let outbound = self.target_refresh(Method::Update, Purpose::Refresh);
        self.request(outbound, env);
    }

    /// The final response to our UPDATE.
    pub(super) fn refresh_response(&mut self, response: &Response, env: &mut Env<'_>) {
        if !matches!(self.phase, Phase::Up(_)) {
            return;
        }
        match response.status {
            status if status.is_success() => {
                self.dialog.refresh(&response.headers);
                self.session.accepted(&response.headers, env.now);
            }
            status @ (Status::CALL_DOES_NOT_EXIST | Status::REQUEST_TIMEOUT) => self.lost(status, env),
            Status::METHOD_NOT_ALLOWED | Status::NOT_IMPLEMENTED => self.session.refuses_updates(env.now),
            // While there is time it is tried again.
            status => {
                tracing::debug!(side = ?self.side, %status, "session refresh refused");
                self.session.refused(status, env.now);
            }
        }
    }

    /// Our UPDATE got no answer.
    pub(super) fn refresh_failed(&mut self, failure: &Failure, env: &mut Env<'_>) {
        if failure.kind == Kind::Timeout && matches!(self.phase, Phase::Up(_)) {
            self.lost(Status::REQUEST_TIMEOUT, env);
        }
    }
}
