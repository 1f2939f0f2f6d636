//! The load generator's process.

use std::env;
use std::process::ExitCode;

use loadtest::cli::Request;
use loadtest::commands;

fn main() -> ExitCode {
    match Request::from_args(env::args_os()) {
        Ok(request) => commands::run(request),
        Err(error) => error.report(),
    }
}
