//! A broker as a process: its log, its signals and its exit codes.

use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use std::process::{self, ExitCode};
use std::{io, thread};

use crossbeam_channel::Sender;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::auth::Auth;
use crate::broker::{self, Broker, StartError, Stopper};
use crate::config::{Config, Listen};
use crate::listener::{FileLimit, raise_file_limit};
use crate::log::{self, Log};
use crate::reload::{self, Watched};
use crate::tls::Tls;

/// What the process ends with if the configuration cannot be used.
pub(crate) const MISCONFIGURED: u8 = 2;

/// Is a broker until a signal stops it: takes the process's log, into which its panics go too, its signals and its limit on
/// open files.
///
/// This is the `fanwire` program after its arguments, for programs that start themselves as a broker. One that has other
/// things to do beside it starts a [`Broker`].
///
/// | exit code | |
/// |---|---|
/// | 0 | it was told to stop, and did |
/// | 1 | the machine does not let it start, or the kernel failed it |
/// | 2 | it cannot start with this configuration or a file that it names, as [`check`] says beforehand |
/// | 128 + n | a second signal, n, ended it at once |
pub fn run(config: Config) -> ExitCode {
    let log = match log::init(&config.log) {
        Ok(log) => log,
        Err(error) => {
            complain(&format_args!("no thread for the log: {error}"));
            return ExitCode::FAILURE;
        }
    };
    log.tell_panics();
    let code = match serve(config, &log) {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            log.insist(|| tracing::error!("{error}"));
            exit_code(&*error)
        }
    };
    log.flush();
    code
}

/// What the process ends with that could not be a broker for this reason.
fn exit_code(error: &(dyn Error + 'static)) -> ExitCode {
    match error.downcast_ref() {
        Some(error) if StartError::is_of_configuration(error) => ExitCode::from(MISCONFIGURED),
        _ => ExitCode::FAILURE,
    }
}

/// Tells whoever has called the program why it ends.
pub(crate) fn complain(why: &dyn Display) {
    // Where standard error takes nothing, the exit code has to say it.
    let _ = writeln!(io::stderr(), "fanwire: {why}");
}

/// Prints the configuration that would hold, as a file, if the files that it names can be used.
///
/// | exit code | |
/// |---|---|
/// | 0 | they can |
/// | 2 | they cannot, and standard error says why |
pub fn check(config: &Config) -> ExitCode {
    if let Some(Err(error)) = config.tls.clone().map(|tls| Tls::load(tls, &config.listen)) {
        complain(&error);
        return ExitCode::from(MISCONFIGURED);
    }
    if let Err(error) = Auth::load(config.auth.clone()) {
        complain(&error);
        return ExitCode::from(MISCONFIGURED);
    }
    // Whoever reads it may have seen enough: a closed pipe is no failure.
    let _ = write!(io::stdout(), "{config}{}", left_open(config).unwrap_or_default());
    ExitCode::SUCCESS
}

/// What the configuration leaves to this machine, as comments behind it.
fn left_open(config: &Config) -> io::Result<String> {
    // As the broker would.
    raise_file_limit()?;
    let lines = broker::budget(config)?.left_open_by(&config.limits);
    let lines: Vec<_> = lines.into_iter().map(|line| format!("# limits.{line}\n")).collect();
    let heading = "\n# What it does not say comes out on this machine as:\n";
    Ok(if lines.is_empty() { String::new() } else { format!("{heading}{}", lines.concat()) })
}

/// Runs a broker until a signal stops it.
fn serve(config: Config, log: &Log) -> Result<(), Box<dyn Error>> {
    let file_limit = raise_file_limit()?;
    let (cores, demo, is_exposed) = (config.cores, config.demo, config.exposed_address().is_some());
    let broker = Broker::start(config)?;
    heed_signals(broker.stopper(), watch_files(broker.watched())?, log.clone())?;
    announce(&broker, cores, demo, file_limit);
    if is_exposed {
        warn_of_open_addresses(&broker);
    }
    Ok(broker.join()?)
}

/// Has files read again when they change, or somebody asks, which fails if there are none.
fn watch_files(watched: Vec<Watched>) -> io::Result<Sender<()>> {
    let (ask, asked) = crossbeam_channel::unbounded();
    if !watched.is_empty() {
        thread::Builder::new()
            .name("fanwire-files".to_owned())
            .spawn(move || reload::watch(watched, &asked))?;
    }
    Ok(ask)
}

/// Has files read again at SIGHUP; stops the broker in order at the first signal to end, and at once at the second.
fn heed_signals(stopper: Stopper, reload: Sender<()>, log: Log) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    thread::Builder::new().name("fanwire-signals".to_owned()).spawn(move || {
        let mut is_stopping = false;
        for signal in signals.forever() {
            if signal == SIGHUP {
                if reload.send(()).is_err() {
                    tracing::info!("nothing is read again: no certificates or keys are in files");
                }
            } else if is_stopping {
                tracing::warn!("ended by a second signal: what was not flushed is lost");
                log.flush();
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
    broker.budget().log();
    if demo {
        for Listen { address, tls } in broker.listening() {
            let scheme = if *tls { "https" } else { "http" };
            tracing::info!(
                "open {scheme}://{address}/ for the demo, {scheme}://{address}/demo/chat for the chat"
            );
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
