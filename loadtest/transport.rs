//! The ways in which messages can reach a subscriber, and how they are named on the command line and in reports.

use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::units::{BadValue, Period};

/// How often a subscriber may poll. More often than the least, the generator would do nothing else; and servers drop connections
/// that are silent for longer than the most.
pub const POLL_PERIODS: RangeInclusive<Period> = Period::from_ms(1)..=Period::from_secs(3_600);

/// How messages reach a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Pushed over a WebSocket: `ws`, and `ws-deflate` with permessage-deflate (RFC 7692).
    WebSocket {
        /// Whether the server has to compress.
        deflate: bool,
    },
    /// Pushed as server-sent events: `sse`.
    EventStream,
    /// HTTP requests that are answered when there is a message, one after the other: `longpoll`.
    LongPoll,
    /// HTTP requests at fixed times: `poll:100ms`.
    Poll {
        /// From one request to the next; one of [`POLL_PERIODS`].
        period: Period,
    },
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WebSocket { deflate: false } => f.write_str("ws"),
            Self::WebSocket { deflate: true } => f.write_str("ws-deflate"),
            Self::EventStream => f.write_str("sse"),
            Self::LongPoll => f.write_str("longpoll"),
            Self::Poll { period } => write!(f, "poll:{period}"),
        }
    }
}

impl FromStr for Transport {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        match name {
            "ws" => Ok(Self::WebSocket { deflate: false }),
            "ws-deflate" => Ok(Self::WebSocket { deflate: true }),
            "sse" => Ok(Self::EventStream),
            "longpoll" => Ok(Self::LongPoll),
            _ => match name.strip_prefix("poll") {
                Some(period) => Ok(Self::Poll { period: poll_period(name, period)? }),
                None => Err(NameError::Transport { given: name.to_owned() }),
            },
        }
    }
}

/// Reads `:100ms`, which stands behind `poll` in `name`.
fn poll_period(name: &str, period: &str) -> Result<Period, NameError> {
    let bad_period = |problem| NameError::Period { given: name.to_owned(), problem };
    let period = period.strip_prefix(':').ok_or_else(|| bad_period(PeriodProblem::Missing))?;
    let period: Period = period.parse().map_err(|bad| bad_period(PeriodProblem::Unreadable(bad)))?;
    POLL_PERIODS.contains(&period).then_some(period).ok_or_else(|| bad_period(PeriodProblem::OutOfRange))
}

/// What is spoken over a WebSocket: the dialect of `--protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// One topic a connection, named by the path; each message is one WebSocket message.
    Raw,
    /// Fanwire's JSON interface.
    FanwireJson,
    /// Fanwire's binary interface.
    FanwireBinary,
    /// NATS core over WebSocket.
    Nats,
    /// MQTT 3.1.1 over WebSocket, at quality of service 0.
    Mqtt,
}

impl Protocol {
    /// All, in the order in which they are shown to people.
    pub const ALL: [Self; 5] = [Self::Raw, Self::FanwireJson, Self::FanwireBinary, Self::Nats, Self::Mqtt];

    /// The path at which servers usually have it; `{topic}` stands for the topic.
    pub const fn usual_path(self) -> &'static str {
        match self {
            Self::Raw => "/topics/{topic}",
            Self::FanwireJson | Self::FanwireBinary => "/v1/ws",
            Self::Nats => "/",
            Self::Mqtt => "/mqtt",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::FanwireJson => "fanwire-json",
            Self::FanwireBinary => "fanwire-binary",
            Self::Nats => "nats",
            Self::Mqtt => "mqtt",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let named = Self::ALL.into_iter().find(|protocol| protocol.name() == name);
        named.ok_or_else(|| NameError::Protocol { given: name.to_owned() })
    }
}

/// What an HTTP request carries besides what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderProfile {
    /// Nothing.
    Minimal,
    /// What a Chromium of today sends for a page on the same host, without cookies.
    Browser,
    /// A cookie that brings request and response head of a poll to the 871 octets of the article "HTML5 WebSocket: A Quantum
    /// Leap in Scalability for the Web". Other requests are minimal: they are not in its sum.
    Kaazing,
}

impl HeaderProfile {
    /// All, in the order in which they are shown to people.
    pub const ALL: [Self; 3] = [Self::Minimal, Self::Browser, Self::Kaazing];

    const fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Browser => "browser",
            Self::Kaazing => "kaazing",
        }
    }
}

impl fmt::Display for HeaderProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HeaderProfile {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let named = Self::ALL.into_iter().find(|profile| profile.name() == name);
        named.ok_or_else(|| NameError::HeaderProfile { given: name.to_owned() })
    }
}

/// A name that stands for nothing, from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Not a [`Transport`].
    Transport {
        /// What was given.
        given: String,
    },
    /// A poll without a period that makes sense.
    Period {
        /// What was given.
        given: String,
        /// What is wrong with its period.
        problem: PeriodProblem,
    },
    /// Not a [`Protocol`].
    Protocol {
        /// What was given.
        given: String,
    },
    /// Not a [`HeaderProfile`].
    HeaderProfile {
        /// What was given.
        given: String,
    },
}

