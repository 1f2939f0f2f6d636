//! The broker's program: its arguments. Its exit codes are those of [`fanwire::run`]; 2 is for wrong arguments too.

use std::env;
use std::process::ExitCode;

use fanwire::config::{Config, Invocation};

fn main() -> ExitCode {
    match Config::from_args(env::args_os()) {
        Ok(Invocation::Run(config)) => fanwire::run(*config),
        Ok(Invocation::Check(config)) => fanwire::check(&config),
        Ok(Invocation::Token(mint)) => mint.print(),
        Err(error) => error.report(),
    }
}
