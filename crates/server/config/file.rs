//! The configuration file: its keys, and where in it they stand.

use std::fmt;
use std::iter;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use toml::Spanned;

use super::auth::{Algorithm, MetricsAccess};
use super::error::ConfigError;
use super::network::Network;
use super::subject::Subject;
use super::units::{
    BadValue, ClientCertificates, Compression, Contexts, Cookie, Count, FilePath, Level, Listen, Match, Name,
    Overflow, Period, Size, Switch, WrittenSecret,
};
use super::{LogFormat, ProxyProtocol};
use crate::origin::AllowedOrigin;

/// What a file says. What it does not say is decided elsewhere.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default, deserialize_with = "one_or_several")]
    pub(super) listen: Option<Written<Vec<Listen>>>,
    pub(super) cores: Option<Written<Count>>,
    pub(super) pin: Option<Written<Switch>>,
    pub(super) max_message: Option<Written<Size>>,
    pub(super) backlog: Option<Written<Size>>,
    pub(super) max_topics: Option<Written<Count>>,
    pub(super) max_patterns: Option<Written<Count>>,
    pub(super) max_subscriptions: Option<Written<Count>>,
    pub(super) compression: Option<Written<Compression>>,
    pub(super) contexts: Option<Written<Contexts>>,
    pub(super) drain: Option<Written<Period>>,
    pub(super) demo: Option<Written<Switch>>,
    pub(super) insecure_open: Option<Written<Switch>>,
    #[serde(default)]
    pub(super) auth: AuthTable,
    #[serde(default)]
    pub(super) origins: OriginsTable,
    #[serde(default)]
    pub(super) timeouts: TimeoutsTable,
    #[serde(default)]
    pub(super) limits: LimitsTable,
    #[serde(default)]
    pub(super) proxies: ProxiesTable,
    #[serde(default)]
    pub(super) log: LogTable,
    #[serde(default)]
    pub(super) tls: TlsTable,
    #[serde(default, deserialize_with = "rules")]
    pub(super) topics: Vec<TopicTable>,
}

/// `[auth]`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthTable {
    #[serde(default, deserialize_with = "tables")]
    pub(super) keys: Vec<Written<KeyTable>>,
    #[serde(default, deserialize_with = "tables")]
    pub(super) clients: Vec<Written<ClientTable>>,
    #[serde(default, deserialize_with = "one_or_several")]
    pub(super) issuer: Option<Written<Vec<Name>>>,
    #[serde(default, deserialize_with = "one_or_several")]
    pub(super) audience: Option<Written<Vec<Name>>>,
    pub(super) leeway: Option<Written<Period>>,
    pub(super) grace: Option<Written<Period>>,
    pub(super) cookie: Option<Written<Cookie>>,
    #[serde(default, deserialize_with = "table")]
    pub(super) anonymous: Option<Written<AnonymousTable>>,
    pub(super) metrics: Option<Written<MetricsAccess>>,
}

/// One of the `keys` of `[auth]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { algorithm = \"HS256\", secret_file = \"key\" }")]
pub(super) struct KeyTable {
    pub(super) id: Option<Written<Name>>,
    pub(super) algorithm: Option<Written<Algorithm>>,
    pub(super) secret: Option<Written<WrittenSecret>>,
    pub(super) secret_file: Option<Written<Name>>,
    pub(super) public_key: Option<Written<Name>>,
    pub(super) jwks: Option<Written<Name>>,
}

/// One of the `clients` of `[auth]`.
#[derive(Debug, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { subject = \"CN=feeder\", publish = [\"prices.>\"] }"
)]
pub(super) struct ClientTable {
    pub(super) subject: Written<Subject>,
    #[serde(default, deserialize_with = "any_number")]
    pub(super) subscribe: Option<Written<Vec<Match>>>,
    #[serde(default, deserialize_with = "any_number")]
    pub(super) publish: Option<Written<Vec<Match>>>,
    pub(super) metrics: Option<Written<Switch>>,
}

/// `anonymous` of `[auth]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { subscribe = [\"prices.>\"] }")]
pub(super) struct AnonymousTable {
    #[serde(default, deserialize_with = "any_number")]
    pub(super) subscribe: Option<Written<Vec<Match>>>,
    #[serde(default, deserialize_with = "any_number")]
    pub(super) publish: Option<Written<Vec<Match>>>,
}

