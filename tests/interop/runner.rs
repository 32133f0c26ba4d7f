//! Runs the tests: each in a process of its own, inside namespaces of its own, ended when its time
//! is up. What a test leaves running ends with its namespaces.

use std::collections::VecDeque;
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::keep;
use crate::machine::Machine;
use crate::netns::{self, Namespaces};
use crate::process::Process;
use crate::scene::Scene;
use crate::{Outcome, Test};

/// All our namespaces are named so, then the pid of the runner, `-`, a number and a letter.
const PREFIX: &str = "b2bit";

struct Options {
    names: Vec<String>,
    exact: bool,
    skipped: Vec<String>,
    jobs: usize,
    repeat: usize,
    list: bool,
}

impl Options {
    fn chooses(&self, test: &str) -> bool {
        let fits = |name: &String| {
            if self.exact {
                test == name
            } else {
                test.contains(name.as_str())
            }
        };
        (self.names.is_empty() || self.names.iter().any(fits)) && !self.skipped.iter().any(fits)
    }
}

/// Runs what the command line asks for.
pub(crate) fn run(tests: &[&Test]) -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [flag, name, hub, dir] = args.as_slice()
        && flag == "--inside"
    {
        return inside(tests, name, hub, Path::new(dir));
    }
    let options = match options(args) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("interop: {problem}");
            return ExitCode::from(2);
        }
    };
    let chosen: Vec<&Test> = tests
        .iter()
        .copied()
        .filter(|test| options.chooses(test.name))
        .collect();
    if options.list {
        for test in chosen {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    if fs::metadata("/proc/self").map_or(true, |me| me.uid() != 0) {
        eprintln!("interop: network namespaces need root; `tests/run interop` takes it by sudo");
        return ExitCode::FAILURE;
    }
    netns::remove_stale(PREFIX);
    run_all(&chosen, &options)
}

fn options(args: Vec<String>) -> Outcome<Options> {
    let number = |name: &str, value: Option<String>| -> Outcome<usize> {
        let value = value.ok_or_else(|| format!("{name} wants a number"))?;
        value.parse().map_err(|_| format!("{name} {value}: not a number"))
    };
    let mut options = Options {
        names: Vec::new(),
        exact: false,
        skipped: Vec::new(),
        jobs: 2,
        repeat: 1,
        list: false,
    };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        match name.as_str() {
            "--jobs" | "--test-threads" => {
                options.jobs = number(&name, inline.or_else(|| args.next()))?.max(1);
            }
            "--repeat" => options.repeat = number(&name, inline.or_else(|| args.next()))?,
            "--list" => options.list = true,
            "--exact" => options.exact = true,
            "--skip" => {
                let skipped = inline.or_else(|| args.next());
                options.skipped.push(skipped.ok_or("--skip wants a name")?);
            }
            // libtest's, so that they may be passed to all test targets at once. Nothing here is ignored.
            "--ignored" => options.repeat = 0,
            "--nocapture" | "--no-capture" | "--include-ignored" | "--quiet" | "-q" => {}
            other if other.starts_with('-') => return Err(format!("unknown option {other}")),
            _ => options.names.push(name),
        }
    }
    Ok(options)
}

fn run_all(tests: &[&Test], options: &Options) -> ExitCode {
    let queue: VecDeque<(usize, &Test)> = (0..options.repeat)
        .flat_map(|_| tests.iter().copied())
        .enumerate()
        .collect();
    let total = queue.len();
    println!("running {total} interop tests, {} at a time", options.jobs);
    let (queue, failures) = (Mutex::new(queue), Mutex::new(Vec::new()));
    let machine = Machine::watch();
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while let Some((number, test)) = take(&queue) {
                    if !report(number, test, &machine)
                        && let Ok(mut failures) = failures.lock()
                    {
                        failures.push(test.name);
                    }
                }
            });
        }
    });
    let failed = failures.lock().map_or(total, |failures| failures.len());
    println!(
        "{} passed, {failed} failed, in {:.0} s",
        total - failed,
        began.elapsed().as_secs_f64()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How often a test is run that fails where the machine kept too much from its phones.
const ATTEMPTS: usize = 3;

/// Runs one test and prints how it went. A failure on a machine that had no time for its phones says nothing about the server: that
/// test is run again, and the line says so.
fn report(number: usize, test: &Test, machine: &Machine) -> bool {
    let name = test.name;
    for attempt in 1..=ATTEMPTS {
        let before = machine.reading();
        let began = Instant::now();
        let outcome = one(
            if attempt == 1 {
                format!("{number}")
            } else {
                format!("{number}-{attempt}")
            },
            test,
        );
        let took = began.elapsed().as_secs_f64();
        let Err(why) = outcome else {
            println!("ok      {took:5.1} s  {name}");
            return true;
        };
        let kept = before.until(&machine.reading());
        let why = why.replace('\n', "\n        ");
        let again = attempt < ATTEMPTS && kept.makes_phones_stutter();
        let word = if again { "again " } else { "FAILED" };
        println!("{word}  {took:5.1} s  {name} ({kept})\n        {why}");
        if !again {
            break;
        }
    }
    false
}

fn take<'a>(queue: &Mutex<VecDeque<(usize, &'a Test)>>) -> Option<(usize, &'a Test)> {
    queue.lock().ok()?.pop_front()
}

/// Runs one test in a process inside fresh namespaces.
fn one(number: String, test: &Test) -> Outcome {
    let tag = format!("{PREFIX}{}-{number}", std::process::id());
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("interop")
        .join(&tag);
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let namespaces = Namespaces::create(&tag)?;
    let exe = env::current_exe().map_err(|e| format!("my own path: {e}"))?;
    let mut command = Command::new(exe);
    command.args(["--inside", test.name, &namespaces.hub()]).arg(&dir);
    let mut process = Process::start("test", &namespaces.hub(), &dir, &command)?;
    let ended = process.await_end(test.limit);
    let said = process.output();
    drop(process);
    drop(namespaces);
    keep::keep(&tag, &dir)?;
    match ended {
        Ok(0) => {
            let _ = fs::remove_dir_all(&dir);
            Ok(())
        }
        Ok(_) => Err(format!("{}\nkept: {}", said.trim(), dir.display())),
        Err(_) => Err(format!(
            "not done after {} s; ended\n{}\nkept: {}",
            test.limit.as_secs(),
            said.trim(),
            dir.display()
        )),
    }
}

/// The test's own process.
fn inside(tests: &[&Test], name: &str, hub: &str, dir: &Path) -> ExitCode {
    let Some(test) = tests.iter().find(|test| test.name == name) else {
        println!("no test named {name}");
        return ExitCode::FAILURE;
    };
    match (test.body)(&Scene::new(hub, dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            // Peers that still talk would write into captures that are kept for reading.
            thread::sleep(Duration::from_millis(100));
            ExitCode::FAILURE
        }
    }
}
