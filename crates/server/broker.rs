//! One running broker: a thread with an event loop for each core.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use core_affinity::CoreId;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::{Settings, TopicRule, TopicSettings};
use fanwire_broker::shard::{Identity, Shard};
use fanwire_wire::topic::TopicOrPattern;
use mio::{Poll, Waker};

use crate::auth::{Auth, KeyError};
use crate::clock::Clock;
use crate::config::{Config, Listen};
use crate::event_loop::{EventLoop, MAX_REFUSED, Parts, WAKER};
use crate::guard::{Budget, Guard};
use crate::listener::{self, BindError};
use crate::mailbox::mailboxes;
use crate::metrics::Metrics;
use crate::reload::Watched;
use crate::site::{Control, Site};
use crate::tls::{Tls, TlsError};

/// A broker that runs in threads of this process.
///
/// ```
/// use fanwire::broker::Broker;
/// use fanwire::config::Config;
///
/// let config = Config { listen: vec!["127.0.0.1:0".parse()?], ..Config::default() };
/// let broker = Broker::start(config)?;
/// println!("publish to http://{}/topics/prices.EURUSD", broker.addresses()[0]);
/// broker.stopper().stop();
/// broker.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Broker {
    addresses: Vec<SocketAddr>,
    site: Arc<Site>,
    cores: Vec<JoinHandle<io::Result<()>>>,
}

/// Stops a broker from any thread.
#[derive(Clone)]
pub struct Stopper(Arc<Site>);

impl Stopper {
    /// Begins the ordered shutdown: what was accepted is routed and flushed, and every client told.
    pub fn stop(&self) {
        self.0.control.stop();
    }
}

/// Why a broker does not start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen(BindError),
    /// Others than this machine may reach an address, and nobody is asked who it is: [`Config::insecure_open`] says that it
    /// is meant.
    Exposed(SocketAddr),
    /// The keys that tokens are signed with cannot be had.
    Keys(KeyError),
    /// TLS cannot be spoken as the operator wants it.
    Tls(TlsError),
    /// The kernel has no random octets, which the epoch is made of.
    Random(getrandom::Error),
    /// The kernel refuses what an event loop needs.
    Core(io::Error),
}

impl StartError {
    /// Whether the configuration is at fault, or a file that it names, and not the machine.
    pub fn is_of_configuration(&self) -> bool {
        match self {
            Self::Exposed(_) | Self::Keys(_) | Self::Tls(_) => true,
            Self::Listen(_) | Self::Random(_) | Self::Core(_) => false,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(error) => error.fmt(f),
            Self::Exposed(address) => {
                write!(
                    f,
                    "others than this machine may reach {address}, and without keys any of them may do everything"
                )
            }
            Self::Keys(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Random(error) => write!(f, "no random octets for the epoch: {error}"),
            Self::Core(error) => write!(f, "cannot start an event loop: {error}"),
        }
    }
}

impl Error for StartError {}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        Self::Listen(error)
    }
}

impl From<KeyError> for StartError {
    fn from(error: KeyError) -> Self {
        Self::Keys(error)
    }
}

impl From<TlsError> for StartError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Core(error)
    }
}

impl Broker {
    /// Listens, and starts a thread for each core. When this returns, clients can connect.
    pub fn start(config: Config) -> Result<Self, StartError> {
        if let Some(address) = config.exposed_addresses().next().filter(|_| !config.insecure_open) {
            return Err(StartError::Exposed(address));
        }
        let auth = Auth::load(config.auth.clone())?;
        let identity = new_identity().map_err(StartError::Random)?;
        let addresses: Vec<_> = config.listen.iter().map(|listen| listen.address).collect();
        let bound = listener::bind(&addresses, config.cores, config.timeouts.patience())?;
        let listening = config.listen.iter().zip(&bound.addresses);
        let listening = listening.map(|(listen, address)| Listen { address: *address, ..*listen }).collect();
        let polls = (0..config.cores).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let wakers = polls.iter().map(waker_of).collect::<io::Result<Vec<_>>>()?;
        let guard = Guard::new(budget(&config)?, &config.limits, config.proxies.clone(), config.cores);
        let site = Arc::new(site(&config, auth, &identity, listening, guard, Control::new(wakers.clone()))?);
        let settings = Arc::new(settings(config.settings, config.demo));
        let clock = Clock::start();
        let parts = polls.into_iter().zip(bound.listeners).zip(mailboxes(wakers)).enumerate();
        let parts = parts.map(|(core, ((poll, listeners), mailbox))| Parts {
            site: Arc::clone(&site),
            poll,
            listeners,
            shard: Shard::new(core, config.cores, &identity, Arc::clone(&settings)),
            mailbox,
            metrics: site.metrics.core(core),
            clock,
        });
        let pins = if config.pin { core_affinity::get_core_ids().unwrap_or_default() } else { Vec::new() };
        let mut broker = Self { addresses: bound.addresses, site: Arc::clone(&site), cores: Vec::new() };
        let event_loops = parts.map(EventLoop::new).collect::<io::Result<Vec<_>>>()?;
        for (core, event_loop) in event_loops.into_iter().enumerate() {
            broker.cores.push(start_core(core, event_loop, Arc::clone(&site), pins.get(core).copied())?);
        }
        Ok(broker)
    }

