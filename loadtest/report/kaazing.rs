//! The famous table of 2010 that set WebSocket against polling, beside what is measured here.
//!
//! It counts the headers alone: 871 octets of HTTP request and response for each poll, 2 octets for each
//! WebSocket frame; no payload, no TCP/IP headers, no acknowledgements. (Peter Lubbers and Frank Greco,
//! "HTML5 Web Sockets: A Quantum Leap in Scalability for the Web".)

use crate::record::{Record, Series};

use super::figures;
use super::quantities::PerDelivery;
use super::sheet::{Cell, Group, Sheet, Tone};
use super::text::{Emphasis, Terminal};

/// Octets of the headers of one request and its response.
pub const POLL_HEADERS: u32 = 871;

/// Octets of the header of one frame.
pub const FRAME_HEADER: u32 = 2;

/// The numbers of clients that the table has. Each gets one message a second.
pub const CLIENTS: [u32; 3] = [1_000, 10_000, 100_000];

/// What the table is of.
pub(super) const EXPLANATION: &str = "One message a second for each client. The famous figures count headers alone; \
    measured is what the application adds to the payload, and all that IP carries: payload, headers of every layer, \
    acknowledgements.";

/// Bits in the unit of the table, which calls them Mbit.
const MEGABIT: f64 = 1_048_576.0;

/// The title of what is famous.
const FAMOUS: &str = "famous";

/// The famous table beside what a record has measured with `poll:1s` and `ws`.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// One for each of [`CLIENTS`].
    pub rows: Vec<Row>,
    /// Messages a second that each client really got.
    pub message_rate: f64,
    /// Clients that were really connected.
    pub connections: usize,
}

/// The traffic of a number of clients, in units of 2^20 bits a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// How many.
    pub clients: u32,
    /// What is famous.
    pub famous: Traffic,
    /// What the application adds to the payload.
    pub headers: Traffic,
    /// All that IP carries.
    pub ip: Traffic,
    /// Whether more clients than were connected, so that what is measured is multiplied.
    pub extrapolated: bool,
}

/// Polling and WebSocket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// One poll a second.
    pub polling: f64,
    /// One frame a second.
    pub websocket: f64,
}

impl Traffic {
    /// What clients need that each get so many octets a second.
    fn of(clients: u32, polling: f64, websocket: f64) -> Self {
        let megabits = |octets: f64| f64::from(clients) * octets * 8.0 / MEGABIT;
        Self { polling: megabits(polling), websocket: megabits(websocket) }
    }
}

/// The famous figures, computed.
pub fn famous(clients: u32) -> Traffic {
    Traffic::of(clients, f64::from(POLL_HEADERS), f64::from(FRAME_HEADER))
}

impl Table {
    /// The table of a record in which polls have the famous headers; none of any other.
    pub fn wanted(record: &Record) -> Option<Self> {
        Self::of(record).filter(|_| record.configuration.headers == "kaazing")
    }

    /// The table of a record; none if it has not both of the series, with deliveries.
    pub fn of(record: &Record) -> Option<Self> {
        let series = |name: &str| record.series.iter().find(|series| series.name == name);
        let (polling, websocket) = (series("poll:1s")?, series("ws")?);
        let (poll, frame) =
            (PerDelivery::of(&polling.merged.bytes)?, PerDelivery::of(&websocket.merged.bytes)?);
        let connections = polling.connections.min(websocket.connections);
        let headers = |each: PerDelivery| (each.application - each.payload).max(0.0);
        let row = |clients| Row {
            clients,
            famous: famous(clients),
            headers: Traffic::of(clients, headers(poll), headers(frame)),
            ip: Traffic::of(clients, poll.ip, frame.ip),
            extrapolated: clients as usize > connections,
        };
        Some(Self { rows: CLIENTS.map(row).into(), message_rate: message_rate(record, polling), connections })
    }

    /// As text: the table, then what must be known of it.
    pub fn text(&self, terminal: Terminal) -> String {
        let mut out =
            terminal.paint(Emphasis::Heading, "Mbit/s (of 2^20 bits), for one message a second") + "\n";
        out.push_str(&terminal.wrap(EXPLANATION, 0));
        out.push('\n');
        out.push_str(&terminal.sheet(&self.sheet()));
        out.push_str(&self.notes().iter().map(|note| terminal.wrap(note, 2)).collect::<String>());
        out
    }

    /// As a table of any kind.
    pub(super) fn sheet(&self) -> Sheet {
        let name = |row: &Row| figures::count(row.clients.into()) + if row.extrapolated { " *" } else { "" };
        let group = |title: &str, of: fn(&Row) -> Traffic, print: fn(f64) -> String| {
            let column = |side: fn(&Traffic) -> f64| {
                let faint = |row: &Row| row.extrapolated && title != FAMOUS;
                self.rows
                    .iter()
                    .map(move |row| Some(Cell::plain(print(side(&of(row)))).toned(Tone::Faint, faint(row))))
            };
            Group::new(title)
                .with("polling", column(|traffic| traffic.polling))
                .with("WebSocket", column(|traffic| traffic.websocket))
        };
        Sheet::new("clients", self.rows.iter().map(name))
            .with(group(FAMOUS, |row| row.famous, as_printed))
            .with(group("headers, measured", |row| row.headers, figures::significant))
            .with(group("all of IP, measured", |row| row.ip, figures::significant))
    }

    /// What must be known of the table.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.rows.iter().any(|row| row.extrapolated) {
            let connections = figures::count(self.connections as u64);
            notes.push(format!("* extrapolated from the {connections} clients that were connected."));
        }
        if (self.message_rate - 1.0).abs() > 0.05 {
            let rate = figures::significant(self.message_rate);
            notes.push(format!(
                "Each client got {rate} messages a second, not one, so that a poll carried another number of \
                 messages than in the famous example. Run it with --preset kaazing."
            ));
        }
        notes
    }
}

/// With the decimals that the famous table prints.
fn as_printed(megabits: f64) -> String {
    match megabits {
        below if below < 2.0 => format!("{below:.3}"),
        below if below < 10.0 => format!("{below:.1}"),
        other => format!("{other:.0}"),
    }
}

/// Messages a second for each client.
fn message_rate(record: &Record, series: &Series) -> f64 {
    let seconds = record.configuration.duration_ns as f64 / 1e9 * series.repeats.len().max(1) as f64;
    series.merged.counts.expected as f64 / (seconds * series.connections as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_famous_figures_follow_from_871_and_2() {
        let printed = CLIENTS.map(|clients| {
            let Traffic { polling, websocket } = famous(clients);
            [as_printed(polling), as_printed(websocket)]
        });
        assert_eq!(printed, [["6.6", "0.015"], ["66", "0.153"], ["665", "1.526"]]);
    }
}
