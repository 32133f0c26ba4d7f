//! Who has what: calls, and what of theirs the wire can name.

use super::{inbox::Inbox, tombstones::Tombstones};
use crate::{
    call::Side,
    sip::{
        Request, Text,
        routing::{DialogKey, TransactionKey},
    },
};
use std::collections::{HashMap, HashSet};

/// How many there are, for who waits for the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) calls: usize,
    pub(super) tasks: usize,
}

/// What makes two INVITEs one that came over two paths (RFC 3261 §8.2.2.2). That the Request-URI counts is ours: a proxy
/// that forks one call to two users of ours sends two INVITEs which differ in nothing else, and they are two calls.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Origination {
    call_id: Text,
    from_tag: Text,
    cseq: u32,
    uri: Text,
}

/// Who has a dialog that somebody names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A call, on that side.
    Call(u64, Side),
    /// One that is over.
    Gone,
    /// No call here.
    Nobody,
}

/// A call's task, as the dispatcher knows it.
pub(super) struct Entry {
    pub(super) inbox: Inbox,
    /// Of the INVITE that began it, and of those that came for places in it.
    invites: Vec<TransactionKey>,
    origination: Option<Origination>,
    dialogs: Vec<DialogKey>,
    /// Calls of whose legs it has some, or had.
    lenders: Vec<u64>,
    pub(super) over: bool,
}

/// Who has what.
#[derive(Default)]
pub(super) struct Maps {
    pub(super) calls: HashMap<u64, Entry>,
    pub(super) dialogs: HashMap<DialogKey, (u64, Side)>,
    pub(super) invites: HashMap<TransactionKey, (u64, Side)>,
    /// Request-URIs of the INVITEs that opened dialogs of our own making.
    pub(super) invited: HashMap<DialogKey, Text>,
    pub(super) originations: HashMap<Origination, u64>,
    pub(super) tombstones: Tombstones,
    /// Calls that have not ended.
    pub(super) active: usize,
    /// Those of `calls` that are none: requests outside of calls, and subscriptions.
    pub(super) standalone: HashSet<u64>,
    /// Dialogs of our subscriptions to mailboxes.
    pub(super) mailboxes: HashSet<DialogKey>,
    last: u64,
    pub(super) stopping: bool,
    /// Messages that wait for the dispatcher.
    pub(super) waiting: usize,
}

impl Origination {
    /// Of an INVITE; a client of RFC 2543 may give too little to tell.
    pub(super) fn of(request: &Request) -> Option<Self> {
        Some(Self {
            call_id: request.headers.call_id().ok()?,
            from_tag: request.headers.from().ok()?.tag()?,
            cseq: request.headers.cseq().ok()?.number,
            uri: request.uri.as_text().clone(),
        })
    }
}

