//! The calls of the demo, step by step, and the judgement of each.

use super::sas::Shown;
use crate::phone::Error;
use crate::phone::crypto::Suite;
use crate::phone::handset::{Happening, Line, Phone};
use crate::phone::session::Direction;
use crate::phone::stream::Heard;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long anything may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// After the last word, what is still under way gets this long.
const DRAIN: Duration = Duration::from_millis(200);
/// The tone must be at least this share of what was heard: the stamps in the packets are the rest.
const SHARE: f64 = 0.8;

/// A call of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Story {
    /// SDES to plain, with hold and resume.
    SdesToPlain,
    /// Plain to SDES, with early media.
    PlainToSdes,
    /// SDES to SDES: two legs, two keys.
    SdesToSdes,
    /// DTLS-SRTP to plain, with hold and resume.
    DtlsToPlain,
    /// SDES to DTLS-SRTP.
    SdesToDtls,
    /// Plain to DTLS-SRTP.
    PlainToDtls,
    /// ZRTP to DTLS-SRTP.
    ZrtpToDtls,
    /// DTLS-SRTP to ZRTP.
    DtlsToZrtp,
    /// ZRTP to SDES.
    ZrtpToSdes,
    /// The callee is busy.
    Refused,
    /// The caller gives up.
    Cancelled,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// SDES.
    Alice,
    /// Plain RTP.
    Carol,
    /// DTLS-SRTP.
    Dave,
    /// ZRTP.
    Erin,
}

/// What is to be said of a call.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// What went wrong.
    pub(super) problems: Vec<String>,
    /// The strings of the phones that were to have one.
    pub(super) shown: Vec<Shown>,
}

impl Caller {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alice => "Alice",
            Self::Carol => "Carol",
            Self::Dave => "Dave",
            Self::Erin => "Erin",
        }
    }
}

