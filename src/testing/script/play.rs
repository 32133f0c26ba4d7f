//! A script that is being played, line by line.

use super::*;

impl Play<'_> {
    pub(super) fn line(&mut self, line: &Line) -> Result<(), String> {
        let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
        match words[..] {
            ["app", name, ..] => {
                if self.app.0 != name {
                    self.app = (name.to_owned(), Vec::new());
                }
                if !line.rest.is_empty() {
                    self.app.1.push(line.rest.clone());
                }
                Ok(())
            }
            ["set", name, value] => self.set(name, value),
            ["knows", named, "as", peer, "of", who] => {
                let replaces = |text: &str| Replaces::parse(text).map_err(|error| error.to_string());
                let found = Designation {
                    peer: replaces(peer)?,
                    address: NameAddr::parse(who).map_err(|error| error.to_string())?,
                    adoptable: false,
                };
                let named = replaces(named)?;
                self.sim()?.designations.insert(named, found);
                Ok(())
            }
            ["secret", word, "of", name @ ("a" | "b" | "c")] => {
                self.sim()?.privacy.keep(who(name), word);
                Ok(())
            }
            [name @ ("a" | "b" | "c"), ">", what, ref more @ ..] => self.say(who(name), what, more),
            [name @ ("a" | "b" | "c"), "<", what, ref checks @ ..] => self.hear(who(name), what, checks),
            [who @ ("a" | "b"), "silence"] => {
                let event = MediaEvent::Silent {
                    side: side(who),
                    stream: StreamId(0),
                };
                self.sim()?.feed(Input::Media(event));
                Ok(())
            }
            [name @ ("a" | "b" | "c"), "hears", "nothing"] => {
                let sim = self.sim()?;
                sim.run(Duration::from_millis(10));
                match sim.party(who(name)).inbox.first() {
                    None => Ok(()),
                    Some(message) => Err(format!("{name} was told {}", headline(message))),
                }
            }
            ["media", name @ ("a" | "b" | "c"), "is", place @ ("a" | "b")] => {
                self.media_is(who(name), side(place))
            }
            ["media", ref flows @ ..] => self.media(flows),
            ["time", time] => {
                let time = duration(time)?;
                self.sim()?.run(time);
                Ok(())
            }
            ["hangup"] => {
                let cause = Cause::of(Kind::Shutdown, Origin::Local);
                self.sim()?.command(Command::Hangup(cause));
                Ok(())
            }
            ["record", code, ref modes @ ..] => {
                let sim = self.sim()?;
                let found = sim.summary.as_ref().ok_or("the call is not over")?;
                let legs = [found.encryption.0, found.encryption.1];
                let legs = legs.map(|mode| mode.map_or("unknown".to_owned(), |mode| mode.to_string()));
                let fits = found.status.to_string() == code && (modes.is_empty() || legs == *modes);
                fits.then_some(())
                    .ok_or_else(|| format!("the record says {} {}", found.status, legs.join(" ")))
            }
            ["transfers", ref expected @ ..] => {
                let sim = self.sim()?;
                let summary = sim.summary.as_ref().ok_or("the call is not over")?;
                let found = summary.transfers.iter().map(|transfer| {
                    let status = transfer
                        .status
                        .map_or("open".to_owned(), |status| status.to_string());
                    let by = format!("{:?}", transfer.by).to_ascii_lowercase();
                    format!("{by}:{}:{status}", transfer.to)
                });
                let found: Vec<String> = found.collect();
                (found == expected)
                    .then_some(())
                    .ok_or_else(|| format!("the record has the transfers {found:?}"))
            }
            ["done"] => {
                self.done = true;
                self.sim()?.assert_done();
                Ok(())
            }
            _ => Err(format!("not understood: {words:?}")),
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "max-call-duration" => self.settings.max_duration = Some(duration(value)?),
            "no-rtp-timeout" => self.settings.no_rtp = Some(duration(value)?),
            "transfer-mode" => self.settings.transfer = value.parse().map_err(|_| "not a mode".to_owned())?,
            "media-address" => {
                let address = value.parse().map_err(|_| "expected an IP address".to_owned())?;
                self.settings.media_addresses.push(address);
            }
            "audio-codec" | "video-codec" => {
                let codec = value.parse().map_err(|_| "expected a codec".to_owned())?;
                let codecs = &mut self.settings.codecs;
                let list = if name == "audio-codec" {
                    &mut codecs.audio
                } else {
                    &mut codecs.video
                };
                list.push(codec);
            }
            "carol-at" => {
                let server = if value == "a" { SERVER_A } else { SERVER_B };
                self.sim()?.c.server = server.parse().map_err(|_| "an address of ours".to_owned())?;
            }
            "think" => self.sim()?.think = duration(value)?,
            "ports" => self.sim()?.relay.free = value.parse().map_err(|_| "expected a number".to_owned())?,
            "trusted" => self.sim()?.trusted = value == "true",
            "caller" => value.clone_into(&mut self.sim()?.a.identity),
            "proxy" => self
                .sim()?
                .a
                .proxies
                .push(format!("SIP/2.0/UDP {value};branch=z9hG4bKof-the-proxy")),
            _ => return Err(format!("unknown setting {name}")),
        }
        Ok(())
    }

    pub(super) fn sim(&mut self) -> Result<&mut Sim, String> {
        if self.sim.is_none() {
            let verdicts = (self.make)(&self.app.0, &self.app.1)?;
            self.sim = Some(Sim::with(verdicts, self.settings.clone(), 1));
        }
        self.sim.as_mut().ok_or_else(|| "no call".to_owned())
    }

    /// `a > INVITE sip:bob@example.org sdp audio header "Subject: x"`, `b > 180 fork x sdp audio`
    fn say(&mut self, side: Who, what: &str, more: &[&str]) -> Result<(), String> {
        let (mut uri, mut body, mut headers, mut fork, mut method) =
            (None, String::new(), String::new(), "", None);
        let mut words = more.iter();
        let name = match side {
            Who::A => "a",
            Who::B => "b",
            Who::C => "c",
        };
        while let Some(&word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .copied()
                    .ok_or_else(|| format!("{word}: a word is missing"))
            };
            match word {
                "sdp" => body = self.body(side, value()?)?,
                "fragment" => body = format!("{}\r\n", value()?),
                "header" => headers.push_str(&format!("{}\r\n", value()?)),
                "replaces" => {
                    let replaced = who(value()?);
                    let replaces = self.sim()?.party(replaced).replaces();
                    headers.push_str(&format!("Replaces: {replaces}\r\n"));
                }
                "early-only" => headers.insert_str(headers.trim_end().len(), ";early-only"),
                "fork" => fork = value()?,
                "to" => method = Some(value()?),
                word if word.contains(':') => uri = Some(word),
                word => return Err(format!("{name} > {what}: {word:?} not understood")),
            }
        }
        let sim = self.sim()?;
        let peer = sim.party(side);
        let bytes = match what.parse::<u16>() {
            Ok(code) => {
                let method =
                    method.map_or_else(|| peer.last_request.clone(), |method| Some(method.to_owned()));
                let method = method.filter(|method| peer.requests.contains_key(method));
                let method = method.ok_or_else(|| format!("{name} has no request to answer"))?;
                peer.respond(&method, code, fork, &headers, &body)
            }
            Err(_) => match (what, uri) {
                ("INVITE", Some(uri)) => peer.invite(uri, &headers, &body),
                ("ACK", _) if method == Some("failure") => peer.ack_failure(),
                ("ACK", _) => peer.ack(&body),
                ("CANCEL", _) => peer.cancel(&headers),
                (method, _) => peer.request(method, &headers, &body),
            },
        };
        sim.send(side, bytes);
        Ok(())
    }

    /// A body from its file, with what stands for the party filled in.
    fn body(&mut self, side: Who, name: &str) -> Result<String, String> {
        let text = self
            .script
            .bodies
            .get(name)
            .ok_or_else(|| format!("no sdp/{name}.sdp"))?
            .clone();
        let (ip, port, key) = match side {
            Who::A => ("192.0.2.10", 30_000, "AAAAsecretofalicexxxxxxxxxxxxxxxxxxxxxxx"),
            Who::B => ("192.0.2.200", 40_000, "BBBBsecretofbobbyxxxxxxxxxxxxxxxxxxxxxxx"),
            Who::C => ("192.0.2.150", 50_000, "CCCCsecretofcarolxxxxxxxxxxxxxxxxxxxxxxx"),
        };
        let user = self.sim()?.party(side).user.clone();
        Ok(text
            .replace("{user}", &format!("{user}-login"))
            .replace("{ip}", ip)
            .replace("{port}", &port.to_string())
            .replace("{port+2}", &(port + 2).to_string())
            .replace("{key256}", &format!("{key}{}A==", &key[..21]))
            .replace("{key}", key)
            .lines()
            .map(|line| format!("{line}\r\n"))
            .collect())
    }

    /// `b < INVITE sdp ~ "RTP/SAVP" header From ~ "alice"`: the next message but 100s must be that one.
    fn hear(&mut self, side: Who, what: &str, checks: &[&str]) -> Result<(), String> {
        let sim = self.sim()?;
        let end = sim.now + PATIENCE;
        let message = loop {
            let inbox = &mut sim.party(side).inbox;
            inbox.retain(|message| !matches!(message, Message::Response(response) if response.status == Status::TRYING));
            if !inbox.is_empty() {
                break inbox.remove(0);
            }
            let Some(next) = sim.next_event().filter(|&at| at <= end) else {
                return Err(format!("{what} did not come"));
            };
            sim.run_until(next, |_, _| {});
        };
        let fits = match &message {
            Message::Request(request) => request.method.to_string() == what,
            Message::Response(response) => response.status.to_string() == what,
        };
        if !fits {
            return Err(format!("expected {what}, got {}", headline(&message)));
        }
        check(&message, checks)
    }
}

fn who(word: &str) -> Who {
    match word {
        "a" => Who::A,
        "b" => Who::B,
        _ => Who::C,
    }
}

fn side(word: &str) -> Side {
    if word == "a" { Side::A } else { Side::B }
}

fn headline(message: &Message) -> String {
    match message {
        Message::Request(request) => request.method.to_string(),
        Message::Response(response) => format!("{} {}", response.status, response.reason),
    }
}
