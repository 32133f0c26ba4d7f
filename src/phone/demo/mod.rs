//! `b2bua demo`: real calls through the server, between two of the built-in phones, to look at and to listen to.
//!
//! The server is this very program, started as a child on free loopback ports from the shipped configuration.
//! The demo ends with 0 only if the audio that arrived is the audio that was sent, both ways, in every call.

mod ladder;
mod sas;
mod story;

use super::Error;
use super::child::{Server, free_address};
use super::crypto::Suite;
use super::handset::{Passed, Phone, Settings, Watcher};
use super::session::Security;
use super::stream::Speech;
use super::tone::Codec;
use ladder::{CALLEE, Ladder};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use story::{Caller, Story};
use tokio::signal::unix::{SignalKind, signal};

/// What `b2bua demo` can be asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Seconds of talk in each part of a call
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    talk: u64,
    /// Keep the server's log here
    #[arg(long, value_name = "FILE")]
    server_log: Option<std::path::PathBuf>,
    /// Another setting for the server, `section/key=value`
    #[arg(long = "set", value_name = "SETTING")]
    settings: Vec<String>,
    /// Negative control: the callee says something else, or nothing, and the demo must fail
    #[arg(long, hide = true, value_enum)]
    spoil: Option<Spoil>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Spoil {
    /// The callee plays another tone than its own.
    Tone,
    /// The callee is silent.
    Silence,
}

