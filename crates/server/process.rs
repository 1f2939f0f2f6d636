//! A broker as a process: its log, its signals and its exit codes.

use std::error::Error;
use std::process::{self, ExitCode};
use std::{io, thread};

use crossbeam_channel::Sender;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::broker::{Broker, Stopper};
use crate::config::{Config, Listen};
use crate::listener::{FileLimit, raise_file_limit};
use crate::{log, reload};

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
    let (cores, demo) = (config.cores, config.demo);
    let broker = Broker::start(config)?;
    let watched = broker.watched();
    let (ask, asked) = crossbeam_channel::unbounded();
    thread::Builder::new().name("fanwire-files".to_owned()).spawn(move || reload::watch(watched, &asked))?;
    heed_signals(broker.stopper(), ask)?;
    announce(&broker, cores, demo, file_limit);
    Ok(broker.join()?)
}

/// Has files read again at SIGHUP; stops the broker in order at the first signal to end, and at once at the second.
fn heed_signals(stopper: Stopper, reload: Sender<()>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    thread::Builder::new().name("fanwire-signals".to_owned()).spawn(move || {
        let mut is_stopping = false;
        for signal in signals.forever() {
            if signal == SIGHUP {
                // It fails only when nobody watches any more.
                let _ = reload.send(());
            } else if is_stopping {
                tracing::warn!("ended by a second signal: what was not flushed is lost");
                process::exit(128 + signal);
            } else {
                tracing::info!("stopping; a second signal ends the process at once");
                is_stopping = true;
                stopper.stop();
            }
        }
    })?;
    Ok(())
}

fn announce(broker: &Broker, cores: usize, demo: bool, file_limit: FileLimit) {
    let FileLimit { inherited, raised } = file_limit;
    for listen in broker.listening() {
        tracing::info!("listening on {listen}");
    }
    tracing::info!(epoch = broker.epoch(), cores, "serving");
    tracing::info!(inherited, raised, "limit on open files, which is one for each connection");
    if demo {
        for Listen { address, tls } in broker.listening() {
            let scheme = if *tls { "https" } else { "http" };
            tracing::info!(
                "open {scheme}://{address}/ for the demo, {scheme}://{address}/demo/chat for the chat"
            );
        }
    }
}
