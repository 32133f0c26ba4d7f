//! baresip, controlled over its `ctrl_tcp` (netstrings of JSON).

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Outcome;
use crate::netns::beside;
use crate::phone::{Keys, Phone, Setup};
use crate::process::Process;
use crate::tone::Sound;

/// A running baresip.
pub(crate) struct Baresip {
    process: Process,
    control: TcpStream,
    unread: Vec<u8>,
    events: Vec<Value>,
    recordings: PathBuf,
    commands: usize,
}

/// A machine that has other things to do may take long.
const PATIENCE: Duration = Duration::from_secs(25);

impl Baresip {
    /// Starts it and waits until it can be told things.
    pub(crate) fn start(setup: &Setup) -> Outcome<Self> {
        let name = format!("baresip-{}", setup.letter());
        let home = setup.dir.join(&name);
        let recordings = home.join("heard");
        let told = |e: std::io::Error| format!("{name}: {e}");
        fs::create_dir_all(&recordings).map_err(told)?;
        let tone = home.join("tone.wav");
        Sound::sine(setup.tone, 60).write(&tone)?;
        let config = format!(
            "poll_method epoll\nsip_listen {listen}\n\
             audio_source aufile,{tone}\naudio_player none,none\naudio_alert none,none\n\
             ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n\
             call_local_timeout 120\ncall_max_calls 4\nrtp_ports {first}-{last}\nrtcp_mux no\n\
             jitter_buffer_delay 1-5\nmodule_path /usr/lib/baresip/modules\n\
             module g711.so\nmodule aufile.so\nmodule sndfile.so\nmodule srtp.so\nmodule dtls_srtp.so\n\
             module_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nmodule_app debug_cmd.so\n\
             ctrl_tcp_listen 0.0.0.0:4444\nsnd_path {heard}\n",
            listen = SocketAddr::new(setup.ip(), setup.sip_port()),
            tone = tone.display(),
            first = setup.media_port(),
            last = setup.media_port() + 98,
            heard = recordings.display(),
        );
        let mut account = format!("<{}>;regint=0", setup.identity());
        if let Some(proxy) = &setup.proxy {
            account += &format!(";outbound=\"{proxy}\"");
        }
        if let Some((_, password)) = setup.password {
            account += &format!(";auth_user=alice;auth_pass={password}");
        }
        account += match setup.keys {
            Keys::None => "",
            Keys::Sdes => ";mediaenc=srtp-mand",
            Keys::Dtls => ";mediaenc=dtls_srtp",
            Keys::Zrtp => return Err("this baresip has no ZRTP".to_owned()),
        };
        if setup.early {
            account += ";answermode=early";
        } else if setup.answers {
            account += ";answermode=auto";
        }
        let config = match &setup.tls {
            Some(folder) => {
                let folder = folder.display();
                format!("{config}sip_certificate {folder}/phone-b.pem\nsip_cafile {folder}/ca.pem\n")
            }
            None => config,
        };
        for (file, content) in [
            ("config", config),
            ("accounts", account + "\n"),
            ("contacts", String::new()),
        ] {
            fs::write(home.join(file), content).map_err(told)?;
        }
        let mut command = Command::new("baresip");
        command
            .arg("-f")
            .arg(&home)
            .args(["-s", "-v"])
            .args(setup.ipv6.then_some("-6"));
        let mut process = Process::start(&name, &beside(&setup.hub, setup.side), &setup.dir, &command)?;
        process.await_output("baresip is ready", 1, PATIENCE)?;
        let at = SocketAddr::new(setup.side.phone(), 4444);
        let control = TcpStream::connect_timeout(&at, PATIENCE).map_err(told)?;
        control
            .set_read_timeout(Some(Duration::from_millis(30)))
            .map_err(told)?;
        Ok(Self {
            process,
            control,
            unread: Vec::new(),
            events: Vec::new(),
            recordings,
            commands: 0,
        })
    }

    /// Says a command and returns the text of its answer.
    fn command(&mut self, command: &str, params: &str) -> Outcome<String> {
        self.commands += 1;
        let token = format!("t{}", self.commands);
        let text = json!({"command": command, "params": params, "token": token}).to_string();
        write!(self.control, "{}:{text},", text.len()).map_err(|e| format!("baresip: {e}"))?;
        let answer = self.await_event(command, |event| event["token"] == token.as_str())?;
        let data = answer["data"].as_str().unwrap_or_default().to_owned();
        if answer["ok"] == true {
            Ok(data)
        } else {
            Err(format!("baresip: {command}: {data}"))
        }
    }

