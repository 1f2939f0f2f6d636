//! One configuration from flags, file and defaults, if it can hold.

mod auth;
mod limits;
mod tls;

use std::fmt::Display;
use std::net::SocketAddr;

use fanwire_broker::history::HistoryLimits;
use fanwire_broker::last_values::KeyLimits;
use fanwire_broker::message_ids::MessageIdLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::patterns::covers;
use fanwire_broker::settings::{MaxAge, Settings, TopicRule, TopicSettings};
use fanwire_wire::limits::{MAX_MAX_MESSAGE_BYTES, MIN_DEFLATE_PAYLOAD_BYTES};

pub(super) use self::auth::{exposed_address, mint};
use super::error::{ConfigError, Origin, Place, Problem};
use super::file::{
    File, HistoryTable, KeysTable, MessageIdsTable, OriginsTable, Source, TimeoutsTable, TopicTable, Written,
};
use super::flags::Flags;
use super::units::{Compression, Count, Level, Listen, Match, Overflow, Period, Size, Switch};
use super::{Config, LATE_MS, LogConfig, Timeouts, present_cores};
use crate::mailbox::MAX_CORES;
use crate::origin::{AllowedOrigin, Origins};
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

/// The bounds of a history that names another: so many messages, of so many bytes.
const DEFAULT_HISTORY_MESSAGES: usize = 1000;
/// See [`DEFAULT_HISTORY_MESSAGES`]. It is never smaller than a message.
const DEFAULT_HISTORY_BYTES: usize = 8 * KIB * KIB;

/// Histories beyond these are a job for a log on disk.
const MAX_HISTORY_MESSAGES: Count = Count(1_000_000_000);
const MAX_HISTORY_BYTES: Size = Size(1024 * KIB * KIB * KIB);
const MAX_AGE: Period = Period(365 * 24 * HOUR_MS);

/// Nothing is looked at more often than once a millisecond.
const MIN_MAX_AGE: Period = Period(1);
/// The bounds of last values by key, unless they are named.
const DEFAULT_KEYS: KeyLimits = KeyLimits { max: 10_000, bytes: 4 * KIB * KIB };

