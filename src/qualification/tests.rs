//! Trunks that are there, go, and come back, on virtual time.

use super::*;
use crate::sip::{
    Ids, Message, Method, Request, Status,
    parse::{Parsed, datagram},
    routing::{Destination, Transport},
};

const TRUNK: &str = "sip:trunk.example;transport=tls";
const INTERVAL: Duration = Duration::from_secs(60);

struct Rig {
    now: Instant,
    ids: Ids,
    watch: Watch,
    /// Where the name leads.
    to: Vec<Target>,
    /// What those at that address answer; `None`: nothing.
    says: HashMap<String, Option<u16>>,
    states: Vec<TrunkState>,
    asked: Vec<(Instant, Request, String)>,
}

fn target(remote: &str) -> Target {
    Target {
        transport: Transport::Tls,
        remote: remote.parse().expect("an address"),
        server_name: Some("trunk.example".into()),
        local: "192.0.2.1".parse().expect("an address"),
        sent_by: "sbc.example:5061".into(),
        fixed_transport: true,
        own: None,
    }
}

impl Rig {
    fn new(targets: &[(&str, Option<u16>)]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
        let now = Instant::now();
        let mut rig = Self {
            now,
            ids: Ids::seeded(3),
            watch: Watch::new("test".into(), Timers::default()),
            to: targets.iter().map(|(remote, _)| target(remote)).collect(),
            says: targets
                .iter()
                .map(|(at, says)| ((*at).to_owned(), *says))
                .collect(),
            states: Vec::new(),
            asked: Vec::new(),
        };
        rig.act(|watch, env| watch.set(vec![(Uri::parse(TRUNK).expect("a URI"), INTERVAL)], env));
        rig
    }
    fn act(&mut self, act: impl FnOnce(&mut Watch, &mut Env<'_>)) {
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        act(&mut self.watch, &mut env);
        while let Some(output) = self.watch.poll_output() {
            let mut env = Env {
                now: self.now,
                ids: &mut self.ids,
            };
            match output {
                WatchOutput::Lookup(hop) => self.watch.resolved(&hop, Ok(self.to.clone()), &mut env),
                WatchOutput::State(_, state) => self.states.push(state),
                WatchOutput::Transmit(transmit) => {
                    let Ok(Parsed::Message(Message::Request(request))) = datagram(transmit.bytes) else {
                        panic!("no request of ours");
                    };
                    let Destination::Target(target) = transmit.to else {
                        panic!("no target");
                    };
                    let at = target.remote.to_string();
                    if let Some(code) = self.says[&at] {
                        let response = request.respond(Status::new(code).expect("a code"), Some("x"));
                        assert!(self.watch.response(&response, &mut env));
                    }
                    self.asked.push((self.now, request, at));
                }
            }
        }
    }
    fn run(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.watch.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.act(Watch::handle_timeout);
        }
        self.now = until;
    }
    fn says(&mut self, at: &str, code: Option<u16>) {
        self.says.insert(at.to_owned(), code);
    }
}

const ONE: &str = "192.0.2.51:5061";
const TWO: &str = "192.0.2.52:5061";

#[test]
fn who_answers_is_up_and_is_asked_at_its_interval() {
    let mut rig = Rig::new(&[(ONE, Some(200))]);
    rig.run(1);
    assert_eq!(rig.states, [TrunkState::Up]);
    rig.run(600);
    assert_eq!(rig.states, [TrunkState::Up], "no news");
    assert_eq!(rig.asked.len(), 11);
    let apart = rig.asked.windows(2).map(|two| two[1].0 - two[0].0);
    assert!(apart.into_iter().all(|time| time == INTERVAL));
    let (_, request, _) = &rig.asked[0];
    let field = |name: &str| request.headers.get(name).unwrap_or_default().to_string();
    assert_eq!(request.method, Method::Options);
    assert_eq!(request.uri.as_str(), TRUNK);
    assert_eq!(field("Contact"), "<sip:sbc.example:5061;transport=tls>");
    assert!(
        field("From").starts_with("<sip:sbc.example>;tag="),
        "{}",
        field("From")
    );
    assert_eq!(field("To"), format!("<{TRUNK}>"));
}

#[test]
fn a_refusal_is_an_answer_but_for_503_and_408() {
    for code in [200, 401, 403, 404, 405, 481, 500, 501] {
        let mut rig = Rig::new(&[(ONE, Some(code))]);
        rig.run(1);
        assert_eq!(rig.states, [TrunkState::Up], "{code}");
    }
    for code in [408, 503] {
        let mut rig = Rig::new(&[(ONE, Some(code))]);
        rig.run(1);
        assert!(matches!(&rig.states[..], [TrunkState::Down(why)] if why.contains(&code.to_string())));
    }
}

#[test]
fn one_that_goes_is_down_within_its_interval_and_back_within_ten_seconds() {
    let mut rig = Rig::new(&[(ONE, Some(200))]);
    rig.run(1);
    rig.says(ONE, None);
    rig.run(65);
    assert!(
        matches!(&rig.states[..], [TrunkState::Up, TrunkState::Down(_)]),
        "{:?}",
        rig.states
    );
    rig.run(3600);
    assert_eq!(rig.states.len(), 2);
    rig.says(ONE, Some(200));
    rig.run(15);
    assert_eq!(rig.states.last(), Some(&TrunkState::Up));
}

#[test]
fn one_target_of_several_is_enough() {
    let mut rig = Rig::new(&[(ONE, None), (TWO, Some(200))]);
    rig.run(5);
    assert_eq!(rig.states, [TrunkState::Up]);
    rig.says(TWO, Some(503));
    rig.run(70);
    assert!(matches!(&rig.states[..], [TrunkState::Up, TrunkState::Down(_)]));
    // None at all.
    let mut rig = Rig::new(&[]);
    rig.run(1);
    assert!(matches!(&rig.states[..], [TrunkState::Down(_)]));
}

#[test]
fn who_cannot_be_reached_is_down_at_once() {
    let mut rig = Rig::new(&[(ONE, None)]);
    rig.run(1);
    let (_, request, _) = rig.asked.last().cloned().expect("asked");
    let call_id = request.headers.call_id().expect("one");
    let branch = request.headers.via().expect("one").branch().expect("one");
    rig.act(|watch, env| watch.undeliverable(&call_id, &branch, env));
    assert!(matches!(&rig.states[..], [TrunkState::Down(_)]));
}

#[test]
fn a_new_list_keeps_what_is_known_and_forgets_what_has_gone() {
    let mut rig = Rig::new(&[(ONE, None)]);
    rig.run(10);
    assert_eq!(rig.states.len(), 1);
    let uri = Uri::parse(TRUNK).expect("a URI");
    rig.act(|watch, env| watch.set(vec![(uri.clone(), INTERVAL), (uri, INTERVAL)], env));
    rig.run(30);
    assert_eq!(rig.states.len(), 1, "it is down still");
    rig.act(|watch, env| watch.set(Vec::new(), env));
    assert_eq!(rig.states.last(), Some(&TrunkState::Unknown));
    assert!(rig.watch.poll_timeout().is_none());
}
