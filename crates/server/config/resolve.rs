//! One configuration from flags, file and defaults, if it can hold.

mod auth;
mod limits;
mod tls;
mod topics;

use std::fmt::Display;
use std::net::SocketAddr;

use fanwire_broker::settings::Settings;
use fanwire_wire::limits::{MAX_MAX_MESSAGE_BYTES, MIN_DEFLATE_PAYLOAD_BYTES};

pub(super) use self::auth::{exposed_addresses, mint};
use super::error::{ConfigError, Origin, Place, Problem};
use super::file::{File, Source, TimeoutsTable, Written};
use super::flags::Flags;
use super::units::{Compression, Contexts, Count, Level, Listen, Period, Size, Switch};
use super::{Config, LATE_MS, LogConfig, Timeouts, present_cores};
use crate::mailbox::MAX_CORES;
use crate::timer::RESOLUTION_MS;
use tls::TlsFlags;

const KIB: usize = 1024;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// Below this not every command fits.
const MIN_MAX_MESSAGE: Size = Size(KIB);

/// A backlog may be smaller than a message, but not so small that receipts do not fit.
const MIN_BACKLOG: Size = Size(4 * KIB);

/// All backlogs together are to fit into memory: more than this for one is a slip of the pen.
const MAX_BACKLOG: Size = Size(KIB * KIB * KIB);

/// All of it in memory: what is more is a job for a log on disk.
const MAX_KEPT: Size = Size(1024 * KIB * KIB * KIB);

/// Rows are kept in tables with 32-bit places.
const MAX_TABLE: Count = Count(u32::MAX as usize);

/// A shorter one could not be told from a longer one.
const MIN_TIMEOUT: Period = Period(RESOLUTION_MS);

/// A day without a sign of life is a slip of the pen.
const MAX_TIMEOUT: Period = Period(24 * HOUR_MS);

/// With [`MAX_TIMEOUT`], so that the kernel takes the patience that results.
const MAX_UNANSWERED_PINGS: Count = Count(20);

const _: () = assert!((MAX_TIMEOUT.0 + LATE_MS) * (MAX_UNANSWERED_PINGS.0 as u64 + 1) <= i32::MAX as u64);

/// A longer drain is the operator's to end with a signal.
const MAX_DRAIN: Period = Period(HOUR_MS);

/// What flags and file ask for together, if it can hold.
pub(super) fn resolve(mut flags: Flags, file: File, source: &Source) -> Result<Config, ConfigError> {
    let source = Sayings(source);
    let default = Config::default();
    let tls_flags = TlsFlags::take(&mut flags);
    let listen = (!flags.listen.is_empty()).then_some(flags.listen);
    let listen = source.said("listen", listen, file.listen, default.listen.clone());
    let cores = source.said("cores", flags.cores, file.cores, Count(default.cores));
    let cores = cores.within(Count(1), Count(MAX_CORES))?.0;
    let pin = source.said("pin", flags.pin, file.pin, Switch(default.pin));
    let compression = source.said("compression", flags.compression, file.compression, default.compression());
    let contexts = source.said("contexts", flags.contexts, file.contexts, default.contexts);
    let drain = source.said("drain", flags.drain, file.drain, Period(default.timeouts.drain_ms));
    let demo = source.said("demo", flags.demo, file.demo, Switch(default.demo));
    let insecure_open =
        source.said("insecure_open", flags.insecure_open, file.insecure_open, Switch(default.insecure_open));
    let insecure_open = insecure_open.value.0;
    let origins = (!flags.allow_origin.is_empty()).then_some(flags.allow_origin);
    let origins = source.said("origins.allow", origins, file.origins.allow, Vec::new());
    let auth = source.auth(file.auth, &file.tls)?;
    let listening = distinct(&listen)?;
    let tls = source.tls(tls_flags, file.tls, &listen)?;
    auth::refuse_if_exposed(&listen, &auth, tls.as_ref(), insecure_open)?;
    let max = default.settings;
    let max_message =
        source.said("max_message", flags.max_message, file.max_message, Size(max.max_message_bytes));
    let backlog = source.said("backlog", flags.backlog, file.backlog, Size(max.backlog_bytes));
    let max_topics = source.count("max_topics", flags.max_topics, file.max_topics, max.max_topics)?;
    let max_patterns =
        source.count("max_patterns", flags.max_patterns, file.max_patterns, max.max_patterns)?;
    let max_subscriptions = source.count(
        "max_subscriptions",
        flags.max_subscriptions,
        file.max_subscriptions,
        max.max_subscriptions,
    )?;
    let max_message = max_message.within(MIN_MAX_MESSAGE, Size(MAX_MAX_MESSAGE_BYTES))?;
    Ok(Config {
        listen: listening,
        tls,
        cores,
        pin: pinnable(&pin, cores)?,
        compression: compression.value != Compression::Off,
        contexts: used(&contexts, &compression)?,
        demo: demo.value.0,
        insecure_open,
        auth,
        origins: origins.value.into_iter().collect(),
        timeouts: Timeouts {
            drain_ms: drain.within(Period(0), MAX_DRAIN)?.0,
            ..source.timeouts(file.timeouts, default.timeouts)?
        },
        limits: source.limits(file.limits, &default.limits)?,
        proxies: source.proxies(file.proxies, default.proxies),
        log: LogConfig {
            format: source.said("log.format", flags.log_format, file.log.format, default.log.format).value,
            level: source
                .said("log.level", flags.log_level, file.log.level, Level(default.log.level))
                .value
                .0,
        },
        settings: Settings {
            topics: source.rules(file.topics, max_message)?,
            backlog_bytes: backlog.within(MIN_BACKLOG, MAX_BACKLOG)?.0,
            deflate_above_bytes: compressible(&compression)?,
            max_message_bytes: max_message.0,
            max_topics,
            max_patterns,
            max_subscriptions,
            ..max
        },
    })
}

