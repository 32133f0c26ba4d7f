//! What a phone begins by itself.

use super::Phone;
use crate::testing::Sim;

impl Phone {
    /// Calls.
    pub fn call(&mut self, sim: &mut Sim, uri: &str) {
        self.call_with(sim, uri, "");
    }
    /// The same with header fields, whole lines with CRLF.
    pub fn call_with(&mut self, sim: &mut Sim, uri: &str, headers: &str) {
        self.show_certificate(sim);
        let user = sim.party(self.who).user.clone();
        let body = if self.offerless {
            String::new()
        } else {
            self.describe(&user, None)
        };
        let bytes = sim.party(self.who).invite(uri, headers, &body);
        self.asking = true;
        sim.send(self.who, bytes);
    }
    /// Offers what it wants now.
    pub fn reoffer(&mut self, sim: &mut Sim) {
        self.retry = None;
        self.show_certificate(sim);
        let user = sim.party(self.who).user.clone();
        let body = if self.offerless {
            String::new()
        } else {
            self.describe(&user, None)
        };
        let method = if self.by_update && !self.offerless {
            "UPDATE"
        } else {
            "INVITE"
        };
        let bytes = sim.party(self.who).request(method, "", &body);
        self.asking = true;
        sim.send(self.who, bytes);
    }
    /// Hangs up.
    pub fn hang_up(&mut self, sim: &mut Sim) {
        self.retry = None;
        let bytes = sim.party(self.who).request("BYE", "", "");
        self.ended = true;
        sim.send(self.who, bytes);
    }
}
