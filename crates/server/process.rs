//! A broker as a process: its log, its signals and its exit codes.

use std::error::Error;
use std::process::{self, ExitCode};
use std::{io, thread};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::broker::{Broker, Stopper};
use crate::config::Config;
use crate::listener::{FileLimit, raise_file_limit};
use crate::log;

/// Is a broker until a signal stops it: takes the process's log, its signals and its limit on open files.
///
/// This is the `fanwire` program after its arguments, for programs that start themselves as a broker. One that has other
/// things to do beside it starts a [`Broker`].
///
/// | exit code | |
/// |---|---|
/// | 0 | it was told to stop, and did |
/// | 1 | it could not start, or the kernel failed it |
/// | 128 + n | a second signal, n, ended it at once |
pub fn run(config: Config) -> ExitCode {
    log::init(&config.log);
    match serve(config) {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a broker until a signal stops it.
fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let file_limit = raise_file_limit()?;
    let (cores, demo, is_exposed) = (config.cores, config.demo, config.exposed_address().is_some());
    let broker = Broker::start(config)?;
    stop_on_signals(broker.stopper())?;
    announce(&broker, cores, demo, file_limit);
    if is_exposed {
        warn_of_open_addresses(&broker);
    }
    Ok(broker.join()?)
}

/// Stops the broker in order at the first signal, and at once at the second.
fn stop_on_signals(stopper: Stopper) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().name("fanwire-signals".to_owned()).spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_some() {
            tracing::info!("stopping; a second signal ends the process at once");
            stopper.stop();
        }
        if let Some(signal) = signals.next() {
            tracing::warn!("ended by a second signal: what was not flushed is lost");
            process::exit(128 + signal);
        }
    })?;
    Ok(())
}

fn announce(broker: &Broker, cores: usize, demo: bool, file_limit: FileLimit) {
    let FileLimit { inherited, raised } = file_limit;
    for address in broker.addresses() {
        tracing::info!("listening on {address}");
    }
    tracing::info!(epoch = broker.epoch(), cores, "serving");
    tracing::info!(inherited, raised, "limit on open files, which is one for each connection");
    if demo {
        for address in broker.addresses() {
            tracing::info!("open http://{address}/ for the demo, http://{address}/demo/chat for the chat");
        }
    }
}

/// Says what it means that nobody is asked who it is.
fn warn_of_open_addresses(broker: &Broker) {
    let open = broker.addresses().iter().filter(|address| !address.ip().to_canonical().is_loopback());
    for address in open {
        tracing::warn!(
            "anybody who reaches {address} may publish and subscribe to everything (insecure_open)"
        );
    }
}