impl Maps {
    /// How many there are.
    pub(super) fn census(&self) -> Census {
        Census {
            calls: self.active,
            tasks: self.calls.len(),
        }
    }
    /// A request outside of any call begins what it begins. It is no call, but routed like one. One of our own has no transaction.
    pub(super) fn begin_standalone(&mut self, inbox: Inbox, key: Option<TransactionKey>) -> u64 {
        let number = self.begin(inbox, key, None);
        self.over(number);
        self.standalone.insert(number);
        number
    }
    /// A call begins.
    pub(super) fn begin(
        &mut self,
        inbox: Inbox,
        invite: Option<TransactionKey>,
        origination: Option<Origination>,
    ) -> u64 {
        self.last += 1;
        let number = self.last;
        self.active += 1;
        if let Some(invite) = &invite {
            self.invites.insert(invite.clone(), (number, Side::A));
        }
        if let Some(origination) = &origination {
            self.originations.insert(origination.clone(), number);
        }
        self.calls.insert(
            number,
            Entry {
                inbox,
                invites: invite.into_iter().collect(),
                origination,
                dialogs: Vec::new(),
                lenders: Vec::new(),
                over: false,
            },
        );
        number
    }
    /// Messages of a dialog belong to that side of that call.
    pub(super) fn add_dialog(&mut self, number: u64, side: Side, key: DialogKey) {
        if let Some(entry) = self.calls.get_mut(&number) {
            entry.dialogs.push(key.clone());
            self.dialogs.insert(key, (number, side));
        }
    }
    /// They belong to another call from now on, with what is left of the INVITE that began the dialog.
    pub(super) fn moves(&mut self, to: u64, side: Side, key: DialogKey, invite: Option<TransactionKey>) {
        if let Some(key) = invite
            && let Some((from, _)) = self.invites.get(&key).copied()
        {
            self.remove_invite(from, &key);
            self.add_invite(to, side, key);
        }
        if let Some((from, _)) = self.dialogs.get(&key).copied()
            && let Some(entry) = self.calls.get_mut(&from)
        {
            entry.dialogs.retain(|known| *known != key);
        }
        self.add_dialog(to, side, key);
    }
    /// No call is left that would hear of a dialog.
    pub(super) fn remove_dialog(&mut self, key: &DialogKey) {
        self.invited.remove(key);
        if let Some((number, _)) = self.dialogs.remove(key)
            && let Some(entry) = self.calls.get_mut(&number)
        {
            entry.dialogs.retain(|known| known != key);
        }
    }
    /// A call has given a leg of its own to another.
    pub(super) fn lends(&mut self, lender: u64, to: u64) {
        if let Some(entry) = self.calls.get_mut(&to)
            && !entry.lenders.contains(&lender)
        {
            entry.lenders.push(lender);
        }
    }
    /// Whose place an INVITE with Replaces is to take (RFC 3891 §3).
    pub(super) fn owner(&self, dialog: &DialogKey) -> Owner {
        let owner = self.dialogs.get(dialog).copied();
        let Some((number, side)) = owner.filter(|(number, _)| !self.standalone.contains(number)) else {
            return Owner::Nobody;
        };
        match self.calls.get(&number) {
            Some(entry) if !entry.over => Owner::Call(number, side),
            Some(_) => Owner::Gone,
            None => Owner::Nobody,
        }
    }
    /// An INVITE is of a call that is there.
    pub(super) fn add_invite(&mut self, number: u64, side: Side, key: TransactionKey) {
        if let Some(entry) = self.calls.get_mut(&number) {
            entry.invites.push(key.clone());
            self.invites.insert(key, (number, side));
        }
    }
    /// It is not, after all.
    pub(super) fn remove_invite(&mut self, number: u64, key: &TransactionKey) {
        if let Some(entry) = self.calls.get_mut(&number) {
            entry.invites.retain(|known| known != key);
            self.invites.remove(key);
        }
    }
    /// An INVITE of that call opens this dialog, which is known.
    pub(super) fn invited(&mut self, number: u64, key: DialogKey, uri: Text) {
        if self.calls.contains_key(&number) {
            self.invited.insert(key, uri);
        }
    }
    /// A call has ended; its task lingers for late messages.
    pub(super) fn over(&mut self, number: u64) {
        if let Some(entry) = self.calls.get_mut(&number)
            && !std::mem::replace(&mut entry.over, true)
        {
            self.active -= 1;
            if let Some(origination) = entry.origination.take() {
                self.originations.remove(&origination);
            }
        }
    }
    /// A call's task has ended: nothing finds it any more. Returns the calls that may want to know.
    pub(super) fn gone(&mut self, number: u64) -> Vec<u64> {
        self.over(number);
        let Some(entry) = self.calls.remove(&number) else {
            return Vec::new();
        };
        self.standalone.remove(&number);
        for key in entry.invites {
            self.invites.remove(&key);
        }
        for key in entry.dialogs {
            self.dialogs.remove(&key);
            self.invited.remove(&key);
        }
        entry.lenders
    }
}