impl Story {
    pub(super) const ALL: [Self; 11] = [
        Self::SdesToPlain,
        Self::PlainToSdes,
        Self::SdesToSdes,
        Self::DtlsToPlain,
        Self::SdesToDtls,
        Self::PlainToDtls,
        Self::ZrtpToDtls,
        Self::DtlsToZrtp,
        Self::ZrtpToSdes,
        Self::Refused,
        Self::Cancelled,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::SdesToPlain => {
                "Alice (SDES) calls Bob (plain RTP), puts him on hold, takes him back; Bob hangs up."
            }
            Self::PlainToSdes => {
                "Carol (plain RTP) calls Bob (SDES), who speaks before he answers; Carol hangs up."
            }
            Self::SdesToSdes => "Alice (SDES) calls Bob (SDES): each leg has keys of its own.",
            Self::DtlsToPlain => {
                "Dave (DTLS-SRTP) calls Bob (plain RTP), puts him on hold, takes him back; Bob hangs up."
            }
            Self::SdesToDtls => "Alice (SDES) calls Bob (DTLS-SRTP), who shakes hands with the server.",
            Self::PlainToDtls => "Carol (plain RTP) calls Bob (DTLS-SRTP); Carol hangs up.",
            Self::ZrtpToDtls => "Erin (ZRTP) calls Bob (DTLS-SRTP), and compares strings with the server.",
            Self::DtlsToZrtp => "Dave (DTLS-SRTP) calls Bob (ZRTP), who compares strings with the server.",
            Self::ZrtpToSdes => "Erin (ZRTP) calls Bob (SDES).",
            Self::Refused => "Carol calls Bob, who is busy.",
            Self::Cancelled => "Alice calls Bob and gives up while it rings.",
        }
    }

    pub(super) fn by(self) -> Caller {
        match self {
            Self::SdesToPlain | Self::SdesToSdes | Self::SdesToDtls | Self::Cancelled => Caller::Alice,
            Self::PlainToSdes | Self::PlainToDtls | Self::Refused => Caller::Carol,
            Self::DtlsToPlain | Self::DtlsToZrtp => Caller::Dave,
            Self::ZrtpToDtls | Self::ZrtpToSdes => Caller::Erin,
        }
    }

    fn bob_as(self) -> &'static str {
        match self {
            Self::SdesToPlain | Self::DtlsToPlain | Self::Refused | Self::Cancelled => "bob-plain",
            Self::SdesToDtls | Self::PlainToDtls | Self::ZrtpToDtls => "bob-dtls",
            Self::PlainToSdes | Self::SdesToSdes | Self::ZrtpToSdes => "bob-sdes",
            Self::DtlsToZrtp => "bob-zrtp",
        }
    }

    /// Plays it, and judges it.
    pub(super) async fn play(
        self,
        number: u32,
        caller: &Phone,
        bob: &mut Phone,
        server: SocketAddr,
        talk: Duration,
    ) -> Result<Verdict, Error> {
        let target = format!("sip:{}-{number}@{}", self.bob_as(), bob.address().ip());
        let mut out = caller.call(&target, server, number).await?;
        let arrived = timed(bob.incoming()).await?;
        let mut at_bob = arrived.ok_or_else(|| Error::Message("Bob's phone is gone".into()))?;
        match self {
            Self::SdesToPlain | Self::DtlsToPlain => {
                at_bob.ring().await;
                until(&mut out, &Happening::Progress(180)).await?;
                connect(&mut out, &mut at_bob).await?;
                wait(talk).await;
                let problems = hold(&mut out, &mut at_bob).await?;
                wait(talk).await;
                let mut judged = self.part(out, at_bob, false).await?;
                judged.problems.extend(problems);
                Ok(judged)
            }
            Self::PlainToSdes => {
                at_bob.speak_early().await;
                until(&mut out, &Happening::Progress(183)).await?;
                at_bob.talk(true).await;
                wait(talk / 2).await;
                let early = out.heard().await.map_or(0, |heard| heard.tally.good);
                println!(
                    "{:>11}Carol hears Bob before he answers: {early} packets so far",
                    ""
                );
                connect(&mut out, &mut at_bob).await?;
                wait(talk).await;
                let problem = (early == 0).then(|| "no early media was heard".to_owned());
                let mut judged = self.part(out, at_bob, true).await?;
                judged.problems.extend(problem);
                Ok(judged)
            }
            Self::SdesToSdes
            | Self::SdesToDtls
            | Self::PlainToDtls
            | Self::ZrtpToDtls
            | Self::DtlsToZrtp
            | Self::ZrtpToSdes => {
                at_bob.ring().await;
                until(&mut out, &Happening::Progress(180)).await?;
                connect(&mut out, &mut at_bob).await?;
                wait(talk).await;
                self.part(out, at_bob, true).await
            }
            Self::Refused => {
                at_bob.refuse(486).await;
                until(&mut out, &Happening::Refused(486)).await?;
                wait(DRAIN).await;
                Ok(Verdict::default())
            }
            Self::Cancelled => {
                at_bob.ring().await;
                until(&mut out, &Happening::Progress(180)).await?;
                out.cancel().await;
                until(&mut out, &Happening::Refused(487)).await?;
                until(&mut at_bob, &Happening::Cancelled).await?;
                wait(DRAIN).await;
                Ok(Verdict::default())
            }
        }
    }

    /// Both fall silent, one hangs up, and what was heard is judged.
    async fn part(self, mut out: Line, mut at_bob: Line, by_caller: bool) -> Result<Verdict, Error> {
        out.talk(false).await;
        at_bob.talk(false).await;
        wait(DRAIN).await;
        let gone = || Error::Message("a call is gone before it was judged".into());
        let (caller, bob) = (
            out.heard().await.ok_or_else(gone)?,
            at_bob.heard().await.ok_or_else(gone)?,
        );
        let (first, second) = if by_caller {
            (&mut out, &mut at_bob)
        } else {
            (&mut at_bob, &mut out)
        };
        first.hang_up().await;
        until(second, &Happening::HungUp).await?;
        until(first, &Happening::Ended(200)).await?;
        wait(DRAIN).await;
        let suites = match self {
            Self::SdesToPlain | Self::DtlsToPlain => (Some(Suite::AesCm128Sha1_80), None),
            Self::PlainToSdes | Self::PlainToDtls => (None, bob.suite),
            _ => (Some(Suite::AesCm128Sha1_80), bob.suite),
        };
        let keyed = !matches!(self, Self::SdesToPlain | Self::DtlsToPlain);
        let name = self.by().name();
        println!();
        let mut problems = Vec::new();
        if keyed && bob.suite.is_none() {
            problems.push("Bob's leg was to be encrypted and is not".to_owned());
        }
        problems.extend(judge(name, &caller, "Bob", &bob, suites.0));
        problems.extend(judge("Bob", &bob, name, &caller, suites.1));
        let mut shown = Vec::new();
        if self.by() == Caller::Erin {
            shown.push(Shown::of(name, 'A', &caller));
        }
        if self == Self::DtlsToZrtp {
            shown.push(Shown::of("Bob", 'B', &bob));
        }
        Ok(Verdict { problems, shown })
    }
}

/// Bob answers. Nobody speaks before all have their keys: what is said earlier is not passed on in clear, but lost.
async fn connect(out: &mut Line, at_bob: &mut Line) -> Result<(), Error> {
    out.mute(true).await;
    at_bob.mute(true).await;
    at_bob.answer().await;
    until(out, &Happening::Answered(Direction::SendRecv)).await?;
    until(at_bob, &Happening::Acknowledged).await?;
    timed(async { while !(ready(out).await && ready(at_bob).await) {} }).await?;
    // The server has its keys when the phones have theirs, and its relay a moment later.
    wait(DRAIN).await;
    out.mute(false).await;
    at_bob.mute(false).await;
    Ok(())
}