    /// Where it listens, in the order of the configuration, with the ports that were chosen for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The same, and whether TLS is spoken there.
    pub fn listening(&self) -> &[Listen] {
        &self.site.listening
    }

    /// The files that it goes by, and what to do when they change.
    pub fn watched(&self) -> Vec<Watched> {
        let site = Arc::clone(&self.site);
        let has_files = |tls: &&Tls| !tls.files().is_empty();
        let certificates = self.site.tls.as_ref().filter(has_files).map(|tls| {
            let site = Arc::clone(&site);
            let reload = move || site.tls.as_ref().map_or(Ok(()), Tls::reload).map_err(Into::into);
            Watched::new("certificates", tls.files(), reload)
        });
        let keys = self.site.auth.files();
        let keys = (!keys.is_empty())
            .then(|| Watched::new("keys", keys, move || site.auth.reload().map_err(Into::into)));
        certificates.into_iter().chain(keys).collect()
    }

    /// What all its clients may have together.
    pub(crate) fn budget(&self) -> &Budget {
        self.site.guard.budget()
    }

    /// The epoch of this run.
    pub fn epoch(&self) -> &str {
        &self.site.epoch
    }

    /// Reads anew what tokens are signed with, from the files that the configuration names. If that fails, the keys that
    /// it has stay. Clients that are connected are who they were until their tokens expire.
    pub fn reload_keys(&self) -> Result<(), KeyError> {
        self.site.auth.reload()
    }

    /// What stops it.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.site))
    }

    /// Waits until all cores have ended, which they do after [`Stopper::stop`]; the first error, if the kernel has failed
    /// one.
    pub fn join(self) -> io::Result<()> {
        let mut outcome = Ok(());
        for core in self.cores {
            let ended = core.join().unwrap_or_else(|_| Err(io::Error::other("an event loop panicked")));
            outcome = outcome.and(ended);
        }
        outcome
    }
}

fn waker_of(poll: &Poll) -> io::Result<Arc<Waker>> {
    Waker::new(poll.registry(), WAKER).map(Arc::new)
}

/// What all clients of such a broker may have together, on this machine and with this process's limit on open files.
pub(crate) fn budget(config: &Config) -> io::Result<Budget> {
    // A core's poll, its waker, what it listens on, and those who are told why they are refused.
    let files_of_core = 2 + config.listen.len() + MAX_REFUSED;
    let room = listener::room_for_connections(config.cores * files_of_core)?;
    Budget::warn_of_excess(&config.limits, room);
    Ok(Budget::new(&config.limits, room))
}

fn site(
    config: &Config,
    auth: Auth,
    identity: &Identity,
    listening: Vec<Listen>,
    guard: Guard,
    control: Control,
) -> Result<Site, TlsError> {
    let tls = config.tls.clone().map(|tls| Tls::load(tls, &listening)).transpose()?;
    Ok(Site {
        limits: config.limits.clone(),
        cores: config.cores,
        epoch: Arc::clone(&identity.epoch),
        max_message_bytes: config.settings.max_message_bytes,
        max_subscriptions: config.settings.max_subscriptions,
        compression: config.compression,
        contexts: config.contexts,
        demo: config.demo,
        auth,
        origins: config.origins.clone(),
        checks_hosts: !config.auth.asks_clients() && !config.insecure_open,
        listening,
        tls,
        timeouts: config.timeouts,
        metrics: Metrics::new(config.cores, *guard.budget()),
        guard,
        control,
    })
}

/// A thread that runs one event loop. If that ends early, the others stop too: they would wait for it.
fn start_core(
    core: usize,
    event_loop: EventLoop,
    site: Arc<Site>,
    pin: Option<CoreId>,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let stop_others = StopOnExit(site);
    thread::Builder::new().name(format!("fanwire-{core}")).spawn(move || {
        let _stop_others = stop_others;
        if let Some(pin) = pin {
            core_affinity::set_for_current(pin);
        }
        event_loop.run()
    })
}

/// Stops the broker when it goes, however the thread that holds it ends.
struct StopOnExit(Arc<Site>);

impl Drop for StopOnExit {
    fn drop(&mut self) {
        self.0.control.stop();
    }
}

/// A random epoch, and the random keys of the hash that gives topics their homes.
fn new_identity() -> Result<Identity, getrandom::Error> {
    let mut hash_keys = [0; 4];
    for key in &mut hash_keys {
        *key = getrandom::u64()?;
    }
    Ok(Identity { epoch: format!("{:016x}", getrandom::u64()?).into(), hash_keys })
}

/// The settings; the demo adds a history for its topics, so that its chat can be left and joined again. The
/// operator's own rules come first.
fn settings(mut settings: Settings, demo: bool) -> Settings {
    const HISTORY: HistoryLimits =
        HistoryLimits { messages: 1_000, bytes: 8 * 1024 * 1024, max_age_ms: Some(24 * 60 * 60 * 1_000) };
    let patterns: &[&str] = if demo { &["demo.>", "chat.>"] } else { &[] };
    settings.topics.extend(patterns.iter().map(|pattern| TopicRule {
        matches: TopicOrPattern::parse(pattern).expect("these are patterns"),
        settings: TopicSettings {
            history: Some(HISTORY),
            last_value: true,
            overflow: OverflowPolicy::Gap,
            ..TopicSettings::default()
        },
    }));
    settings
}
