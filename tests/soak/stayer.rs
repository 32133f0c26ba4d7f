//! The called party as the one who stays where the server itself executes a transfer (`transfer-mode=execute`): it knows nothing of
//! REFER. Somebody calls it as the target, it is offered another description in the call that it has, and after a while it goes.

use crate::party::{Heard, Party};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

/// How long the two talk whom the server has joined: who asked for it hears meanwhile what became of it, even if that is lost once.
const TALK: Duration = Duration::from_secs(2);
/// RFC 3261's T1.
const T1: Duration = Duration::from_millis(500);

/// Calls that the server has placed to execute transfers, and the ones that they were joined with.
#[derive(Default)]
pub(crate) struct Stayer {
    /// By the Call-ID: those in which this party is the target.
    targets: HashSet<String>,
    /// By the Call-ID: those in which it stays, with the BYE that waits for its time or for its answer.
    joined: HashMap<String, Option<(String, Instant)>>,
}

impl Stayer {
    /// Looks at an INVITE that is going to be answered.
    pub(crate) fn invited(&mut self, party: &Party, invite: &Heard) {
        let (to, call_id) = (invite.field("To"), invite.field("Call-ID"));
        if !to.contains(";tag=") {
            if !invite.field("Referred-By").is_empty() {
                self.targets.insert(call_id);
            }
        } else if to.contains("sip:answer-transfer") && !self.joined.contains_key(&call_id) {
            // Who is transferred is offered nothing else in the call.
            let bye = party.within("BYE", 1, invite);
            self.joined.insert(call_id, Some((bye, Instant::now() + TALK)));
        }
    }
    /// Whether this is a response to a BYE of this party.
    pub(crate) fn responded(&mut self, heard: &Heard) -> bool {
        if !heard.0.starts_with("SIP/2.0 ") {
            return false;
        }
        let Some(bye) = self.joined.get_mut(&heard.field("Call-ID")) else {
            return false;
        };
        let accepted = heard.0.starts_with("SIP/2.0 200") && heard.field("CSeq") == "1 BYE";
        assert!(accepted, "{}", heard.0);
        *bye = None;
        true
    }
    /// Hangs up where it is time, and says again what was not answered.
    pub(crate) fn hang_up(&mut self, party: &mut Party) {
        for (bye, due) in self.joined.values_mut().flatten() {
            if *due <= Instant::now() {
                *due = Instant::now() + T1;
                party.send(bye);
            }
        }
    }
    /// How many targets the server has called for a transfer, and how many of them took the place of who asked for it.
    pub(crate) fn executed(&self) -> (usize, usize) {
        (self.targets.len(), self.joined.len())
    }
}
