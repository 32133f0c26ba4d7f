//! Linphone without its command line: `linphone-daemon`, which can add video to a call and take it out again. Its camera is a
//! static picture, its microphone a file; it shows nothing and records nothing, but counts.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::linphone::{PATIENCE, rc_file};
use crate::netns::beside;
use crate::phone::Setup;
use crate::process::{Process, tail};
use crate::tone::Sound;

/// A running linphone-daemon.
pub(crate) struct Daemon {
    process: Process,
    home: PathBuf,
    tone: PathBuf,
}

/// What it received of a stream, after decryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) packets: usize,
    pub(crate) lost: usize,
    pub(crate) bad: usize,
}

const STATE: &str = "Event: LinphoneCall";
const RUNNING: &str = "Event: LinphoneCallStreamsRunning";
const SWITCHED: &str = "Camera ";
const ENDED: &str = "Event: LinphoneCallReleased";

impl Daemon {
    /// Starts it and waits until it listens. `video`: it calls with video; when called it always takes video that is offered.
    pub(crate) fn start(setup: &Setup, video: bool) -> Outcome<Self> {
        let name = format!("daemon-{}", setup.letter());
        let home = setup.dir.join(&name);
        let told = |e: std::io::Error| format!("{name}: {e}");
        fs::create_dir_all(home.join(".local/share/linphone")).map_err(told)?;
        let tone = home.join("tone.wav");
        Sound::sine(setup.tone, 120).write(&tone)?;
        let rc = home.join("rc");
        let camera = format!(
            "[video]\ncapture=1\ndisplay=0\nautomatically_initiate={}\nautomatically_accept=1\n\
             device=StaticImage: Static picture\n\
             [video_codec_0]\nmime=VP8\nrate=90000\nenabled=1\n[video_codec_1]\nmime=H264\nrate=90000\nenabled=0\n",
            u8::from(video)
        );
        fs::write(&rc, rc_file(setup) + &camera).map_err(told)?;
        let mut command = Command::new("linphone-daemon");
        command.env("HOME", &home).arg("--config").arg(&rc).arg("--log");
        command
            .arg(home.join("log"))
            .args(["-C", "--disable-stats-events"]);
        command.args(setup.answers.then_some("--auto-answer"));
        let namespace = beside(&setup.hub, setup.side);
        let mut process = Process::start(&name, &namespace, &setup.dir, &command)?;
        process.await_port(&namespace, setup.sip_port())?;
        Ok(Self { process, home, tone })
    }

    /// Calls `target`.
    pub(crate) fn dial(&mut self, target: &str) -> Outcome {
        self.process.say(&format!("call {target}"))
    }

    /// Waits until media has been agreed on for the `times`th time.
    pub(crate) fn await_running(&mut self, times: usize) -> Outcome {
        self.process.await_output(RUNNING, times, PATIENCE)
    }

    /// How often media was agreed on so far.
    pub(crate) fn runs(&self) -> usize {
        self.process.output().matches(RUNNING).count()
    }

    /// Types a command.
    pub(crate) fn say(&mut self, line: &str) -> Outcome {
        self.process.say(line)
    }

    /// Waits until its call is in that state, in liblinphone's word (`Paused`).
    pub(crate) fn await_state(&mut self, state: &str) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.process.output();
            let last = output.rsplit(STATE).next().unwrap_or_default();
            if last.lines().next() == Some(state) {
                return Ok(());
            }
            if self.process.ended()?.is_some() || Instant::now() > deadline {
                let ended = tail(&output, 15);
                return Err(format!(
                    "linphone-daemon: not {state} in {PATIENCE:?}; it ended with:\n{ended}"
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Speaks its tone.
    pub(crate) fn speak(&mut self) -> Outcome {
        self.process
            .say(&format!("incall-player-start {}", self.tone.display()))
    }

    /// Adds video to the call, or takes it out, and waits until that is agreed on. It only knows to change what it has asked
    /// for itself: after a change by the other end it first asks for what there is already.
    pub(crate) fn set_video(&mut self, wanted: bool) -> Outcome {
        for _ in 0..2 {
            let (runs, said) = (self.runs(), self.process.output().matches(SWITCHED).count());
            self.process.say("video")?;
            self.process.await_output(SWITCHED, said + 1, PATIENCE)?;
            self.await_running(runs + 1)?;
            let output = self.process.output();
            let last = output.rsplit(SWITCHED).next().unwrap_or_default();
            if last.starts_with("activated") == wanted {
                return Ok(());
            }
        }
        Err(format!("linphone-daemon does not set video to {wanted}"))
    }

    pub(crate) fn hang_up(&mut self) -> Outcome {
        self.process.say("terminate")
    }

    pub(crate) fn await_end(&mut self) -> Outcome {
        self.process.await_output(ENDED, 1, PATIENCE)
    }

    /// What it has received of that kind (`AUDIO`, `VIDEO`), one entry for each time that such a stream has run. After the call.
    pub(crate) fn received(&self, kind: &str) -> Outcome<Vec<Received>> {
        let file = self.home.join("log");
        let log = fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let log = String::from_utf8_lossy(&log);
        let title = format!("{kind} SESSION'S RTP STATISTICS");
        let mut runs = Vec::new();
        for block in log.split(&title).skip(1) {
            let number = |words: &str| -> Outcome<usize> {
                let line = block.lines().take(40).find_map(|line| {
                    let (_, said) = line.split_once("ortp-message-")?;
                    said.trim_start().strip_prefix(words)?.split_whitespace().next()
                });
                let told = || format!("{}: no {words:?} among its statistics", file.display());
                line.and_then(|n| n.parse().ok()).ok_or_else(told)
            };
            runs.push(Received {
                packets: number("received ")?,
                lost: number("incoming cumulative lost")?,
                bad: number("incoming bad formatted")?,
            });
        }
        Ok(runs)
    }
}
