//! An INVITE that is given up.

use super::{
    Agent,
    client::{Client, Machine, Purpose},
};
use crate::{sip::transaction::Client as ClientOther, testing::Sim};

/// How far a CANCEL is.
#[derive(Debug)]
pub(super) enum Cancel {
    No,
    /// As soon as a provisional response comes (RFC 3261 §9.1).
    Wanted,
    Sent(ClientOther),
}

impl Agent {
    /// Gives up the INVITE that is open.
    pub(super) fn cancel(&mut self, sim: &mut Sim) {
        let open =
            |client: &Client| matches!(&client.machine, Machine::Invite(invite) if invite.is_pending());
        let Some(at) = self.clients.iter().position(open) else {
            return;
        };
        let Machine::Invite(invite) = &self.clients[at].machine else {
            return;
        };
        match self.clients[at].cancel {
            Cancel::Sent(_) => {}
            _ if invite.is_calling() => self.clients[at].cancel = Cancel::Wanted,
            _ => self.send_cancel(sim, at),
        }
    }
    pub(super) fn send_cancel(&mut self, sim: &mut Sim, at: usize) {
        let client = &self.clients[at];
        // RFC 3261 §9.1: To as in the INVITE.
        let to = match client.purpose {
            Purpose::Call => Some(format!("<{}>", client.uri)),
            _ => None,
        };
        let line = ("CANCEL", client.cseq, client.uri.as_str());
        let bytes = self.write(line, &client.branch, to.as_deref(), "", "");
        let machine = ClientOther::start(bytes.clone(), false, self.timers, sim.now);
        self.clients[at].cancel = Cancel::Sent(machine);
        sim.send(self.who, bytes);
    }
}