/// A value that holds unless it is rejected, and who said it.
struct Said<T> {
    value: T,
    place: Place,
}

impl<T> Said<T> {
    fn map<U>(self, into: impl FnOnce(T) -> U) -> Said<U> {
        Said { value: into(self.value), place: self.place }
    }

    fn rejected(&self, problem: Problem) -> ConfigError {
        ConfigError::Rejected { place: self.place.clone(), problem }
    }
}

impl<T: Copy + PartialOrd + Display> Said<T> {
    fn within(&self, least: T, most: T) -> Result<T, ConfigError> {
        let value = self.value;
        if (least..=most).contains(&value) {
            return Ok(value);
        }
        let [given, least, most] = [value, least, most].map(|value| value.to_string());
        Err(self.rejected(Problem::OutOfRange { given, least, most }))
    }
}

/// Decides who has the say, and remembers it.
struct Sayings<'a>(&'a Source);

impl Sayings<'_> {
    fn said<T>(&self, key: &'static str, flag: Option<T>, file: Option<Written<T>>, default: T) -> Said<T> {
        let (value, origin) = match (flag, file) {
            (Some(value), _) => (value, Origin::Flag),
            (None, Some(written)) => (written.value, self.origin(written.offset)),
            (None, None) => (default, Origin::Default),
        };
        Said { value, place: Place { key, origin } }
    }

    fn written<T>(&self, key: &'static str, written: Written<T>) -> Said<T> {
        Said { value: written.value, place: Place { key, origin: self.origin(written.offset) } }
    }

    /// A bound of at least one.
    fn count(
        &self,
        key: &'static str,
        flag: Option<Count>,
        file: Option<Written<Count>>,
        default: usize,
    ) -> Result<usize, ConfigError> {
        Ok(self.said(key, flag, file, Count(default)).within(Count(1), MAX_TABLE)?.0)
    }

    /// What only a file says, if it says it: there is no default.
    fn if_any<T: Copy + PartialOrd + Display>(
        &self,
        key: &'static str,
        written: Option<Written<T>>,
        least: T,
        most: T,
    ) -> Result<Option<T>, ConfigError> {
        written.map(|written| self.written(key, written).within(least, most)).transpose()
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File { path: self.0.path().to_owned(), line: self.0.line_at(offset) }
    }

    fn timeouts(&self, table: TimeoutsTable, default: Timeouts) -> Result<Timeouts, ConfigError> {
        let period = |key, written, default_ms| {
            self.said(key, None, written, Period(default_ms)).within(MIN_TIMEOUT, MAX_TIMEOUT)
        };
        let unanswered_pings = Count(default.unanswered_pings as usize);
        let unanswered_pings =
            self.said("timeouts.unanswered_pings", None, table.unanswered_pings, unanswered_pings);
        Ok(Timeouts {
            handshake_ms: period("timeouts.handshake", table.handshake, default.handshake_ms)?.0,
            ping_ms: period("timeouts.ping", table.ping, default.ping_ms)?.0,
            unanswered_pings: unanswered_pings.within(Count(1), MAX_UNANSWERED_PINGS)?.0 as u32,
            close_ms: period("timeouts.close", table.close, default.close_ms)?.0,
            idle_http_ms: period("timeouts.idle_http", table.idle_http, default.idle_http_ms)?.0,
            drain_ms: default.drain_ms,
        })
    }
}

/// What is compressed with, if there is anything to compress.
fn used(contexts: &Said<Contexts>, compression: &Said<Compression>) -> Result<Contexts, ConfigError> {
    if contexts.value == Contexts::Own && compression.value == Compression::Off {
        return Err(contexts.rejected(Problem::ContextsWithoutCompression));
    }
    Ok(contexts.value)
}

/// From which size of payload on it is compressed, in bytes.
fn compressible(compression: &Said<Compression>) -> Result<usize, ConfigError> {
    let Compression::Above(bytes) = compression.value else { return Ok(MIN_DEFLATE_PAYLOAD_BYTES) };
    let said = Said { value: Size(bytes), place: compression.place.clone() };
    Ok(said.within(Size(MIN_DEFLATE_PAYLOAD_BYTES), Size(MAX_MAX_MESSAGE_BYTES))?.0)
}

/// Where to listen, of which no address takes another. Two ports that the kernel chooses are different.
fn distinct(listen: &Said<Vec<Listen>>) -> Result<Vec<Listen>, ConfigError> {
    let mut distinct: Vec<Listen> = Vec::with_capacity(listen.value.len());
    for &listen_on in &listen.value {
        let address = listen_on.address;
        if let Some(by) = distinct.iter().map(|other| other.address).find(|by| overlap(address, *by)) {
            let (address, by) = if address.ip().is_unspecified() { (by, address) } else { (address, by) };
            return Err(listen.rejected(Problem::AddressTaken { address, by }));
        }
        distinct.push(listen_on);
    }
    Ok(distinct)
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_port = one.port() == other.port() && one.port() != 0;
    let same_protocol = one.is_ipv4() == other.is_ipv4();
    let same_host = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    same_port && same_protocol && same_host
}

fn pinnable(pin: &Said<Switch>, cores: usize) -> Result<bool, ConfigError> {
    let present = present_cores();
    if pin.value.0 && cores > present {
        return Err(pin.rejected(Problem::TooFewCores { wanted: cores, present }));
    }
    Ok(pin.value.0)
}
