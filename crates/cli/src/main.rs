//! The `crosstie` command: brokers, messages and measurements from a shell.
//!
//! Data goes to standard output, everything else to standard error. Every command takes `--json`. The exit codes are those of [`exit`].
#![forbid(unsafe_code)]

mod args;
mod commands;
mod demo;
mod exit;
mod help;
mod output;
mod scratch;
mod values;

use std::{ffi::OsString, path::Path, process::ExitCode};

use crate::args::Command;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    // Under the name of nats-server it takes nats-server's command line, so that programs which start that find ours.
    if Path::new(&program).file_name().is_some_and(|name| name == "nats-server") {
        return crosstie_server::main_nats(arguments);
    }
    let rest: Vec<OsString> = arguments.collect();
    if rest.first().is_some_and(|first| first == "nats") {
        return crosstie_server::main_nats(rest.into_iter().skip(1));
    }
    let cli = match help::parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error, &rest),
    };
    let output = output::Output::new(cli.json, cli.color);
    let outcome = match cli.command {
        Command::Serve(args) => commands::serve::run(&args, &output),
        // Options stand before the command; otherwise it was taken above.
        Command::Nats { arguments } => crosstie_server::run_nats(arguments.into_iter()).map_err(Into::into),
        Command::CheckConfig(args) => commands::check_config::run(&args, &output),
        Command::Pub(args) => commands::publish::run(&args, &cli.server.url, &output),
        Command::Sub(args) => commands::subscribe::run(&args, &cli.server.url, &output),
        Command::Request(args) => commands::request::run(&args, &cli.server.url, &output),
        Command::Reply(args) => commands::reply::run(&args, &cli.server.url, &output),
        Command::Bench(args) => commands::bench::run(&args, &cli.server.url, &output),
        Command::Pipe(args) => commands::stream::pipe::run(&args, &output),
        Command::Listen(args) => commands::stream::listen::run(&args, &output),
        Command::Send(args) => commands::message::send::run(&args, &output),
        Command::Recv(args) => commands::message::recv::run(&args, &output),
        Command::Ps(args) => commands::ps::run(&args, &output),
        Command::Lock(args) => commands::shm::lock::run(&args, &output),
        Command::Locks(args) => commands::shm::locks::run(&args, &output),
        Command::Shm(args) => commands::shm::run(&args, &output),
        Command::Tls(args) => commands::tls::run(&args, &output),
        Command::Demo(args) => demo::run(&args, &output),
        Command::Completions { shell } => commands::shell::completions(shell, &output),
        Command::Man { directory } => commands::shell::man(&directory, &output),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output.fail(&failure),
    }
}
