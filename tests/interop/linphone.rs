//! Linphone's command line phone, `linphonec`, controlled over its standard input.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::netns::beside;
use crate::phone::{Keys, Phone, Setup};
use crate::process::Process;
use crate::tone::Sound;

/// A running linphonec.
pub(crate) struct Linphone {
    process: Process,
    recording: PathBuf,
}

/// A machine that has other things to do may take long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);
/// Codecs that the judge on the wire does not decode.
const UNWANTED: [(&str, u32, u8); 8] = [
    ("opus", 48000, 2),
    ("speex", 16000, 1),
    ("speex", 8000, 1),
    ("speex", 32000, 1),
    ("GSM", 8000, 1),
    ("G722", 8000, 1),
    ("G729", 8000, 1),
    ("iLBC", 8000, 1),
];
const UP: &str = "Media streams established";
const ENDED: &str = " ended (";

impl Linphone {
    /// Starts it and waits until it listens.
    pub(crate) fn start(setup: &Setup) -> Outcome<Self> {
        let name = format!("linphone-{}", setup.letter());
        let home = setup.dir.join(&name);
        let told = |e: std::io::Error| format!("{name}: {e}");
        // Its database goes there, and it does not make the folder.
        fs::create_dir_all(home.join(".local/share/linphone")).map_err(told)?;
        let (tone, recording) = (home.join("tone.wav"), home.join("heard.wav"));
        Sound::sine(setup.tone, 120).write(&tone)?;
        let rc = home.join("rc");
        fs::write(&rc, rc_file(setup)).map_err(told)?;
        let mut command = Command::new("linphonec");
        command
            .env("HOME", &home)
            .arg("-c")
            .arg(&rc)
            .args(["-d", "6", "-l"])
            .arg(home.join("log"));
        command.args(["-S", "-C"]).args(setup.answers.then_some("-a"));
        let mut process = Process::start(&name, &beside(&setup.hub, setup.side), &setup.dir, &command)?;
        for line in [
            "soundcard use files".to_owned(),
            format!("play {}", tone.display()),
            format!("record {}", recording.display()),
        ] {
            process.say(&line)?;
        }
        process.await_output("record ", 1, PATIENCE)?;
        process.await_port(&beside(&setup.hub, setup.side), setup.sip_port())?;
        Ok(Self { process, recording })
    }

    /// Types a command.
    pub(crate) fn say(&mut self, line: &str) -> Outcome {
        self.process.say(line)
    }

    /// Waits until it has said something that often.
    pub(crate) fn await_said(&mut self, text: &str, times: usize) -> Outcome {
        self.process.await_output(text, times, PATIENCE)
    }

    /// How often media was agreed on so far.
    pub(crate) fn ups(&self) -> usize {
        self.count(UP)
    }

    /// Waits until media has been agreed on once more than `before`.
    pub(crate) fn await_up(&mut self, before: usize) -> Outcome {
        self.process.await_output(UP, before + 1, PATIENCE)
    }

    /// The digits that it has received, in their order.
    pub(crate) fn tones(&self) -> String {
        let output = self.process.output();
        let tones = output.split("Receiving tone ").skip(1);
        tones.filter_map(|rest| rest.chars().next()).collect()
    }

    fn count(&self, text: &str) -> usize {
        self.process.output().matches(text).count()
    }
}

