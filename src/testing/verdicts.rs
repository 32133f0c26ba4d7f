//! Who answers a call's questions in a [`Sim`](super::Sim).

use crate::{
    app::CallState,
    call::{
        Decision, Encryption, EncryptionPolicy, HeaderList, InCall, MediaPolicy, Outgoing, Question, Rescue,
        Verdict,
    },
    sip::{Headers, NameAddr},
};
use std::{
    fmt,
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// Who answers the questions.
pub enum Verdicts {
    /// An application.
    App(CallState),
    /// A function. `None`: no answer ever comes.
    Fixed(Box<dyn FnMut(Question) -> Option<Verdict>>),
}

impl Verdicts {
    /// Which header fields cross inside the call: those that the application names, or all extensions.
    pub(super) fn forwarded(&self) -> Arc<HeaderList> {
        match self {
            Self::App(state) => state.forwarded(),
            Self::Fixed(_) => Arc::new("X-*".parse().expect("a list")),
        }
    }
    /// The callee of leg A's To, keyed as the caller or as said.
    pub fn direct(encryption: EncryptionPolicy) -> Self {
        Self::routes(move |invite| vec![Self::outgoing(invite, encryption)])
    }
    /// What `routes` makes of the INVITE; failures are relayed.
    pub fn routes(mut routes: impl FnMut(&crate::call::Invite) -> Vec<Outgoing> + 'static) -> Self {
        Self::Fixed(Box::new(move |question| {
            Some(match question {
                Question::Route(invite) => Verdict::Route(Decision::Bridge(routes(&invite))),
                Question::Rescue(_) => Verdict::Rescue(Rescue::Relay),
                Question::InCall(_) => Verdict::InCall(InCall::Forward),
                Question::Handover(_) => Verdict::Handover(Ok(())),
            })
        }))
    }
    /// One route to the caller's To, identities as they are.
    pub fn outgoing(invite: &crate::call::Invite, encryption: EncryptionPolicy) -> Outgoing {
        Outgoing {
            target: invite.to.uri.clone(),
            route: Vec::new(),
            from: invite.from.without_params(),
            to: NameAddr::of(invite.to.uri.clone()),
            headers: Headers::default(),
            credentials: None,
            caller_credentials: None,
            own: None,
            private: false,
            stranger: None,
            body: None,
            media: MediaPolicy {
                encryption,
                ..MediaPolicy::default()
            },
            limits: crate::call::Limits::default(),
            lease: None,
        }
    }
    /// The policy of a word: `as-caller`, or one of the configuration's.
    pub fn policy(word: &str) -> Option<EncryptionPolicy> {
        match word {
            "as-caller" => Some(EncryptionPolicy::AsCaller),
            word => word.parse::<Encryption>().ok().map(EncryptionPolicy::Only),
        }
    }
    pub(super) fn answer(&mut self, question: Question) -> Option<Verdict> {
        match self {
            Self::Fixed(function) => function(question),
            Self::App(state) => {
                let mut context = Context::from_waker(Waker::noop());
                match pin!(state.ask(question)).poll(&mut context) {
                    Poll::Ready(verdict) => Some(verdict),
                    Poll::Pending => panic!("an application in a sim must answer at once"),
                }
            }
        }
    }
}

impl fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verdicts")
    }
}