    fn await_event(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Outcome<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.read()?;
            if let Some(event) = self.events.iter().find(|event| wanted(event)) {
                return Ok(event.clone());
            }
            if Instant::now() > deadline {
                let seen: Vec<_> = self.events.iter().map(|e| &e["type"]).collect();
                return Err(format!(
                    "baresip: no {what} in {PATIENCE:?}; its events: {seen:?}"
                ));
            }
        }
    }

    /// Reads what has come; waits a moment when nothing has.
    fn read(&mut self) -> Outcome {
        let mut buffer = [0; 65536];
        match self.control.read(&mut buffer) {
            Ok(0) => return Err("baresip closed its control connection".to_owned()),
            Ok(n) => self.unread.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(format!("baresip: {e}")),
        }
        while let Some(colon) = self.unread.iter().position(|b| *b == b':') {
            let length: usize = std::str::from_utf8(&self.unread[..colon])
                .ok()
                .and_then(|digits| digits.parse().ok())
                .ok_or("baresip: its control connection is out of step")?;
            let Some(text) = self.unread.get(colon + 1..colon + 1 + length) else {
                break;
            };
            let event = serde_json::from_slice(text).map_err(|e| format!("baresip: {e}"))?;
            self.events.push(event);
            self.unread.drain(..(colon + length + 2).min(self.unread.len()));
        }
        Ok(())
    }

    fn count(&self, kind: &str, param: &str) -> usize {
        self.events
            .iter()
            .filter(|e| e["type"] == kind && e["param"] == param)
            .count()
    }

    /// Says `command`, which re-INVITEs, and waits for the answer's SDP.
    fn reinvite(&mut self, command: &str) -> Outcome {
        self.read()?;
        let before = self.count("CALL_REMOTE_SDP", "answer");
        self.command(command, "")?;
        let deadline = Instant::now() + PATIENCE;
        while self.count("CALL_REMOTE_SDP", "answer") <= before {
            if Instant::now() > deadline {
                return Err(format!("baresip: {command} was not answered in {PATIENCE:?}"));
            }
            self.read()?;
        }
        Ok(())
    }
}

impl Phone for Baresip {
    fn name(&self) -> &'static str {
        "baresip"
    }

    fn dial(&mut self, target: &str) -> Outcome {
        self.command("dial", target).map(drop)
    }

    fn await_call(&mut self) -> Outcome {
        let event = self.await_event("CALL_ESTABLISHED", |e| {
            e["type"] == "CALL_ESTABLISHED" || e["type"] == "CALL_CLOSED"
        })?;
        if event["type"] == "CALL_CLOSED" {
            return Err(format!("baresip: the call ended: {}", event["param"]));
        }
        Ok(())
    }

    fn hold(&mut self) -> Outcome {
        self.reinvite("hold")
    }

    fn resume(&mut self) -> Outcome {
        self.reinvite("resume")
    }

    fn hang_up(&mut self) -> Outcome {
        self.command("hangup", "").map(drop)
    }

    fn await_end(&mut self) -> Outcome {
        self.await_event("CALL_CLOSED", |e| e["type"] == "CALL_CLOSED")
            .map(drop)
    }

    fn heard(&mut self) -> Outcome<Sound> {
        // The recorder is closed, and its header written, a moment after the call.
        thread::sleep(Duration::from_millis(200));
        let entries = fs::read_dir(&self.recordings).map_err(|e| format!("baresip: {e}"))?;
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .ok_or_else(|| "baresip has recorded nothing".to_owned())
            .and_then(|path| Sound::read(&path))
    }

    /// baresip's recorder does not survive a re-INVITE.
    fn records_on(&self) -> bool {
        false
    }

    fn decoded(&mut self) -> Outcome<Option<f64>> {
        let text = self.command("audio_debug", "")?;
        let received = text.split(" rx: ").nth(1).unwrap_or_default();
        let time = received
            .split("time = ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        time.and_then(|seconds| seconds.parse().ok())
            .map(Some)
            .ok_or_else(|| format!("baresip's audio_debug shows no decoded time: {text}"))
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.process.stop("TERM");
    }
}

/// The address of a phone as SIP writes it.
pub(crate) fn literal(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
