//! Generated malformed SIP in the manner of PROTOS (c07-sip): every part of an INVITE replaced by every kind of nonsense, over
//! UDP, TCP, TLS and secure WebSocket. Nothing may crash or hang: after each hundred cases a normal call works.
//!
//! The cases are the same in every run; a failure names its number.

#[path = "loopback/carriers.rs"]
mod carriers;
#[path = "malformed/cases.rs"]
mod cases;
#[path = "malformed/honest.rs"]
mod honest;
#[path = "loopback/party.rs"]
mod party;
#[path = "config/process.rs"]
mod process;
#[path = "loopback/server.rs"]
mod server;

use carriers::Authority;
use party::{Party, fresh};
use server::Server;
use std::time::Duration;

const TRANSPORTS: &str =
    "sip:127.0.0.1:0 sip:127.0.0.1:0;transport=tcp sips:127.0.0.1:0 sip:127.0.0.1:0;transport=wss";

#[test]
fn nothing_malformed_stops_the_server_from_taking_calls() {
    let authority = Authority::new();
    let callee = honest::Callee::start();
    let lines = format!("{}unanswered-timeout=1\nmax-calls=100000\n", authority.lines());
    let mut server = Server::quiet_on(TRANSPORTS, &format!("sip:{}", callee.address), &lines);
    let config = authority.client(false);
    let connect = |word: &str| match word {
        "UDP" => Party::udp("127.0.0.1", server.udp()),
        "TCP" => Party::tcp(server.tcp()),
        "TLS" => carriers::tls(config.clone(), server.tls()),
        _ => carriers::wss(config.clone(), server.wss()),
    };
    let words = ["UDP", "TCP", "TLS", "WSS"];
    let (mut counts, mut normal) = ([0_usize; 4], 0);
    let mut parties = words.map(connect);
    let cases = cases::all();
    assert!(cases.len() >= 5_000, "{} cases", cases.len());
    for (number, case) in cases.iter().enumerate() {
        // Each part and each kind of nonsense goes by every transport as the numbers run through both.
        let way = (number + number / 4) % 4;
        let bytes = case.bytes(words[way], &fresh("case"));
        let party = &mut parties[way];
        if !party.try_send(&bytes) {
            // The server has closed it, as it may after such bytes.
            *party = connect(words[way]);
            assert!(party.try_send(&bytes), "case {number}: a new connection takes it");
        }
        counts[way] += 1;
        // What comes back is read, so that nobody waits for us; a connection that ended begins anew.
        if number % 25 == 24 {
            for (party, word) in parties.iter_mut().zip(words) {
                while party.hear_within(Duration::from_millis(1)).is_some() {}
                if word != "UDP" {
                    *party = connect(word);
                }
            }
        }
        if number % 100 == 99 {
            let word = words[number / 100 % 4];
            let took = honest::call(&mut connect(word));
            assert!(took.is_some(), "a normal call by {word} after case {number}");
            normal += 1;
        }
    }
    assert_eq!(normal, cases.len() / 100);
    assert!(counts.iter().all(|&count| count >= 1_000), "{counts:?}");
    drop(parties);
    // Whatever they began has ended by its own timers.
    let gauges = server.until_within(Duration::from_secs(90), |gauges| {
        [
            "calls",
            "tasks",
            "dialogs",
            "transactions",
            "media-sessions",
            "connections",
        ]
        .iter()
        .all(|name| gauges[*name] == 0)
    });
    assert_eq!(gauges["faults"], 0, "{gauges:?}");
    assert!(gauges["faulty"] > 1_000, "they were malformed: {gauges:?}");
    println!("{} cases, {counts:?}: {gauges:?}", cases.len());
    server.service.signal(rustix::process::Signal::TERM);
    assert!(server.service.ended().success());
}