/// `[origins]`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OriginsTable {
    #[serde(default, deserialize_with = "any_number")]
    pub(super) allow: Option<Written<Vec<AllowedOrigin>>>,
}

/// `[timeouts]`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeoutsTable {
    pub(super) handshake: Option<Written<Period>>,
    pub(super) ping: Option<Written<Period>>,
    pub(super) unanswered_pings: Option<Written<Count>>,
    pub(super) close: Option<Written<Period>>,
    pub(super) idle_http: Option<Written<Period>>,
}

/// `[limits]`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsTable {
    pub(super) connections: Option<Written<Count>>,
    pub(super) connections_per_address: Option<Written<Count>>,
    pub(super) handshakes_per_second_per_address: Option<Written<Count>>,
    pub(super) commands_per_second: Option<Written<Count>>,
    pub(super) bytes_per_second: Option<Written<Size>>,
    pub(super) patience: Option<Written<Period>>,
    pub(super) memory: Option<Written<Size>>,
    pub(super) history_memory: Option<Written<Size>>,
    pub(super) backlog_memory: Option<Written<Size>>,
    pub(super) context_memory: Option<Written<Size>>,
    pub(super) header_bytes: Option<Written<Size>>,
    pub(super) batch: Option<Written<Count>>,
    pub(super) inflated_ratio: Option<Written<Count>>,
}

/// `[proxies]`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProxiesTable {
    #[serde(default, deserialize_with = "any_number")]
    pub(super) trust: Option<Written<Vec<Network>>>,
    pub(super) protocol: Option<Written<ProxyProtocol>>,
}

/// `[log]`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogTable {
    pub(super) format: Option<Written<LogFormat>>,
    pub(super) level: Option<Written<Level>>,
}

/// `[tls]`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    #[serde(default, deserialize_with = "table")]
    pub(super) certificates: Option<Written<Vec<CertificateTable>>>,
    pub(super) self_signed: Option<Written<Switch>>,
    pub(super) client_ca: Option<Written<FilePath>>,
    pub(super) client_certificates: Option<Written<ClientCertificates>>,
}

/// One of the `certificates` of `[tls]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { cert = \"chain.pem\", key = \"key.pem\" }")]
pub(super) struct CertificateTable {
    pub(super) cert: Written<FilePath>,
    pub(super) key: Written<FilePath>,
}

/// One of the `[[topics]]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicTable {
    #[serde(rename = "match")]
    pub(super) matches: Written<Match>,
    #[serde(default, deserialize_with = "table")]
    pub(super) history: Option<Written<HistoryTable>>,
    pub(super) last_value: Option<Written<Switch>>,
    #[serde(default, deserialize_with = "table")]
    pub(super) keys: Option<Written<KeysTable>>,
    #[serde(default, deserialize_with = "table")]
    pub(super) message_ids: Option<Written<MessageIdsTable>>,
    pub(super) atomic: Option<Written<Switch>>,
    pub(super) overflow: Option<Written<Overflow>>,
    #[serde(default, deserialize_with = "one_or_several")]
    pub(super) allow: Option<Written<Vec<Overflow>>>,
    pub(super) max_age: Option<Written<Period>>,
    pub(super) max_age_newest: Option<Written<Switch>>,
}

/// `history` of one of the `[[topics]]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { messages = 1000 }")]
pub(super) struct HistoryTable {
    pub(super) messages: Option<Written<Count>>,
    pub(super) bytes: Option<Written<Size>>,
    pub(super) max_age: Option<Written<Period>>,
}

/// `keys` of one of the `[[topics]]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { max = 10000 }")]
pub(super) struct KeysTable {
    pub(super) max: Option<Written<Count>>,
    pub(super) bytes: Option<Written<Size>>,
}

/// `message_ids` of one of the `[[topics]]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { max = 10000 }")]
pub(super) struct MessageIdsTable {
    pub(super) max: Option<Written<Count>>,
    pub(super) max_age: Option<Written<Period>>,
}

/// A value, and where it stands.
#[derive(Debug)]
pub(super) struct Written<T> {
    pub(super) value: T,
    /// In bytes from the start of the file.
    pub(super) offset: usize,
}

