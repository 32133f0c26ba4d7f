//! The command `b2bua`: reads the command line and puts the parts together.

#[path = "../apps/mod.rs"]
mod apps;
#[path = "main/args.rs"]
mod args;
#[path = "main/compose.rs"]
mod compose;
#[path = "main/logging.rs"]
mod logging;
#[path = "main/notify.rs"]
mod notify;
#[path = "main/route_test.rs"]
mod route_test;
#[path = "main/running.rs"]
mod running;
#[path = "main/serve.rs"]
mod serve;

use args::{Args, Command};
use b2bua::config::{Format, Schema};
use b2bua::{
    control::{accounts, calls},
    phone,
};
use clap::Parser;
use std::process::ExitCode;

/// Gives memory back to the kernel when calls are over: with the system's, what a busy hour took stays until the end.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(answer) => return usage(&answer),
    };
    let applications: Vec<_> = apps::ALL
        .iter()
        .map(|app| (app.name, app.help, app.keys))
        .collect();
    let schema = Schema::new(&applications);
    if let Some(section) = &args.dump_default {
        return dump(&schema, section, &args.dump_format);
    }
    match args.command {
        None => serve::run(&args, apps::ALL, &schema),
        Some(Command::Demo(options)) => phone::demo::run(&options),
        Some(Command::Calls(options)) => list(&options, "/calls", calls::table),
        Some(Command::Accounts(options)) => list(&options, "/accounts", accounts::table),
        Some(Command::Load(options)) => phone::load::run(&options),
        Some(Command::RouteTest(options)) => route_test::run(&options, &schema),
    }
}

/// `--help` and `--version` are answers; anything else is a mistake, which upstream ends with 1.
fn usage(answer: &clap::Error) -> ExitCode {
    // Nobody can be told when standard error is closed.
    let _ = answer.print();
    if answer.use_stderr() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn list(options: &args::Listing, path: &str, table: fn(&serde_json::Value) -> String) -> ExitCode {
    match calls::fetch(options.server, path) {
        Ok(all) if options.json => println!("{all:#}"),
        Ok(all) => print!("{}", table(&all)),
        Err(why) => {
            eprintln!("b2bua: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn dump(schema: &Schema, section: &str, format: &str) -> ExitCode {
    let format = if format == "toml" {
        Format::Toml
    } else {
        Format::Ini
    };
    let section = (section != "all").then_some(section);
    let Some(text) = schema.dump(section, format) else {
        let names: Vec<_> = schema.tables().iter().map(|table| table.name.as_str()).collect();
        eprintln!(
            "--dump-default: there is no such section; expected all or one of {}",
            names.join(", ")
        );
        return ExitCode::from(serve::REFUSED);
    };
    print!("{text}");
    ExitCode::SUCCESS
}
