//! One table per diagram of RFC 3261 §17 and RFC 6026: what happens at which millisecond, and what must come of it.

mod table;

use super::*;
use crate::sip::timers::Timers;
use table::*;

#[expect(
    clippy::disallowed_methods,
    reason = "an origin for virtual time; nothing waits"
)]
fn start() -> Instant {
    Instant::now()
}

#[test]
fn invite_client_follows_figure_5_and_rfc_6026() {
    let start = start();
    let udp = || ClientInvite::start(Bytes::from_static(b"INVITE"), false, Timers::default(), start);
    let tcp = || ClientInvite::start(Bytes::from_static(b"INVITE"), true, Timers::default(), start);
    let all_of_timer_a = "500 send INVITE, 1500 send INVITE, 3500 send INVITE, 7500 send INVITE, 15500 send INVITE, \
                          31500 send INVITE, 32000 timeout";
    check(
        "UDP, silence: A doubles, B ends",
        udp(),
        start,
        &[(40_000, In::Wait, all_of_timer_a)],
        Some(32_000),
    );
    check(
        "TCP, silence: B alone",
        tcp(),
        start,
        &[(40_000, In::Wait, "32000 timeout")],
        Some(32_000),
    );
    check(
        "UDP, ringing stops A and B",
        udp(),
        start,
        &[
            (400, In::Code(100), "pass"),
            (90_000, In::Code(180), "pass"),
            (90_000, In::Code(180), "pass"),
        ],
        None,
    );
    check(
        "UDP, refused: each repetition is acknowledged, D ends",
        udp(),
        start,
        &[
            (100, In::Code(180), "pass"),
            (200, In::Code(486), "send ACK, pass"),
            (700, In::Code(486), "send ACK"),
            (800, In::Code(500), "send ACK"),
            (900, In::Code(180), "-"),
            (901, In::Code(200), "-"),
        ],
        Some(32_200),
    );
    check(
        "TCP, refused: over at once",
        tcp(),
        start,
        &[(200, In::Code(404), "send ACK, pass"), (300, In::Code(404), "-")],
        Some(200),
    );
    for (name, machine) in [("UDP, accepted", udp()), ("TCP, accepted", tcp())] {
        check(
            name,
            machine,
            start,
            &[
                (100, In::Code(200), "pass"),
                (150, In::Code(180), "-"),
                (160, In::Code(486), "-"),
                (600, In::Code(200), "pass"),
                (700, In::Code(202), "pass"),
            ],
            Some(32_100),
        );
    }
}

#[test]
fn other_clients_follow_figure_6() {
    let start = start();
    let udp = || Client::start(Bytes::from_static(b"BYE"), false, Timers::default(), start);
    let tcp = || Client::start(Bytes::from_static(b"BYE"), true, Timers::default(), start);
    let all_of_timer_e = "500 send BYE, 1500 send BYE, 3500 send BYE, 7500 send BYE, 11500 send BYE, 15500 send BYE, \
                          19500 send BYE, 23500 send BYE, 27500 send BYE, 31500 send BYE, 32000 timeout";
    check(
        "UDP, silence: E to T2, F ends",
        udp(),
        start,
        &[(40_000, In::Wait, all_of_timer_e)],
        Some(32_000),
    );
    check(
        "TCP, silence: F alone",
        tcp(),
        start,
        &[(40_000, In::Wait, "32000 timeout")],
        Some(32_000),
    );
    check(
        "UDP, provisional: E goes on at T2, F still ends",
        udp(),
        start,
        &[
            (600, In::Code(100), "500 send BYE, pass"),
            (9_600, In::Wait, "1500 send BYE, 5500 send BYE, 9500 send BYE"),
            (
                33_000,
                In::Wait,
                "13500 send BYE, 17500 send BYE, 21500 send BYE, 25500 send BYE, 29500 send BYE, 32000 timeout",
            ),
        ],
        Some(32_000),
    );
    check(
        "UDP, answered: K absorbs repetitions",
        udp(),
        start,
        &[
            (100, In::Code(200), "pass"),
            (700, In::Code(200), "-"),
            (800, In::Code(481), "-"),
        ],
        Some(5_100),
    );
    check(
        "TCP, answered: over at once",
        tcp(),
        start,
        &[(100, In::Code(481), "pass"), (200, In::Code(481), "-")],
        Some(100),
    );
}