/// What can be wrong with the period of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeriodProblem {
    /// It is not there.
    Missing,
    /// It is no length of time.
    Unreadable(BadValue),
    /// It is none of [`POLL_PERIODS`].
    OutOfRange,
}

impl fmt::Display for PeriodProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("has no period"),
            Self::Unreadable(bad) => write!(f, "has no period: {bad}"),
            Self::OutOfRange => {
                write!(
                    f,
                    "has a period that is not between {} and {}",
                    POLL_PERIODS.start(),
                    POLL_PERIODS.end()
                )
            }
        }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport { given } => {
                write!(f, "there is no transport {given:?}; use ws, ws-deflate, sse, longpoll or poll:PERIOD")
            }
            Self::Period { given, problem } => {
                write!(f, "the transport {given:?} {problem}; write it as in poll:100ms or poll:1s")
            }
            Self::Protocol { given } => {
                write!(
                    f,
                    "there is no protocol {given:?}; use raw, fanwire-json, fanwire-binary, nats or mqtt"
                )
            }
            Self::HeaderProfile { given } => {
                write!(f, "there is no header profile {given:?}; use minimal, browser or kaazing")
            }
        }
    }
}

impl Error for NameError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn transports() -> impl Strategy<Value = Transport> {
        prop_oneof![
            any::<bool>().prop_map(|deflate| Transport::WebSocket { deflate }),
            Just(Transport::EventStream),
            Just(Transport::LongPoll),
            (POLL_PERIODS.start().ns()..=POLL_PERIODS.end().ns())
                .prop_map(|ns| Transport::Poll { period: Period::from_ns(ns) }),
            (1..=3_600_u64).prop_map(|s| Transport::Poll { period: Period::from_secs(s) }),
        ]
    }

    proptest! {
        #[test]
        fn a_transport_is_read_as_it_is_written(transport in transports()) {
            prop_assert_eq!(transport.to_string().parse(), Ok(transport));
        }
    }

    #[test]
    fn a_period_is_any_length_of_time_in_its_bounds() {
        for (given, period, written) in [
            ("poll:1s", Period::from_secs(1), "poll:1s"),
            ("poll:1.5s", Period::from_ms(1_500), "poll:1.5s"),
            ("poll:1000ms", Period::from_secs(1), "poll:1s"),
            ("poll:1.0000005s", Period::from_ns(1_000_000_500), "poll:1.0000005s"),
            ("poll:1h", Period::from_secs(3_600), "poll:1h"),
            ("poll:1000us", Period::from_ms(1), "poll:1ms"),
        ] {
            assert_eq!(given.parse(), Ok(Transport::Poll { period }));
            assert_eq!(Transport::Poll { period }.to_string(), written);
        }
    }

    #[test]
    fn protocols_and_profiles_are_read_as_they_are_written() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        for profile in HeaderProfile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
    }

    #[test]
    fn a_wrong_name_is_told_with_what_there_is() {
        for given in ["", "WS", "wss", "websocket", "long-poll"] {
            let error = given.parse::<Transport>().unwrap_err();
            assert_eq!(error, NameError::Transport { given: given.to_owned() });
            assert!(error.to_string().contains("ws, ws-deflate, sse, longpoll or poll:PERIOD"), "{error}");
        }
        let error = "amqp".parse::<Protocol>().unwrap_err().to_string();
        for protocol in Protocol::ALL {
            assert!(error.contains(protocol.name()), "{error}");
        }
        let error = "chrome".parse::<HeaderProfile>().unwrap_err().to_string();
        for profile in HeaderProfile::ALL {
            assert!(error.contains(profile.name()), "{error}");
        }
    }

    #[test]
    fn a_wrong_period_is_told_by_what_is_wrong_with_it() {
        for given in ["poll", "poll100ms"] {
            let error = NameError::Period { given: given.to_owned(), problem: PeriodProblem::Missing };
            assert_eq!(given.parse::<Transport>(), Err(error));
        }
        for period in ["", "ms", "-1s", "+1s", "100", "1 s", "1S", "99999999999999999999s"] {
            let given = format!("poll:{period}");
            let problem = PeriodProblem::Unreadable(period.parse::<Period>().unwrap_err());
            assert_eq!(given.parse::<Transport>(), Err(NameError::Period { given, problem }));
        }
        for given in ["poll:0s", "poll:1us", "poll:999999ns", "poll:61m"] {
            let error = NameError::Period { given: given.to_owned(), problem: PeriodProblem::OutOfRange };
            assert!(error.to_string().contains("between 1ms and 1h"), "{error}");
            assert_eq!(given.parse::<Transport>(), Err(error));
        }
    }
}
