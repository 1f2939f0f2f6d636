//! A broker as a process: its log, its signals and its exit codes.

use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{self, ExitCode};
use std::time::{Duration, Instant};
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

/// Prints the configuration that would hold, as a file, if the files that it names can be used. What the broker would warn of at
/// its start goes to standard error.
///
/// | exit code | |
/// |---|---|
/// | 0 | they can |
/// | 1 | standard output does not take it, or the kernel does not say how many files may be open |
/// | 2 | they cannot, and standard error says why |
pub fn check(config: &Config) -> ExitCode {
    log::with_warnings(|| check_and_print(config))
}

fn check_and_print(config: &Config) -> ExitCode {
    if let Some(Err(error)) = config.tls.clone().map(|tls| Tls::load(tls, &config.listen)) {
        complain(&error);
        return ExitCode::from(MISCONFIGURED);
    }
    if let Err(error) = Auth::load(config.auth.clone()) {
        complain(&error);
        return ExitCode::from(MISCONFIGURED);
    }
    warn_of_openness(config);
    match left_open_by(config) {
        Ok(left_open) => print(&config.annotated(&left_open)),
        Err(error) => {
            complain(&format_args!("cannot tell how many files may be open: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What the configuration leaves to this machine, as lines of `[limits]`.
fn left_open_by(config: &Config) -> io::Result<Vec<String>> {
    // As the broker would.
    raise_file_limit()?;
    Ok(broker::budget(config)?.left_open_by(&config.limits))
}

/// Prints what the program was asked for, and says how the process ends: with 1 where standard output does not take it.
pub(crate) fn print(text: &impl Display) -> ExitCode {
    let mut output = io::stdout().lock();
    match write!(output, "{text}").and_then(|()| output.flush()) {
        // Whoever reads it may have seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format_args!("cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Runs a broker until a signal stops it.
fn serve(config: Config, log: &Log) -> Result<(), Box<dyn Error>> {
    let file_limit = raise_file_limit()?;
    let (cores, demo) = (config.cores, config.demo);
    warn_of_openness(&config);
    let broker = Broker::start(config)?;
    heed_signals(broker.stopper(), watch_files(broker.watched())?, log.clone())?;
    announce(&broker, cores, demo, file_limit);
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

/// A signal so soon after another is the same wish: `timeout` and shells signal a process, and then its group.
const SAME_WISH: Duration = Duration::from_millis(200);

/// What a signal to end asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    /// To stop in order.
    Stop,
    /// What the one before it asked for.
    Same,
    /// To end at once.
    End,
}

/// What signals to end have asked for.
#[derive(Default)]
struct Wishes {
    stopping_since: Option<Instant>,
}

impl Wishes {
    fn next(&mut self, now: Instant) -> Wish {
        match self.stopping_since {
            Some(since) if now.duration_since(since) < SAME_WISH => Wish::Same,
            Some(_) => Wish::End,
            None => {
                self.stopping_since = Some(now);
                Wish::Stop
            }
        }
    }
}

/// Has files read again at SIGHUP; stops the broker in order at the first signal to end, and at once at the second.
fn heed_signals(stopper: Stopper, reload: Sender<()>, log: Log) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    thread::Builder::new().name("fanwire-signals".to_owned()).spawn(move || {
        let mut wishes = Wishes::default();
        for signal in signals.forever() {
            if signal == SIGHUP {
                if reload.send(()).is_err() {
                    tracing::info!("nothing is read again: no certificates or keys are in files");
                }
                continue;
            }
            match wishes.next(Instant::now()) {
                Wish::Stop => {
                    tracing::info!("stopping; a second signal ends the process at once");
                    stopper.stop();
                }
                Wish::Same => {}
                Wish::End => {
                    tracing::warn!("ended by a second signal: what was not flushed is lost");
                    log.flush();
                    process::exit(128 + signal);
                }
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
        for listen in broker.listening() {
            let url = url_on_this_machine(*listen);
            tracing::info!("open {url}/ for the demo, {url}/demo/chat for the chat");
        }
    }
}

/// What a browser on this machine reaches the address by.
fn url_on_this_machine(Listen { mut address, tls }: Listen) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    format!("{}://{address}", if tls { "https" } else { "http" })
}

/// Says what it means that nobody is asked who it is; or that everybody is, all the same.
fn warn_of_openness(config: &Config) {
    if !config.insecure_open {
        return;
    }
    for address in config.exposed_addresses() {
        tracing::warn!(
            "anybody who reaches {address} may publish and subscribe to everything (insecure_open)"
        );
    }
    if config.auth.asks_clients() {
        tracing::warn!(
            "insecure_open does nothing beside keys or clients in [auth]; leave it out, or without them all is open"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_an_address_that_it_can_open() {
        for (listen, url) in [
            ("192.0.2.1:80", "http://192.0.2.1:80"),
            ("tls://0.0.0.0:8443", "https://127.0.0.1:8443"),
            ("[::]:80", "http://[::1]:80"),
        ] {
            assert_eq!(url_on_this_machine(listen.parse().unwrap()), url);
        }
    }

    #[test]
    fn a_signal_that_comes_twice_at_once_is_one_wish() {
        let start = Instant::now();
        let wishes = |after: &[Duration]| {
            let mut wishes = Wishes::default();
            after.iter().map(|after| wishes.next(start + *after)).collect::<Vec<_>>()
        };
        let soon = SAME_WISH / 2;
        assert_eq!(wishes(&[Duration::ZERO, Duration::ZERO, soon]), [Wish::Stop, Wish::Same, Wish::Same]);
        assert_eq!(wishes(&[Duration::ZERO, soon, SAME_WISH]), [Wish::Stop, Wish::Same, Wish::End]);
    }
}