/// Runs it.
pub fn run(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("b2bua demo: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(demonstrate(options)) {
        Ok(problems) if problems.is_empty() => {
            println!("\nEvery packet of audio that arrived is one that was sent, both ways. All is well.");
            ExitCode::SUCCESS
        }
        Ok(problems) => {
            println!("\nThis went wrong:");
            for problem in problems {
                println!("  - {problem}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("\nb2bua demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays all calls; gives what went wrong in them.
async fn demonstrate(options: &Options) -> Result<Vec<String>, Error> {
    let interrupted = |source| Error::Io {
        what: "watching for signals".into(),
        source,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(interrupted)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(interrupted)?;
    let mut cast = Cast::assemble(options).await?;
    // Whichever way this ends, dropping the cast ends the server.
    let mut problems = tokio::select! {
        played = cast.play(Duration::from_secs(options.talk)) => played?,
        _ = terminate.recv() => return Err(Error::Message("terminated; the server was ended too".into())),
        _ = interrupt.recv() => return Err(Error::Message("interrupted; the server was ended too".into())),
    };
    problems.extend(cast.dismiss());
    Ok(problems)
}

/// The server and the phones.
struct Cast {
    server: Server,
    address: SocketAddr,
    alice: Phone,
    carol: Phone,
    dave: Phone,
    erin: Phone,
    bob: Phone,
    ladder: Arc<Ladder>,
}

impl Cast {
    async fn assemble(options: &Options) -> Result<Self, Error> {
        let ladder = Arc::new(Ladder::new());
        let watcher: Watcher = {
            let ladder = Arc::clone(&ladder);
            Arc::new(move |passed: Passed| {
                // Whether the server is there is asked before the curtain rises.
                if passed.message.cseq.1 != rsip::Method::Options {
                    ladder.passed(&passed, now());
                }
            })
        };
        let phone = |user: &str, security: Security, speech: Speech| {
            let at = SocketAddr::from(([127, 0, 0, 1], 0));
            let (codecs, watcher) = (vec![Codec::Pcma, Codec::Pcmu], Some(Arc::clone(&watcher)));
            Phone::start(Settings {
                user: user.into(),
                at,
                security,
                codecs,
                speech,
                proxy: None,
                watcher,
            })
        };
        let spoken = match options.spoil {
            None => Speech::Tone,
            Some(Spoil::Tone) => Speech::WrongTone(1_700),
            Some(Spoil::Silence) => Speech::Silence,
        };
        let mut alice = phone(
            "alice",
            Security::Sdes(vec![Suite::AesCm128Sha1_80]),
            Speech::Tone,
        )
        .await?;
        let carol = phone("carol", Security::Clear, Speech::Tone).await?;
        let dave = phone("dave", Security::Dtls, Speech::Tone).await?;
        let erin = phone("erin", Security::Zrtp, Speech::Tone).await?;
        let bob = phone(CALLEE, Security::AsOffered(Suite::ALL.to_vec()), spoken).await?;
        let address = free_address()?;
        let (transport, proxy) = (
            format!("sip:{address};transport=udp"),
            format!("sip:{};transport=udp", bob.address()),
        );
        let rules = "none sip:bob-plain.* sdes sip:bob-sdes.* dtls-srtp sip:bob-dtls.* zrtp sip:bob-zrtp.*";
        let mut settings = vec![
            ("b2bua-server/data-directory", "none".to_owned()),
            ("b2bua-server/transport", transport),
            ("b2bua-server/outbound-proxy", proxy),
            ("b2bua-server::trenscrypter/outgoing-enc-regex", rules.to_owned()),
        ];
        for setting in &options.settings {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            settings.push((key, value.to_owned()));
        }
        println!("The server starts from the shipped configuration, with");
        for (key, value) in &settings {
            println!("    {key} = {value}");
        }
        let mut server = Server::start(&settings, options.server_log.as_deref())?;
        await_server(&mut alice, address, &mut server).await?;
        println!(
            "It answers. Alice ({}) speaks SDES, Carol ({}) plain RTP, Dave ({}) DTLS-SRTP, Erin ({}) ZRTP,",
            alice.address(),
            carol.address(),
            dave.address(),
            erin.address()
        );
        println!(
            "Bob ({}) whatever the server offers him; who Bob is called as decides what that is.",
            bob.address()
        );
        Ok(Self {
            server,
            address,
            alice,
            carol,
            dave,
            erin,
            bob,
            ladder,
        })
    }

    /// Plays the calls one after the other.
    async fn play(&mut self, talk: Duration) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for (number, story) in (1..).zip(Story::ALL) {
            println!("\n{number}. {}\n", story.title());
            let by = story.by();
            let caller = match by {
                Caller::Alice => &self.alice,
                Caller::Carol => &self.carol,
                Caller::Dave => &self.dave,
                Caller::Erin => &self.erin,
            };
            self.ladder.begin(&by.name().to_lowercase());
            let before = self.server.logged().len();
            let found = story
                .play(number, caller, &mut self.bob, self.address, talk)
                .await?;
            let log = self.server.logged();
            let log = log.get(before..).unwrap_or_default();
            let strings = found.shown.iter().filter_map(|shown| shown.compare(log));
            problems.extend(
                found
                    .problems
                    .into_iter()
                    .chain(strings)
                    .map(|problem| format!("call {number}: {problem}")),
            );
        }
        Ok(problems)
    }

    /// Ends the server by SIGTERM; gives what was wrong with that.
    fn dismiss(mut self) -> Option<String> {
        match self.server.stop() {
            Some(status) if status.success() => {
                println!("\nThe server was told to end (SIGTERM) and did, with exit status 0.");
                None
            }
            Some(status) => Some(format!(
                "after SIGTERM the server ended with {status}:\n{}",
                self.server.tail()
            )),
            None => Some(format!(
                "the server did not end after SIGTERM:\n{}",
                self.server.tail()
            )),
        }
    }
}

/// Asks until the server answers.
async fn await_server(phone: &mut Phone, address: SocketAddr, server: &mut Server) -> Result<(), Error> {
    for _ in 0..100 {
        if phone.options(address, Duration::from_millis(100)).await == 200 {
            return Ok(());
        }
        if let Some(status) = server.has_ended() {
            return Err(Error::Message(format!(
                "the server ended at once, with {status}:\n{}",
                server.tail()
            )));
        }
    }
    Err(Error::Message(format!(
        "the server does not answer OPTIONS at {address}:\n{}",
        server.tail()
    )))
}

#[expect(clippy::disallowed_methods, reason = "a driver: the ladder shows the time")]
fn now() -> Instant {
    Instant::now()
}
