//! `b2bua accounts`: the accounts of a running sip-bridge, for a person.

use super::calls::{columns, text};
use serde_json::Value;
use std::fmt::Write as _;

/// A table of accounts: of which provider, who, how they are, and how many calls they can take.
pub fn table(report: &Value) -> String {
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut rows = vec![["PROVIDER", "ACCOUNT", "STATUS", "FREE LINES"].map(str::to_owned)];
    let mut good = 0;
    for provider in array(&report["providers"]) {
        for account in array(&provider["accounts"]) {
            let status = text(&account, "/status").to_owned();
            let status = match account["registerEnabled"].as_bool() {
                Some(false) => "OK (not registered)".to_owned(),
                Some(true) | None => status,
            };
            good += usize::from(account["freeSlots"].is_number());
            rows.push([
                text(&provider, "/name").to_owned(),
                text(&account, "/address").to_owned(),
                status,
                account["freeSlots"]
                    .as_u64()
                    .map_or("-".to_owned(), |free| free.to_string()),
            ]);
        }
    }
    let mut out = columns(&rows);
    let _ = match rows.len() - 1 {
        1 => writeln!(out, "1 account, {good} good"),
        many => writeln!(out, "{many} accounts, {good} good"),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_which_accounts_are_good() {
        let report = serde_json::json!({"providers": [
            {"name": "to the world", "accounts": [
                {"address": "sip:+331@itsp.test", "status": "OK", "registerEnabled": true, "freeSlots": 2},
                {"address": "sip:+332@itsp.test", "status": "OK", "registerEnabled": false, "freeSlots": 0},
                {"address": "sip:+333@itsp.test", "status": "Registration failed: Bad credentials"}]}]});
        let table = table(&report);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5);
        for (line, parts) in [
            (1, &["to the world", "sip:+331@itsp.test", "OK", "2"][..]),
            (2, &["sip:+332@itsp.test", "OK (not registered)", "0"]),
            (
                3,
                &["sip:+333@itsp.test", "Registration failed: Bad credentials", "-"],
            ),
            (4, &["3 accounts, 2 good"]),
        ] {
            for part in parts {
                assert!(lines[line].contains(part), "{part}: {}", lines[line]);
            }
        }
    }
}
