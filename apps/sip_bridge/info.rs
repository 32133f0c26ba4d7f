//! What `SIP_BRIDGE INFO` says: providers with their accounts, each with how it is.

use super::{bridge::Bridge, lines::Lines};
use serde_json::{Value, json};

impl Bridge {
    /// Upstream's answer: its keys, its words.
    pub(super) fn info(&self) -> Value {
        let providers = self.providers.iter().map(|provider| {
            let pool = self.pools.get(provider.plan.pool);
            let accounts = pool.map(|pool| pool.info()).unwrap_or_default();
            json!({"name": provider.plan.name, "accounts": accounts})
        });
        json!({"providers": providers.collect::<Vec<_>>()})
    }
}

impl Lines {
    /// Its accounts. Lines and registration are told of those only that are good for calls, as upstream does.
    fn info(&self) -> Vec<Value> {
        let lines = self.all();
        let account = |line: &super::lines::Line| {
            let address = line.key();
            match self.status(line) {
                Some(status) => json!({"address": address, "status": status.to_string()}),
                None => json!({
                    "address": address,
                    "status": "OK",
                    "registerEnabled": self.registers(),
                    "freeSlots": self.free(line),
                }),
            }
        };
        lines.iter().map(account).collect()
    }
}
