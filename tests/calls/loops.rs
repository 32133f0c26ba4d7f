//! Two servers pointed at each other: the call ends in a bounded number of messages, because hops are counted down.

use b2bua::{
    call::{
        Call, Decision, EncryptionPolicy, Env, InCall, Incoming, Input, Output, Question, Rescue, Side,
        Transmit, Verdict, bridge::CallSettings,
    },
    sip::{
        Ids, Message, Method,
        routing::{FlowId, Source, Target, Transport},
    },
    testing::{FakeRelay, Peer, Verdicts, peer::read, settings},
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// One pass of the call through one of the servers.
struct Pass {
    call: Call,
    relay: FakeRelay,
    finished: bool,
}

struct Ring {
    passes: Vec<Pass>,
    settings: Arc<CallSettings>,
    ids: Ids,
    now: Instant,
    /// Messages under way: to which pass, on which side.
    wire: VecDeque<(usize, Side, bytes::Bytes)>,
    to_phone: Vec<Message>,
    messages: usize,
}

fn address(server: usize) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1 + (server % 2) as u8], 5060))
}

impl Ring {
    fn incoming(&self, pass: usize, message: Message) -> Incoming {
        Incoming {
            message,
            source: Source {
                transport: Transport::Udp,
                local: address(pass),
                remote: address(pass + 1),
                flow: FlowId(0),
            },
            sent_by: address(pass).to_string().into(),
            reached_by: Transport::Udp,
            own: None,
            trusted: false,
        }
    }
    fn deliver(&mut self, pass: usize, side: Side, bytes: &bytes::Bytes) {
        self.messages += 1;
        assert!(self.messages < 2_000, "the loop does not end");
        let message = read(bytes);
        if pass == self.passes.len() {
            assert!(matches!(&message, Message::Request(request) if request.method == Method::Invite));
            let incoming = self.incoming(pass, message);
            let mut env = Env {
                now: self.now,
                ids: &mut self.ids,
            };
            let call = Call::new(
                incoming,
                self.settings.clone(),
                b2bua::testing::sim::ZID,
                &mut env,
            )
            .unwrap();
            self.passes.push(Pass {
                call,
                relay: FakeRelay::new(10),
                finished: false,
            });
        } else {
            let incoming = self.incoming(pass, message);
            self.feed(pass, Input::Message(side, incoming));
        }
        self.drain(pass);
    }
    fn feed(&mut self, pass: usize, input: Input) {
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        self.passes[pass].call.handle(input, &mut env);
    }
    fn drain(&mut self, pass: usize) {
        while let Some(output) = self.passes[pass].call.poll_output() {
            match output {
                Output::Handshake(_) | Output::Zrtp(_) => panic!("nobody here has DTLS or ZRTP"),
                Output::Transmit(side, Transmit { bytes, .. }) => match (side, pass) {
                    (Side::A, 0) => self.to_phone.push(read(&bytes)),
                    (Side::A, _) => self.wire.push_back((pass - 1, Side::B, bytes)),
                    (Side::B, _) => self.wire.push_back((pass + 1, Side::A, bytes)),
                },
                Output::Lookup(side, ..) => {
                    let target = Target {
                        transport: Transport::Udp,
                        remote: address(pass + 1),
                        server_name: None,
                        local: address(pass).ip(),
                        sent_by: address(pass).to_string(),
                        fixed_transport: true,
                        own: None,
                    };
                    self.feed(pass, Input::Targets(side, Ok(vec![target])));
                }
                Output::Ask(Question::Route(invite)) => {
                    let route = Verdicts::outgoing(&invite, EncryptionPolicy::AsCaller);
                    self.feed(
                        pass,
                        Input::Verdict(Verdict::Route(Decision::Bridge(vec![route]))),
                    );
                }
                Output::Ask(Question::Rescue(_)) => {
                    self.feed(pass, Input::Verdict(Verdict::Rescue(Rescue::Relay)))
                }
                Output::Ask(Question::InCall(_)) => {
                    self.feed(pass, Input::Verdict(Verdict::InCall(InCall::Forward)));
                }
                Output::Ask(Question::Handover(_))
                | Output::Identify(_)
                | Output::Designated(..)
                | Output::Refused(..)
                | Output::Adopt(_)
                | Output::Give(_)
                | Output::Withheld(..)
                | Output::Kept(..)
                | Output::Forward(..) => {
                    panic!("nobody wants a dialog replaced")
                }
                Output::Media(command) => {
                    if let Some(event) = self.passes[pass].relay.obey(command) {
                        self.feed(pass, Input::Media(event));
                    }
                }
                Output::Finished(_) => self.passes[pass].finished = true,
                Output::Withdraw
                | Output::Event(_)
                | Output::Report(_)
                | Output::Dialog(..)
                | Output::Invited(..)
                | Output::Tombstone(..) => {}
            }
        }
    }
    /// Messages first, then the next timer, for two minutes.
    fn run(&mut self) {
        let end = self.now + Duration::from_secs(120);
        loop {
            while let Some((pass, side, bytes)) = self.wire.pop_front() {
                self.deliver(pass, side, &bytes);
            }
            let next = self
                .passes
                .iter()
                .filter_map(|pass| pass.call.poll_timeout())
                .min();
            let Some(next) = next.filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            for pass in 0..self.passes.len() {
                let mut env = Env {
                    now: self.now,
                    ids: &mut self.ids,
                };
                self.passes[pass].call.handle_timeout(&mut env);
                self.drain(pass);
            }
        }
    }
}

#[test]
fn two_servers_pointed_at_each_other_end_the_call_by_hops() {
    let mut phone = Peer::new("alice", "192.0.2.10:5070", "198.51.100.1:5060");
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n";
    let invite = phone.invite("sip:bob@example.org", "", sdp);
    let mut ring = Ring {
        passes: Vec::new(),
        settings: Arc::new(settings()),
        ids: Ids::seeded(5),
        now: b2bua::testing::Sim::new(Verdicts::direct(EncryptionPolicy::AsCaller)).now,
        wire: VecDeque::new(),
        to_phone: Vec::new(),
        messages: 0,
    };
    ring.deliver(0, Side::A, &invite);
    ring.run();
    // Max-Forwards 70 arrives at the first, 0 at the seventy-first.
    assert_eq!(ring.passes.len(), 71);
    // INVITE, 100, final, ACK at each pass.
    assert!(ring.messages <= 71 * 4 + 20, "{} messages", ring.messages);
    let last = ring.to_phone.iter().find_map(|message| match message {
        Message::Response(response) if response.status.is_final() => Some(response.status.code()),
        _ => None,
    });
    assert_eq!(last, Some(483));
    for (index, pass) in ring.passes.iter().enumerate().skip(1) {
        assert!(pass.finished, "pass {index} is not over");
        assert!(pass.relay.ports.is_empty());
    }
}
