//! The application as a whole. Upstream's tests and where their counterparts are: `tests/upstream.md`.
//!
//! Rows of the acceptance list and where they are tried:
//!
//! | row | tests |
//! |---|---|
//! | 21 registration | `registration::tests::weather` (a registrar that drops, delays, asks anew, finds the time too brief, says 503, restarts), `digest`, `tests/registrations/` |
//! | 22 identity | [`trunks`]`::each_recipe_makes_the_invite_that_stands_beside_it`, [`calls`]`::nothing_of_the_inside_goes_out_that_no_template_names` |
//! | 23 numbers and trunk match | [`calls`]`::all_forms_of_a_number_reach_the_same_route`, `number`, [`trunks`]`::a_refusal_is_explained_provider_by_provider` |
//! | 25 REGISTER | `registration::tests::weather::of_three_members_the_good_one_is_reached_in_under_3_s_and_the_dead_one_is_noted` |
//! | 27 inside and outside | `tests/calls/sip-bridge-transfers-outgoing.call`, `tests/calls/sip-bridge-transfers-incoming.call`: declined; each of the eight, declined and then not, `tests/calls/sip-bridge-blind-*.call`, `sip-bridge-attended-*.call`, and by the server `sip-bridge-execute-*.call` |
//! | S7 closed, and caps | `trunk::tests::no_thread_gets_past_the_cap_of_calls_at_once`, `no_second_has_more_calls_than_its_cap`, [`calls`]`::denied_destinations_cannot_be_reached_in_any_form`, `tests/loopback/answers.rs` |
//! | S8 digest | `call::leg::tests::digest`, `tests/calls/sip-bridge-digest.call`, [`events`]`::a_caller_is_answered_as_the_account_where_it_is_the_accounts_server`, `tests/interop/trunk.rs` |

mod calls;
mod events;
mod examples;
mod failover;
mod mailboxes;
mod own;
mod schema;
mod trunks;

use super::*;
use b2bua::{
    app::{NatLatching, Outgoing},
    sip::{
        Headers, Message, Text, Uri,
        parse::{Parsed, datagram},
        routing::{FlowId, Source, Transport},
    },
};
use std::{
    net::Ipv4Addr,
    pin::pin,
    task::{self, Poll},
};

/// An INVITE with these addresses and further header lines.
fn invite(request_uri: &str, from: &str, to: &str, lines: &str) -> Invite {
    let text = format!(
        "INVITE {request_uri} SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.7:5060;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
         From: {from};tag=a1\r\nTo: {to}\r\nCall-ID: inside@192.0.2.7\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:alice@192.0.2.7>\r\nUser-Agent: Phone/1\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    let Ok(Parsed::Message(Message::Request(request))) = datagram(text.into()) else {
        unreachable!("a well-formed request")
    };
    let address = (Ipv4Addr::LOCALHOST, 5060).into();
    Invite {
        from: request.headers.from().expect("a From"),
        to: request.headers.to().expect("a To"),
        own: None,
        source: Source {
            transport: Transport::Tcp,
            local: address,
            remote: address,
            flow: FlowId(1),
        },
        request,
        encryption: None,
    }
}

/// From alice to a number, by its Request-URI.
fn dialled(request_uri: &str) -> Invite {
    let to = format!("<{request_uri}>");
    invite(
        request_uri,
        "\"Alice \\\"A\\\"\" <sip:alice@example.org>",
        &to,
        "",
    )
}

fn services() -> Services {
    Services {
        outbound_proxy: None,
        latching: NatLatching::Signalled,
        directory: Path::new("").to_owned(),
        clock: Arc::new(b2bua::app::SystemClock),
        registrations: Registrations::default(),
        redis: None,
        own_connections: None,
        remarks: b2bua::app::Remarks::default(),
    }
}

fn document(text: &str) -> Document {
    let read = parse(text, Path::new("p.json"), |_| ());
    read.unwrap_or_else(|problems| panic!("{}", problems.join("\n")))
}

fn problems(text: &str) -> Vec<String> {
    parse(text, Path::new("p.json"), |_| ()).expect_err("refused")
}

fn remarks(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    parse(text, Path::new("p.json"), |remark| all.push(remark)).expect("good");
    all
}

fn app(text: &str) -> SipBridge {
    let mut app = SipBridge::of(document(text), &services(), Ids::seeded(1));
    app.take_over(None);
    app
}

/// The application never waits.
pub(super) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut task::Context::from_waker(task::Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing to wait for"),
    }
}

/// Where a call goes; `None` is a refusal with 488.
fn route(app: &SipBridge, course: &mut Course, invite: &Invite) -> Option<Outgoing> {
    match ready(app.route(course, invite)) {
        Decision::Bridge(mut routes) if routes.len() == 1 => routes.pop(),
        Decision::Decline(failure) => {
            assert_eq!((failure.status.code(), failure.origin), (488, Origin::App));
            None
        }
        other => unreachable!("one route or a refusal, not {other:?}"),
    }
}

fn routed(app: &SipBridge, invite: &Invite) -> Option<Outgoing> {
    route(app, &mut Course::default(), invite)
}

/// From, To, Request-URI and Route, as text.
fn addresses(outgoing: &Outgoing) -> [String; 4] {
    let route: Vec<_> = outgoing.route.iter().map(ToString::to_string).collect();
    [
        outgoing.from.to_text().to_string(),
        outgoing.to.to_text().to_string(),
        outgoing.target.to_string(),
        route.join(","),
    ]
}

fn fields(headers: &Headers) -> Vec<String> {
    let line =
        |(name, value): (b2bua::sip::Name, Text)| format!("{}: {}", name.as_text().to_str(), value.to_str());
    headers.iter().map(line).collect()
}

/// A file of one provider and one pool; the first is a list of what stands in the provider besides what it must have.
fn one(provider: &str, invite: &str, accounts: &str) -> String {
    format!(
        r#"{{"schemaVersion": 2,
            "providers": [{{"name": "p", "accountPool": "pool", "accountToUse": {{"strategy": "Random"}},
                "onAccountNotFound": "decline", {provider}
                "outgoingInvite": {{{invite}}} }}],
            "accountPools": {{"pool": {{"registrationRequired": false, "maxCallsPerLine": 2,
                "loader": [{accounts}] }} }} }}"#
    )
}

const ALWAYS: &str = r#""triggerCondition": {"strategy": "Always"},"#;
const TO: &str = r#""to": "sip:{incoming.requestUri.user}@{account.uri.hostport}""#;