impl<T> Written<T> {
    fn new<U>(spanned: Spanned<U>, into_value: impl FnOnce(U) -> T) -> Self {
        Self { offset: spanned.span().start, value: into_value(spanned.into_inner()) }
    }
}

impl<'de, T: FromStr<Err = BadValue>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(|spanned| Self::new(spanned, |Text(value)| value))
    }
}

fn one_or_several<'de, T, D>(deserializer: D) -> Result<Option<Written<Vec<T>>>, D::Error>
where
    T: FromStr<Err = BadValue>,
    D: Deserializer<'de>,
{
    Spanned::deserialize(deserializer).map(|spanned| Some(Written::new(spanned, |List(values)| values)))
}

/// Values in brackets, or none of them: an empty list says something else than no list.
fn any_number<'de, T, D>(deserializer: D) -> Result<Option<Written<Vec<T>>>, D::Error>
where
    T: FromStr<Err = BadValue>,
    D: Deserializer<'de>,
{
    let spanned = Spanned::<Vec<Text<T>>>::deserialize(deserializer)?;
    Ok(Some(Written::new(spanned, |values| values.into_iter().map(|Text(value)| value).collect())))
}

fn table<'de, T, D>(deserializer: D) -> Result<Option<Written<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Spanned::deserialize(deserializer).map(|spanned| Some(Written::new(spanned, |table| table)))
}

fn tables<'de, T, D>(deserializer: D) -> Result<Vec<Written<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let tables = Vec::<Spanned<T>>::deserialize(deserializer)?;
    Ok(tables.into_iter().map(|spanned| Written::new(spanned, |table| table)).collect())
}

fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TopicTable>, D::Error> {
    deserializer.deserialize_seq(RulesVisitor)
}

/// The `[[topics]]`: who writes them in single brackets is told what is missing.
struct RulesVisitor;

impl<'de> Visitor<'de> for RulesVisitor {
    type Value = Vec<TopicTable>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rules, each of which begins with [[topics]], in double brackets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rules: A) -> Result<Vec<TopicTable>, A::Error> {
        iter::from_fn(|| rules.next_element().transpose()).collect()
    }
}

/// A value written as text, as a flag's is; numbers and booleans may go without quotes.
struct Text<T>(T);

impl<'de, T: FromStr<Err = BadValue>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err = BadValue>> Visitor<'_> for TextVisitor<T> {
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes, a whole number, true or false")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<T>, E> {
        text.parse().map(Text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Text<T>, E> {
        self.visit_str(&value.to_string())
    }
}

/// One such value, or several in brackets.
struct List<T>(Vec<T>);

impl<'de, T: FromStr<Err = BadValue>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: FromStr<Err = BadValue>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes, or a list of them in brackets")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<List<T>, E> {
        text.parse().map(|value| List(vec![value])).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(Text(value)) = values.next_element()? {
            list.push(value);
        }
        if list.is_empty() {
            return Err(de::Error::custom("the list is empty; leave the key out for the default"));
        }
        Ok(List(list))
    }
}

/// A file's text. Without a file it is empty, which says as little.
#[derive(Debug, Default)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The `text` of the file at `path`.
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        Self { path, text }
    }

    /// Reads the file at `path`.
    pub(super) fn read(path: PathBuf) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self::new(path, text)),
            Err(error) => Err(ConfigError::Unreadable { path, error }),
        }
    }

    /// What the file says.
    pub(super) fn parse(&self) -> Result<File, ConfigError> {
        toml::from_str(&self.text).map_err(|error| {
            let line = self.line_at(error.span().map_or(0, |span| span.start));
            let excerpt = shown(self.text.lines().nth(line - 1).unwrap_or_default().trim());
            ConfigError::Malformed {
                path: self.path.clone(),
                line,
                excerpt,
                problem: error.message().to_owned(),
            }
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the line that the byte at `offset` is in, from 1.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }
}

/// A line of the file, as an error may show it: what stands beside a secret may be one.
fn shown(line: &str) -> String {
    if line.contains("secret") {
        "(a line with a secret, which is not shown)".to_owned()
    } else {
        line.to_owned()
    }
}
