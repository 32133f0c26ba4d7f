//! The order of SRV and NAPTR records.

use crate::sip::{Ids, routing::Transport};

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Srv {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) target: String,
}

/// One NAPTR record, as far as RFC 3263 §4.1 needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Naptr {
    pub(super) order: u16,
    pub(super) preference: u16,
    pub(super) flags: String,
    pub(super) services: String,
    pub(super) replacement: String,
}

/// Puts SRV records in the order to try them: the lowest priority first, among equals by chance in proportion to weight
/// (RFC 2782, "Usage rules"). A lone `.` says that there is no such service.
pub(super) fn srv(mut records: Vec<Srv>, ids: &mut Ids) -> Vec<Srv> {
    records.retain(|record| record.target != "." && !record.target.is_empty());
    // Weight 0 stands first among equals, so that it has a chance when the dice show 0.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut order = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let equals = records
            .iter()
            .take_while(|record| record.priority == priority)
            .count();
        let total: u64 = records
            .iter()
            .take(equals)
            .map(|record| u64::from(record.weight))
            .sum();
        let dice = ids.below(total + 1);
        let mut running = 0;
        let chosen = records
            .iter()
            .take(equals)
            .position(|record| {
                running += u64::from(record.weight);
                running >= dice
            })
            .unwrap_or(0);
        order.push(records.remove(chosen));
    }
    order
}

/// The SRV names that NAPTR records lead to, best first, with the transport of each: those that we can do.
pub(super) fn naptr(mut records: Vec<Naptr>) -> Vec<(Transport, String)> {
    records.sort_by_key(|record| (record.order, record.preference));
    records
        .into_iter()
        .filter(|record| record.flags.eq_ignore_ascii_case("s"))
        .filter_map(|record| {
            let transport = match record.services.to_ascii_uppercase().as_str() {
                "SIP+D2U" => Transport::Udp,
                "SIP+D2T" => Transport::Tcp,
                "SIPS+D2T" => Transport::Tls,
                _ => return None,
            };
            Some((transport, record.replacement))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> Srv {
        Srv {
            priority,
            weight,
            port: 5060,
            target: target.into(),
        }
    }

    #[test]
    fn lower_priority_comes_first_whatever_the_weight() {
        let mut ids = Ids::seeded(1);
        for _ in 0..100 {
            let records = vec![
                record(20, 1000, "late"),
                record(10, 0, "first"),
                record(30, 5, "last"),
            ];
            let order: Vec<String> = srv(records, &mut ids).into_iter().map(|r| r.target).collect();
            assert_eq!(order, ["first", "late", "last"]);
        }
    }

    #[test]
    fn among_equals_weight_is_the_chance_of_being_first() {
        let mut ids = Ids::seeded(2);
        let heavy_first = (0..10_000)
            .filter(|_| {
                let records = vec![record(1, 25, "light"), record(1, 75, "heavy")];
                srv(records, &mut ids).first().map(|r| r.target.clone()) == Some("heavy".into())
            })
            .count();
        assert!((7_200..7_800).contains(&heavy_first), "{heavy_first}");
    }

    #[test]
    fn nothing_is_lost_and_a_lone_dot_means_no_service() {
        let mut ids = Ids::seeded(3);
        let records = (0..20).map(|n| record(n % 3, n, &format!("t{n}"))).collect();
        assert_eq!(srv(records, &mut ids).len(), 20);
        assert!(srv(vec![record(0, 0, ".")], &mut ids).is_empty());
    }

    #[test]
    fn naptr_gives_the_transports_that_we_have_in_their_order() {
        let record = |order, preference, flags: &str, services: &str, replacement: &str| Naptr {
            order,
            preference,
            flags: flags.into(),
            services: services.into(),
            replacement: replacement.into(),
        };
        let found = naptr(vec![
            record(20, 10, "s", "SIP+D2U", "udp"),
            record(10, 20, "S", "sip+d2t", "tcp"),
            record(10, 10, "s", "SIPS+D2T", "tls"),
            record(5, 1, "u", "E2U+sip", "enum"),
        ]);
        assert_eq!(
            found,
            [
                (Transport::Tls, "tls".to_owned()),
                (Transport::Tcp, "tcp".to_owned()),
                (Transport::Udp, "udp".to_owned())
            ]
        );
    }
}
