//! What one host can take, on the wire.

use crate::{
    MACHINE,
    party::{Party, fresh},
    server::Server,
};
use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

const NOWHERE: &str = "sip:127.0.0.1:9";

fn options(party: &Party) -> String {
    format!(
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{} h;rport;branch=z9hG4bK{}\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:a@b>\r\nCall-ID: {}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nUser-Agent: {}\r\nContent-Length: 0\r\n\r\n",
        party.transport(),
        fresh("b"),
        fresh("c"),
        "x".repeat(400)
    )
}

#[test]
fn a_stranger_is_heard_at_its_rate_and_a_trusted_host_always() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::quiet(NOWHERE, "trusted-hosts=127.0.0.1\nstranger-rate=10\n");
    for (host, rate) in [("127.0.0.2", Some(10)), ("127.0.0.1", None)] {
        let mut party = Party::udp(host, server.udp());
        let began = Instant::now();
        let mut answers = 0;
        for _ in 0..20 {
            for _ in 0..10 {
                party.send(&options(&party));
            }
            let patience = Duration::from_millis(if rate.is_some() { 20 } else { 2_000 });
            answers += (0..10)
                .take_while(|_| party.hear_within(patience).is_some())
                .count();
        }
        match rate {
            // Twice the rate at once, and the rate from then on.
            Some(rate) => {
                let most = rate * (3 + usize::try_from(began.elapsed().as_secs()).expect("few"));
                assert!(
                    (rate..=most).contains(&answers),
                    "{answers} answers, at most {most}"
                );
                assert!(server.gauges()["limited"] > 0);
            }
            None => assert_eq!(answers, 200),
        }
    }
}

#[test]
fn a_message_of_more_than_64_kb_is_answered_with_413_and_ends_its_connection() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::quiet(NOWHERE, "trusted-hosts=127.0.0.1\n");
    let mut party = Party::tcp(server.tcp());
    let fits = options(&party).replace("Content-Length: 0", "Content-Length: 60000");
    party.send(&format!("{fits}{}", "x".repeat(60_000)));
    party.expect("SIP/2.0 200");
    party.send(&options(&party).replace("Content-Length: 0", "Content-Length: 70000"));
    party.expect("SIP/2.0 413");
    server.until(|gauges| gauges["connections"] == 0);
}
