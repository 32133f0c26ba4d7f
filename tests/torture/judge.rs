//! Whether what came of a message is what should.

use super::{
    case::{Case, Outcome},
    message::{Raw, uri_of},
};

/// The judgement.
pub(crate) enum Verdict {
    Good,
    /// Not what the RFC wants, but what many do.
    Tolerated,
    Wrong(String),
}

impl Verdict {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Tolerated => "tolerated",
            Self::Wrong(_) => "WRONG",
        }
    }
}

impl Case {
    pub(crate) fn judge(&self, outcome: &Outcome) -> Verdict {
        for check in &self.checks {
            if let Err(why) = self.check(check, outcome) {
                return Verdict::Wrong(why);
            }
        }
        if let Some(why) = self.leak(outcome) {
            return Verdict::Wrong(why);
        }
        if self.good.iter().any(|word| outcome.is(word)) {
            Verdict::Good
        } else if self.tolerated.iter().any(|word| outcome.is(word)) {
            Verdict::Tolerated
        } else {
            Verdict::Wrong(format!("expected one of {:?} {:?}", self.good, self.tolerated))
        }
    }

    /// One of the named checks.
    fn check(&self, name: &str, outcome: &Outcome) -> Result<(), String> {
        let crossed = outcome.crossed();
        let same = |what: &str, ours: String, theirs: String| {
            (ours == theirs)
                .then_some(())
                .ok_or_else(|| format!("{what} was {ours:?} and became {theirs:?}"))
        };
        match name {
            "single" if outcome.reached.is_empty() => Ok(()),
            "single" => Err("what was behind the message was acted on".into()),
            "unsupported" => {
                let answer = outcome
                    .answer
                    .as_ref()
                    .map(|answer| answer.field("Unsupported", "Unsupported"));
                match answer {
                    Some(tags) if outcome.is("420") => {
                        let tags = String::from_utf8_lossy(&tags).into_owned();
                        let required = self.message.fields("Require", "Require").join(&b","[..]);
                        let required = String::from_utf8_lossy(&required).into_owned();
                        let missing = required.split(',').map(str::trim).find(|tag| !tags.contains(tag));
                        missing.map_or(Ok(()), |tag| Err(format!("Unsupported does not name {tag}")))
                    }
                    _ => Ok(()),
                }
            }
            // The others are about what reached the callee.
            _ => {
                let Some(crossed) = crossed else { return Ok(()) };
                match name {
                    "maxfwd" => {
                        let hops = |message: &Raw| {
                            let value = message.field("Max-Forwards", "Max-Forwards");
                            String::from_utf8_lossy(&value).parse::<u32>().unwrap_or(70)
                        };
                        let expected = (hops(&self.message) - 1).to_string();
                        same("Max-Forwards less one", expected, hops(crossed).to_string())
                    }
                    "from" => same(
                        "From",
                        uri_of(&self.message.field("From", "f")),
                        uri_of(&crossed.field("From", "f")),
                    ),
                    "user" => {
                        let user = |uri: String| uri.split('@').next().unwrap_or_default().to_owned();
                        same(
                            "the user of To",
                            user(uri_of(&self.message.field("To", "t"))),
                            user(uri_of(&crossed.field("To", "t"))),
                        )
                    }
                    "body" => {
                        let (ours, theirs) = (self.message.body(), crossed.body());
                        (ours == theirs)
                            .then_some(())
                            .ok_or_else(|| "the body was changed".into())
                    }
                    "ruri" => {
                        let line = crossed.start();
                        let words: Vec<_> = line.split(' ').collect();
                        let sound = words.len() == 3 && !words[1].contains(['<', '>', '?']);
                        sound.then_some(()).ok_or_else(|| format!("sent on: {line}"))
                    }
                    "noroute" => {
                        let routes = crossed.fields("Route", "Route").concat();
                        let wrong = String::from_utf8_lossy(&routes).contains("example.com");
                        (!wrong)
                            .then_some(())
                            .ok_or_else(|| "a header of the URI became one of the message".into())
                    }
                    other => Err(format!("there is no check named {other}")),
                }
            }
        }
    }

    /// What of the caller's dialog or network shows at the callee.
    fn leak(&self, outcome: &Outcome) -> Option<String> {
        let secrets = [
            (self.message.field("Call-ID", "i"), "Call-ID"),
            (format!(":{}", outcome.port).into_bytes(), "address"),
        ];
        for message in &outcome.reached {
            for (secret, what) in &secrets {
                if secret.len() > 3 && message.0.windows(secret.len()).any(|part| part == secret) {
                    return Some(format!("the caller's {what} reached the callee"));
                }
            }
        }
        None
    }
}

impl Outcome {
    /// What reached the callee: the call, or the request that crosses alone.
    fn crossed(&self) -> Option<&Raw> {
        self.reached.first()
    }
    /// Whether it is what a word of the index says.
    fn is(&self, word: &str) -> bool {
        let bridged = self.crossed().is_some();
        let status = self.answer.as_ref().and_then(Raw::status);
        match word {
            "bridge" => bridged,
            "drop" => !bridged && status.is_none(),
            "accept" => status.is_some_and(|status| !matches!(status, 400 | 500 | 505 | 513)),
            "accept-2xx" => status.is_some_and(|status| status / 100 == 2),
            // The answer to a call that was bridged is the callee's.
            _ if bridged => false,
            "4xx" => status.is_some_and(|status| status / 100 == 4),
            "5xx" => status.is_some_and(|status| status / 100 == 5),
            code => code.parse().ok() == status,
        }
    }
}
