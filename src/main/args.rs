//! The command line: Flexisip's where it makes sense for one server, and our own commands.

use super::route_test;
use b2bua::phone::{demo, load};
use clap::{Parser, Subcommand};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Where the configuration is looked for, in this order.
const PLACES: [&str; 2] = ["/etc/b2bua/b2bua.conf", "/etc/flexisip/flexisip.conf"];

/// A SIP back-to-back user agent server.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// Which server to run: b2bua is the only one here. Accepted so that Flexisip's units work.
    #[arg(long, value_name = "NAME", default_value = "b2bua")]
    pub(crate) server: String,
    /// The configuration: flexisip.conf's dialect, or TOML when it ends in .toml [default: /etc/b2bua/b2bua.conf, else
    /// /etc/flexisip/flexisip.conf]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Log every decision, whatever the configuration says.
    #[arg(short, long)]
    pub(crate) debug: bool,
    /// Set a key over what the file says; may be repeated.
    #[arg(short, long, value_name = "SECTION/KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Write the process id to a file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) pidfile: Option<PathBuf>,
    /// Log to syslog too.
    #[arg(long)]
    pub(crate) syslog: bool,
    /// Do not log to standard output.
    #[arg(long)]
    pub(crate) disable_stdout: bool,
    /// Read and check the configuration, say what is wrong with it, and end.
    #[arg(long)]
    pub(crate) check: bool,
    /// Print every key with its help and default, of all sections or one, and end.
    #[arg(long, value_name = "all|SECTION", num_args = 0..=1, default_missing_value = "all")]
    pub(crate) dump_default: Option<String>,
    /// The dialect of --dump-default.
    #[arg(long, value_name = "file|toml", default_value = "file", value_parser = ["file", "toml"])]
    pub(crate) dump_format: String,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What the program does besides serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put real calls through a server of its own, between built-in phones, and show and judge them.
    Demo(demo::Options),
    /// List the calls of a running server.
    Calls(Listing),
    /// List the accounts of a running server with application=sip-bridge.
    Accounts(Listing),
    /// Put many calls through a server, compare each packet, and say what they cost.
    Load(Box<load::Options>),
    /// Say what the sip-bridge would do with a call.
    RouteTest(route_test::Options),
}

/// What `b2bua calls` and `b2bua accounts` can be asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Listing {
    /// The server's http-listen
    #[arg(long, value_name = "ADDRESS", default_value = b2bua::config::HTTP_LISTEN)]
    pub(crate) server: SocketAddr,
    /// As JSON, with everything there is
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    /// The file to read: the one that was named, or the first that is there.
    pub(crate) fn config_path(&self) -> PathBuf {
        Self::config_path_of(self.config.as_ref())
    }
    /// The same with what `-c` of a command names.
    pub(crate) fn config_path_of(named: Option<&PathBuf>) -> PathBuf {
        let there = || PLACES.iter().map(Path::new).find(|path| path.exists());
        match named {
            Some(path) => path.clone(),
            None => there().unwrap_or(Path::new(PLACES[0])).to_owned(),
        }
    }
}