async fn ready(line: &Line) -> bool {
    wait(Duration::from_millis(5)).await;
    line.heard().await.is_some_and(|heard| heard.ready)
}

/// The caller holds the call and resumes it.
async fn hold(out: &mut Line, at_bob: &mut Line) -> Result<Vec<String>, Error> {
    out.offer(Direction::SendOnly).await;
    until(at_bob, &Happening::Offered(Direction::SendOnly)).await?;
    until(out, &Happening::Answered(Direction::RecvOnly)).await?;
    wait(DRAIN).await;
    let before = out.heard().await.map(|heard| heard.tally.received);
    wait(Duration::from_millis(500)).await;
    let after = out.heard().await.map(|heard| heard.tally.received);
    let silent = before.is_some() && before == after;
    println!(
        "{:>11}on hold: Bob is {}",
        "",
        if silent { "silent" } else { "still heard" }
    );
    out.offer(Direction::SendRecv).await;
    until(at_bob, &Happening::Offered(Direction::SendRecv)).await?;
    until(out, &Happening::Answered(Direction::SendRecv)).await?;
    Ok((!silent)
        .then(|| "the held side was heard during the hold".to_owned())
        .into_iter()
        .collect())
}

/// Prints what `name` heard of `other`, and gives what is wrong with it.
fn judge(name: &str, heard: &Heard, other: &str, spoken: &Heard, suite: Option<Suite>) -> Vec<String> {
    let tally = heard.tally;
    let protection = heard
        .suite
        .map_or("in clear".to_owned(), |suite| suite.to_string());
    let codec = heard.codec.map_or("no codec", |codec| codec.name());
    let tone = heard.strongest.map_or("silence".into(), |(hertz, share)| {
        format!("{hertz} Hz ({:.0} % of it)", share * 100.0)
    });
    println!(
        "  {name:<5} heard {other:<5} {protection}, {codec}: {} of {} packets right, {} wrong, {} replayed, {} strange, \
         {} unreadable, {} clear where none may be",
        tally.good,
        spoken.sent,
        tally.wrong,
        tally.replayed,
        tally.unknown,
        tally.unreadable,
        if heard.suite.is_some() { tally.clear } else { 0 },
    );
    println!(
        "  {:17} strongest tone {tone}, {other} plays {} Hz; longest gap {} ms; {} RTCP reports",
        "",
        heard.expected,
        heard.gap.as_millis(),
        heard.rtcp.read,
    );
    let mut problems = Vec::new();
    let mut check = |right: bool, what: String| {
        if !right {
            problems.push(format!("{name}: {what}"));
        }
    };
    check(spoken.sent > 0, format!("{other} said nothing"));
    check(
        tally.good == spoken.sent,
        format!("{} packets were sent and {} arrived", spoken.sent, tally.good),
    );
    check(
        tally.bad() == 0 && tally.dropped == 0,
        format!("{} packets were not right", tally.bad() + tally.dropped),
    );
    check(
        heard.suite == suite,
        format!("the leg is protected by {protection}, expected {suite:?}"),
    );
    let toned = heard
        .strongest
        .is_some_and(|(hertz, share)| hertz == heard.expected && share >= SHARE);
    check(toned, format!("heard {tone}, expected {} Hz", heard.expected));
    let unreadable = heard.rtcp.unreadable;
    check(
        unreadable == 0,
        format!("{unreadable} RTCP packets could not be read"),
    );
    problems
}

/// Waits for one thing to happen, past others that may.
async fn until(line: &mut Line, wanted: &Happening) -> Result<(), Error> {
    loop {
        match timed(line.next())
            .await
            .map_err(|_| Error::Message(format!("waited in vain for {wanted}")))?
        {
            happening if happening == *wanted => return Ok(()),
            // A ring before an answer is nobody's trouble.
            Happening::Progress(_) | Happening::Acknowledged => {}
            other => {
                return Err(Error::Message(format!(
                    "expected {wanted}, and this happened: {other}"
                )));
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver: real calls take real time, and may hang"
)]
async fn timed<T>(future: impl Future<Output = T>) -> Result<T, Error> {
    timeout(PATIENCE, future)
        .await
        .map_err(|_| Error::Message("nothing happened for 10 s".into()))
}

#[expect(clippy::disallowed_methods, reason = "a driver: real audio takes real time")]
async fn wait(duration: Duration) {
    sleep(duration).await;
}
