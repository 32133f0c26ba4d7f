//! One side of a passage: its half of the dialog, and how requests get there.

use super::super::{LegOutput, Profile, Session, Wire, auth::Account, nat};
use crate::{
    call::Env,
    sip::{
        Request, Uri,
        auth::Credentials,
        dialog::Dialog,
        routing::{NextHop, Own, Path, Source, Target},
    },
};
use std::{collections::VecDeque, sync::Arc};

/// See the module.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) dialog: Dialog,
    pub(super) out: VecDeque<LegOutput>,
    account: Option<Account>,
    /// Whose connection its requests go by.
    own: Option<Own>,
    /// Nothing but INVITE has one; a [`Wire`] wants it.
    session: Session,
    /// Asked for, not answered, in order.
    lookups: VecDeque<NextHop>,
    /// The last answer.
    resolved: Option<(NextHop, Vec<Target>)>,
    /// Where the peer's requests come from, where it is behind a NAT and its Contact is not.
    nat: Option<Uri>,
}

impl Half {
    pub(super) fn new(
        dialog: Dialog,
        credentials: Option<Arc<Credentials>>,
        own: Option<Own>,
        profile: &Profile,
    ) -> Self {
        Self {
            dialog,
            own,
            out: VecDeque::new(),
            account: credentials.map(|credentials| Account::new(credentials, [])),
            session: Session::new(profile.sessions),
            lookups: VecDeque::new(),
            resolved: None,
            nat: None,
        }
    }
    /// What requests and responses need to get on the wire.
    pub(super) fn wire<'a>(&'a mut self, profile: &'a Profile, env: &'a mut Env<'_>) -> Wire<'a> {
        Wire {
            out: &mut self.out,
            profile,
            account: self.account.as_ref(),
            cseq: &mut self.dialog.local_cseq,
            session: &mut self.session,
            now: env.now,
            ids: &mut *env.ids,
        }
    }
    /// Notes where the peer is: a SUBSCRIBE or NOTIFY is a target refresh (RFC 6665 §4.4.1).
    pub(super) fn note(&mut self, request: &Request, source: &Source) {
        self.dialog.refresh(&request.headers);
        self.nat = nat::caller(request, source);
    }
    /// How requests of the dialog are addressed, and where they go first.
    pub(super) fn path(&self) -> Path {
        let mut path = self.dialog.path();
        if let Some(nat) = self.nat.as_ref().filter(|_| path.route.is_empty()) {
            path.hop = NextHop::to(nat.clone());
        }
        path
    }
    /// The targets of a hop; `None` while they are looked up.
    pub(super) fn targets(&mut self, hop: &NextHop) -> Option<Vec<Target>> {
        if let Some((known, targets)) = &self.resolved
            && known == hop
        {
            return Some(targets.clone());
        }
        if !self.lookups.contains(hop) {
            self.lookups.push_back(hop.clone());
            self.out.push_back(LegOutput::Lookup(hop.by(self.own.as_ref())));
        }
        None
    }
    /// The hop whose lookup has been answered.
    pub(super) fn answered(&mut self) -> Option<NextHop> {
        self.lookups.pop_front()
    }
    pub(super) fn keep(&mut self, hop: NextHop, targets: Vec<Target>) {
        // The first that is looked up is where the route leads.
        if let Some(account) = &mut self.account {
            account.settle(targets.iter().map(|target| target.remote.ip()));
        }
        self.resolved = Some((hop, targets));
    }
    /// Ask again before the next request: where the peer was may not be where it is.
    pub(super) fn forget(&mut self) {
        self.resolved = None;
    }
}
