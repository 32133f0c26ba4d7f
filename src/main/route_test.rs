//! `b2bua route-test`: what the sip-bridge would do with a call.

use super::{
    apps::sip_bridge::{Question, SipBridge},
    args::Args,
    compose,
    serve::REFUSED,
};
use b2bua::{
    app::{Application, Registrations},
    config::{Config, Schema},
};
use clap::Parser;
use std::{path::PathBuf, process::ExitCode};
use tokio::runtime;

/// Says which provider, account and INVITE a call would get, and why the others would not take it. Accounts count as registered
/// and free. Ends with 0 where somebody would be called, with 1 where nobody would.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// The configuration, as without a command.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a key over what the file says; may be repeated.
    #[arg(short, long, value_name = "SECTION/KEY=VALUE")]
    set: Vec<String>,
    /// The caller's Request-URI, where it is not the URI of TO.
    #[arg(long, value_name = "URI")]
    request_uri: Option<String>,
    /// A further header field of the caller's INVITE; may be repeated.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The caller's From: a URI, or a name and a URI in brackets.
    from: String,
    /// The caller's To.
    to: String,
}

/// Prints it.
pub(crate) fn run(options: &Options, schema: &Schema) -> ExitCode {
    let refuse = |report: &str| {
        eprintln!("{report}");
        ExitCode::from(REFUSED)
    };
    let path = Args::config_path_of(options.config.as_ref());
    let read = Config::load(&path, &options.set, schema).and_then(|config| {
        let server = config.server()?;
        let section = config.section::<<SipBridge as Application>::Config>("b2bua-server::sip-bridge")?;
        Ok((
            compose::services(&config, &server, &Registrations::default())?,
            section,
        ))
    });
    let (services, section) = match read {
        Ok(read) => read,
        Err(errors) => return refuse(&errors.to_string()),
    };
    let question = Question {
        from: &options.from,
        to: &options.to,
        request_uri: options.request_uri.as_deref(),
        headers: &options.header,
    };
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("b2bua: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(SipBridge::explain(section.providers(), &services, &question)) {
        Ok(explanation) => {
            print!("{}", explanation.text);
            if explanation.placed {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(faults) => refuse(&faults.join("\n")),
    }
}