/// Its configuration.
pub(crate) fn rc_file(setup: &Setup) -> String {
    let ip = setup.ip();
    let (encryption, must) = match setup.keys {
        Keys::None => ("none", 0),
        Keys::Sdes => ("srtp", 1),
        Keys::Dtls => ("dtls", 1),
        Keys::Zrtp => ("zrtp", 1),
    };
    let mut rc = format!(
        "[sip]\ncontact={identity}\nuse_ipv6={v6}\nipv6_migration_done=1\n\
         media_encryption={encryption}\nmedia_encryption_mandatory={must}\n\
         sip_port={sip}\nsip_tcp_port=-1\nsip_tls_port=-1\nbind_address={ip}\n\
         guess_hostname=1\nregister_only_when_network_is_up=0\n\
         [rtp]\nbind_address={ip}\naudio_rtp_port={audio}\nvideo_rtp_port={video}\n\
         [sound]\nechocancellation=0\n[app]\nauto_net_state_mon=0\n\
         [audio_codec_0]\nmime=PCMU\nrate=8000\nenabled=1\n\
         [audio_codec_1]\nmime=PCMA\nrate=8000\nenabled=1\n",
        identity = setup.identity(),
        v6 = u8::from(setup.ipv6),
        sip = setup.sip_port(),
        audio = setup.media_port(),
        video = setup.media_port() + 50,
    );
    // What is not listed it adds by itself, switched on.
    let unwanted = if setup.every_codec { &[][..] } else { &UNWANTED[..] };
    for (n, (name, rate, channels)) in (2..).zip(unwanted) {
        rc += &format!("[audio_codec_{n}]\nmime={name}\nrate={rate}\nchannels={channels}\nenabled=0\n");
    }
    if !setup.events {
        let n = 2 + unwanted.len();
        rc += &format!("[audio_codec_{n}]\nmime=telephone-event\nrate=8000\nchannels=1\nenabled=0\n");
    }
    let chosen = [
        ("srtp_crypto_suites", setup.suites),
        ("zrtp_key_agreements_suites", setup.key_agreement),
    ];
    for (key, value) in chosen.iter().filter(|(_, value)| !value.is_empty()) {
        rc = rc.replacen("[sip]\n", &format!("[sip]\n{key}={value}\n"), 1);
    }
    rc = rc.replacen("[sip]\n", &format!("[sip]\n{}", setup.more), 1);
    if setup.early {
        rc = rc.replacen("[sip]\n", "[sip]\nincoming_calls_early_media=1\n", 1)
            + "[misc]\nreal_early_media=1\n";
    }
    if let Some(folder) = &setup.tls {
        let folder = folder.display();
        let mut lines =
            format!("[sip]\nroot_ca={folder}/ca.pem\nverify_server_certs=1\nverify_server_cn=1\n");
        if setup.certified {
            let own = format!("{folder}/phone-a");
            lines += &format!("client_cert_chain={own}.pem\nclient_cert_key={own}.key\n");
        }
        let port = setup.sip_port() - 1;
        rc = rc
            .replacen("[sip]\n", &lines, 1)
            .replace("sip_tls_port=-1", &format!("sip_tls_port={port}"));
    }
    if let Some((realm, password)) = setup.password {
        rc += &format!("[auth_info_0]\nusername=alice\npasswd={password}\nrealm={realm}\ndomain={realm}\n");
    }
    if let Some(proxy) = &setup.proxy {
        rc += &format!(
            "[proxy_0]\nreg_proxy=<{proxy}>\nreg_route=<{proxy};lr>\nreg_identity={}\n\
             reg_expires=0\nreg_sendregister=0\npublish=0\n",
            setup.identity()
        );
        rc = rc.replacen("[sip]\n", "[sip]\ndefault_proxy=0\n", 1);
    }
    rc
}

impl Phone for Linphone {
    fn name(&self) -> &'static str {
        "Linphone"
    }

    fn dial(&mut self, target: &str) -> Outcome {
        self.process.say(&format!("call {target}"))
    }

    fn await_call(&mut self) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.process.output();
            if output.contains(UP) {
                return Ok(());
            }
            if let Some(line) = output
                .lines()
                .find(|line| line.contains(ENDED) || line.contains("error"))
            {
                return Err(format!("Linphone: the call failed: {line}"));
            }
            if Instant::now() > deadline {
                return Err(format!("Linphone: no call in {PATIENCE:?}; it said:\n{output}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn hold(&mut self) -> Outcome {
        let times = self.count("is now paused") + 1;
        self.process.say("pause")?;
        self.process.await_output("is now paused", times, PATIENCE)
    }

    fn resume(&mut self) -> Outcome {
        let times = self.count(UP) + 1;
        self.process.say("resume 1")?;
        self.process.await_output(UP, times, PATIENCE)
    }

    fn hang_up(&mut self) -> Outcome {
        self.process.say("terminate")
    }

    fn await_end(&mut self) -> Outcome {
        self.process.await_output(ENDED, 1, PATIENCE)
    }

    fn heard(&mut self) -> Outcome<Sound> {
        // The recorder writes in blocks; the last one when it ends.
        let _ = self.process.say("quit");
        self.process.await_end(PATIENCE)?;
        Sound::read(&self.recording)
    }

    fn records_on(&self) -> bool {
        true
    }

    fn decoded(&mut self) -> Outcome<Option<f64>> {
        Ok(None)
    }
}