#[test]
fn invite_server_follows_figure_7_and_rfc_6026() {
    let start = start();
    let udp = || ServerInvite::new(false, Timers::default());
    let tcp = || ServerInvite::new(true, Timers::default());
    check(
        "UDP, proceeding repeats the last provisional response",
        udp(),
        start,
        &[
            (0, In::Request, "-"),
            (0, In::Code(100), "send 100"),
            (500, In::Request, "send 100"),
            (600, In::Code(180), "send 180"),
            (1_500, In::Request, "send 180"),
            (1_600, In::Ack, "-"),
        ],
        None,
    );
    let all_of_timer_g = "600 send 486, 1600 send 486, 3600 send 486, 7600 send 486, 11600 send 486, 15600 send 486, \
                          19600 send 486, 23600 send 486, 27600 send 486, 31600 send 486, 32100 timeout";
    check(
        "UDP, no ACK: G to T2, H ends",
        udp(),
        start,
        &[
            (100, In::Code(486), "send 486"),
            (40_000, In::Wait, all_of_timer_g),
        ],
        Some(32_100),
    );
    check(
        "TCP, no ACK: H alone",
        tcp(),
        start,
        &[
            (100, In::Code(486), "send 486"),
            (40_000, In::Wait, "32100 timeout"),
        ],
        Some(32_100),
    );
    check(
        "UDP, refused and acknowledged: I absorbs",
        udp(),
        start,
        &[
            (100, In::Code(404), "send 404"),
            (300, In::Request, "send 404"),
            (700, In::Ack, "600 send 404"),
            (800, In::Ack, "-"),
            (900, In::Request, "-"),
            (950, In::Code(200), "-"),
        ],
        Some(5_700),
    );
    check(
        "TCP, refused and acknowledged: over at once",
        tcp(),
        start,
        &[(100, In::Code(404), "send 404"), (700, In::Ack, "-")],
        Some(700),
    );
    for (name, machine) in [("UDP, accepted", udp()), ("TCP, accepted", tcp())] {
        check(
            name,
            machine,
            start,
            &[
                (100, In::Code(200), "send 200"),
                (200, In::Request, "-"),
                (600, In::Code(200), "send 200"),
                (650, In::Code(180), "-"),
                (660, In::Code(500), "-"),
                (700, In::Ack, "user-ack"),
                (800, In::Ack, "user-ack"),
            ],
            Some(32_100),
        );
    }
}

#[test]
fn other_servers_follow_figure_8() {
    let start = start();
    check(
        "UDP: repetitions get the last response, J ends",
        Server::new(false, Timers::default()),
        start,
        &[
            (0, In::Request, "-"),
            (100, In::Code(100), "send 100"),
            (200, In::Request, "send 100"),
            (300, In::Code(200), "send 200"),
            (400, In::Code(500), "-"),
            (20_000, In::Request, "send 200"),
        ],
        Some(32_300),
    );
    check(
        "TCP: over with the final response",
        Server::new(true, Timers::default()),
        start,
        &[(300, In::Code(200), "send 200"), (400, In::Request, "-")],
        Some(300),
    );
}

#[test]
fn late_wake_ups_do_not_burst() {
    let start = start();
    let mut machine = ClientInvite::start(Bytes::from_static(b"INVITE"), false, Timers::default(), start);
    let late = start + Duration::from_millis(20_000);
    assert!(matches!(machine.fire(late), Some(Fired::Send(_))));
    assert_eq!(machine.fire(late), None);
}
