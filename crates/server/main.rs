//! The broker's program: its arguments. Its exit codes are those of [`fanwire::run`], and 2: the configuration is wrong.

use std::io::Write;
use std::process::ExitCode;
use std::{env, io};

use fanwire::config::{Config, Invocation};

fn main() -> ExitCode {
    match Config::from_args(env::args_os()) {
        Ok(Invocation::Run(config)) => fanwire::run(*config),
        Ok(Invocation::Check(config)) => {
            // Whoever reads it may have seen enough: a closed pipe is no failure.
            let _ = write!(io::stdout(), "{config}");
            ExitCode::SUCCESS
        }
        Ok(Invocation::Token(mint)) => mint.print(),
        Err(error) => error.report(),
    }
}