/// The window of message ids, unless it is named: longer than a publisher tries again, and a megabyte or two of ids.
const DEFAULT_MESSAGE_IDS: MessageIdLimits = MessageIdLimits { max: 10_000, max_age_ms: 2 * 60 * 1000 };

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
    let auth = source.auth(file.auth)?;
    let listening = distinct(&listen)?;
    let tls = source.tls(tls_flags, file.tls, &listen)?;
    auth::refuse_if_exposed(&listen, &auth, tls.as_ref(), insecure_open)?;
    let max = default.settings;
    let max_message =
        source.said("max_message", flags.max_message, file.max_message, Size(max.max_message_bytes));
    let backlog = source.said("backlog", flags.backlog, file.backlog, Size(max.backlog_bytes));
    let max_topics = source.said("max_topics", flags.max_topics, file.max_topics, Count(max.max_topics));
    let max_subscriptions = source.said(
        "max_subscriptions",
        flags.max_subscriptions,
        file.max_subscriptions,
        Count(max.max_subscriptions),
    );
    let max_message = max_message.within(MIN_MAX_MESSAGE, Size(MAX_MAX_MESSAGE_BYTES))?;
    Ok(Config {
        listen: listening,
        tls,
        cores,
        pin: pinnable(&pin, cores)?,
        compression: compression.value != Compression::Off,
        contexts: contexts.value,
        demo: demo.value.0,
        insecure_open,
        auth,
        origins: origins(flags.allow_origin, file.origins),
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
            max_topics: max_topics.within(Count(1), MAX_TABLE)?.0,
            max_subscriptions: max_subscriptions.within(Count(1), MAX_TABLE)?.0,
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

    fn rules(&self, tables: Vec<TopicTable>, max_message: Size) -> Result<Vec<TopicRule>, ConfigError> {
        let mut rules: Vec<TopicRule> = Vec::with_capacity(tables.len());
        for table in tables {
            let Said { value: Match(matches), place } = self.written("match", table.matches);
            if let Some(earlier) = rules.iter().find(|rule| covers(&rule.matches, &matches)) {
                let (rule, earlier) = (matches.to_string(), earlier.matches.to_string());
                return Err(ConfigError::Rejected {
                    place,
                    problem: Problem::RuleWithoutEffect { rule, earlier },
                });
            }
            let history = table.history.map(|history| self.history(history, max_message)).transpose()?;
            let keys = table.keys.map(|keys| self.keys(keys)).transpose()?;
            let message_ids = table.message_ids.map(|ids| self.message_ids(ids)).transpose()?;
            let last_value = self.said("last_value", None, table.last_value, Switch(true));
            if keys.is_some() && !last_value.value.0 {
                return Err(last_value.rejected(Problem::KeysWithoutLastValue));
            }
            let last_value = last_value.value.0;
            let atomic = table.atomic.is_some_and(|written| written.value.0);
            let overflow = self.said("overflow", None, table.overflow, Overflow(OverflowPolicy::default()));
            if atomic && overflow.value.0 == OverflowPolicy::Conflate {
                return Err(overflow.rejected(Problem::AtomicConflates));
            }
            let overflow = overflow.value.0;
            let allow = self.allowed(table.allow, atomic)?;
            let max_age = self.max_age(table.max_age, table.max_age_newest)?;
            let settings =
                TopicSettings { history, last_value, keys, message_ids, atomic, overflow, allow, max_age };
            rules.push(TopicRule { matches, settings });
        }
        Ok(rules)
    }

    fn allowed(
        &self,
        allow: Option<Written<Vec<Overflow>>>,
        atomic: bool,
    ) -> Result<Vec<OverflowPolicy>, ConfigError> {
        let Some(allow) = allow else { return Ok(Vec::new()) };
        let allow = self.written("allow", allow);
        if atomic && allow.value.iter().any(|Overflow(policy)| *policy == OverflowPolicy::Conflate) {
            return Err(allow.rejected(Problem::AtomicConflates));
        }
        Ok(allow.value.into_iter().map(|Overflow(policy)| policy).collect())
    }

    fn max_age(
        &self,
        max_age: Option<Written<Period>>,
        newest: Option<Written<Switch>>,
    ) -> Result<Option<MaxAge>, ConfigError> {
        let newest = newest.map(|newest| self.written("max_age_newest", newest));
        match (max_age, newest) {
            (None, None) => Ok(None),
            (None, Some(newest)) => Err(newest.rejected(Problem::NewestWithoutAge)),
            (Some(max_age), newest) => {
                let max_age = self.written("max_age", max_age).within(MIN_MAX_AGE, MAX_AGE)?;
                Ok(Some(MaxAge { ms: max_age.0, newest: newest.is_some_and(|newest| newest.value.0) }))
            }
        }
    }

    fn keys(&self, table: Written<KeysTable>) -> Result<KeyLimits, ConfigError> {
        let KeysTable { max, bytes } = table.value;
        let max = self.said("keys.max", None, max, Count(DEFAULT_KEYS.max));
        let bytes = self.said("keys.bytes", None, bytes, Size(DEFAULT_KEYS.bytes));
        Ok(KeyLimits {
            max: max.within(Count(1), MAX_TABLE)?.0,
            bytes: bytes.within(Size(KIB), MAX_HISTORY_BYTES)?.0,
        })
    }

    fn message_ids(&self, table: Written<MessageIdsTable>) -> Result<MessageIdLimits, ConfigError> {
        let MessageIdsTable { max, max_age } = table.value;
        let max = self.said("message_ids.max", None, max, Count(DEFAULT_MESSAGE_IDS.max));
        let max_age = self.said("message_ids.max_age", None, max_age, Period(DEFAULT_MESSAGE_IDS.max_age_ms));
        Ok(MessageIdLimits {
            max: max.within(Count(1), MAX_TABLE)?.0,
            max_age_ms: max_age.within(MIN_TIMEOUT, MAX_AGE)?.0,
        })
    }

    fn history(&self, table: Written<HistoryTable>, max_message: Size) -> Result<HistoryLimits, ConfigError> {
        let Said { value: table, place } = self.written("history", table);
        let HistoryTable { messages, bytes, max_age } = table;
        if messages.is_none() && bytes.is_none() && max_age.is_none() {
            return Err(ConfigError::Rejected { place, problem: Problem::UnboundedHistory });
        }
        let messages = self.said("history.messages", None, messages, Count(DEFAULT_HISTORY_MESSAGES));
        let bytes = self.said("history.bytes", None, bytes, Size(DEFAULT_HISTORY_BYTES).max(max_message));
        if bytes.value < max_message {
            let (bytes_text, max_message) = (bytes.value.to_string(), max_message.to_string());
            return Err(bytes.rejected(Problem::HistoryBelowMessage { bytes: bytes_text, max_message }));
        }
        let max_age =
            max_age.map(|max_age| self.written("history.max_age", max_age).within(MIN_TIMEOUT, MAX_AGE));
        Ok(HistoryLimits {
            messages: messages.within(Count(1), MAX_HISTORY_MESSAGES)?.0,
            bytes: bytes.within(max_message, MAX_HISTORY_BYTES)?.0,
            max_age_ms: max_age.transpose()?.map(|max_age| max_age.0),
        })
    }
}

fn origins(flags: Vec<AllowedOrigin>, file: OriginsTable) -> Origins {
    let allowed = if flags.is_empty() { file.allow.map(|written| written.value) } else { Some(flags) };
    allowed.into_iter().flatten().collect()
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
