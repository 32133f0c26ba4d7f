//! What would become of a call: which provider, account and INVITE it would get, and why the others would not take it.

use super::{
    SipBridge,
    bridge::{Bridge, Tried, Word},
    roster::Roster,
    sources::{self, News},
    template::{Incoming, address},
};
use b2bua::{
    accounts::{Event, Source},
    app::{EncryptionPolicy, Outgoing, Services, Side},
    call::{
        Env,
        leg::{Leg, LegOutput, Profile, Reliability, SessionTimers},
        signal::Body,
    },
    sip::{
        Headers, Ids,
        routing::{Target, Transport},
        timers::Timers,
    },
};
use std::{
    fmt::Write,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

/// A call that nobody makes.
pub(crate) struct Question<'a> {
    /// The caller's From.
    pub(crate) from: &'a str,
    /// The caller's To.
    pub(crate) to: &'a str,
    /// The Request-URI where it is not the URI of To.
    pub(crate) request_uri: Option<&'a str>,
    /// Further header fields, `Name: value`.
    pub(crate) headers: &'a [String],
}

/// What would become of it.
pub(crate) struct Explanation {
    /// For people.
    pub(crate) text: String,
    /// Whether anybody would be called.
    pub(crate) placed: bool,
}

impl Question<'_> {
    /// # Errors
    /// What of it is no address or header field.
    fn incoming(&self) -> Result<Incoming, String> {
        let read =
            |what: &str, text: &str| address(text.as_bytes()).map_err(|error| format!("{what}: {error}"));
        let (from, to) = (read("FROM", self.from)?, read("TO", self.to)?);
        let request_uri = match self.request_uri {
            Some(text) => read("--request-uri", text)?.uri,
            None => to.uri.clone(),
        };
        let mut headers = Headers::default();
        for line in self.headers {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("--header {line:?}: expected Name: value"))?;
            headers.push(name.trim(), value.trim());
        }
        Ok(Incoming::new(from, to, request_uri, &headers))
    }
}

impl SipBridge {
    /// Explains what the providers file of a configuration would do.
    ///
    /// # Errors
    /// All that is wrong with the file or the question.
    pub(crate) async fn explain(
        providers: &str,
        services: &Services,
        question: &Question<'_>,
    ) -> Result<Explanation, Vec<String>> {
        let incoming = question.incoming().map_err(|fault| vec![fault])?;
        let path = services.directory.join(providers);
        let mut document = super::read(&path, |_| ())?;
        let pools = document.pools.clone();
        let sources = sources::open(
            &mut document.pools,
            &services.directory,
            &News::Poll(Duration::ZERO),
            |_| (),
        );
        let name = path.display();
        let sources = sources.await.map_err(|faults| {
            faults
                .iter()
                .map(|what| format!("{name}: {what}"))
                .collect::<Vec<_>>()
        })?;
        let bridge = Bridge::new(
            document,
            services.latching,
            None,
            services.own_connections.is_some(),
        );
        let rosters = Roster::all(pools, &bridge.pools, None);
        for (pool, source) in sources {
            if let (Some(roster), Source::Sql(accounts, _)) = (rosters.get(pool), source) {
                let records = accounts.all().await;
                let fault = |error| {
                    vec![format!(
                        "{name}: accountPools[{:?}].loader: {error}",
                        roster.pool.name
                    )]
                };
                roster.hear(Event::All(records.map_err(fault)?));
            }
        }
        Ok(explain(&bridge, &incoming, &mut Ids::from_system(), super::now()).await)
    }
}

/// The same of providers at work.
pub(super) async fn explain(
    bridge: &Bridge,
    incoming: &Incoming,
    ids: &mut Ids,
    now: Instant,
) -> Explanation {
    let mut text = String::new();
    let mut asked = 0;
    let mut hear = |index: usize, word: &Word| {
        asked = index + 1;
        let name = bridge
            .providers
            .get(index)
            .map_or("", |provider| &provider.plan.name);
        let said = match word {
            Word::Next(reason) => format!("no: {reason}"),
            Word::Refuse(reason) => format!("refuses the call with 488: {reason}"),
            Word::Place(placed) => format!("takes the call with the account {}", placed.account.uri.uri),
        };
        // Into a String there is no failure.
        let _ = writeln!(text, "provider {name:?}: {said}");
    };
    let mut random = || ids.below(u64::MAX);
    let placed = bridge
        .place(incoming, &Tried::default(), &mut random, now, &mut hear)
        .await;
    for provider in bridge.providers.iter().skip(asked) {
        let _ = writeln!(text, "provider {:?}: not asked any more", provider.plan.name);
    }
    let Some((_, placed)) = placed else {
        text += "the call gets 488 Not Acceptable Here\n";
        return Explanation { text, placed: false };
    };
    let media = match placed.outgoing.media.encryption {
        EncryptionPolicy::Only(mode) => mode.to_string(),
        EncryptionPolicy::AsCaller => "as the caller's".to_owned(),
    };
    let _ = writeln!(text, "media encryption: {media}");
    let answers = placed.outgoing.credentials.as_ref().map(|credentials| {
        let realm = credentials.realm.as_deref().unwrap_or("any");
        format!("as {} in the realm {realm}", credentials.username)
    });
    let _ = writeln!(
        text,
        "challenges are answered: {}",
        answers.as_deref().unwrap_or("never")
    );
    let _ = writeln!(text, "\n{}", invite(&placed.outgoing, ids, now));
    Explanation { text, placed: true }
}

/// The INVITE without its SDP, as the leg writes it; our own address is known when it goes.
fn invite(outgoing: &Outgoing, ids: &mut Ids, now: Instant) -> String {
    let route = outgoing.route.first().unwrap_or(&outgoing.target);
    let named = route
        .param("transport")
        .flatten()
        .unwrap_or("udp")
        .to_ascii_lowercase();
    let transport = match named.as_str() {
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        _ => Transport::Udp,
    };
    let address = (Ipv4Addr::UNSPECIFIED, 0).into();
    let target = Target {
        transport,
        remote: address,
        server_name: None,
        local: address.ip(),
        sent_by: "b2bua.invalid".to_owned(),
        fixed_transport: true,
        own: None,
    };
    let profile = Arc::new(Profile {
        user_agent: "b2bua".into(),
        timers: Timers::default(),
        sessions: SessionTimers::default(),
        reliable: Reliability::default(),
    });
    let mut leg = Leg::dial(
        Side::B,
        outgoing,
        Body::None,
        vec![target],
        69,
        profile,
        &mut Env { now, ids },
    );
    while let Some(output) = leg.poll_output() {
        if let LegOutput::Transmit(transmit) = output {
            return String::from_utf8_lossy(&transmit.bytes)
                .replace("\r\n", "\n")
                .trim_end()
                .to_owned();
        }
    }
    String::new()
}
