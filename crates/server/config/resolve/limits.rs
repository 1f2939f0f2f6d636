//! `[limits]` and `[proxies]`.

use fanwire_wire::limits::{MAX_BATCH_MESSAGES, MAX_HEAD_BYTES};

use super::{MAX_KEPT, MAX_TABLE, MAX_TIMEOUT, MIN_TIMEOUT, Sayings};
use crate::config::error::ConfigError;
use crate::config::file::{LimitsTable, ProxiesTable};
use crate::config::limits::{Limits, Proxies};
use crate::config::units::{Count, Period, Size};

/// Below this not even the handshake of a browser fits into a second.
const MIN_BYTES_PER_SECOND: Size = Size(1024);

/// More than a machine has memory bandwidth for is a slip of the pen.
const MAX_BYTES_PER_SECOND: Size = Size(1 << 40);

/// A few backlogs and messages have to fit.
const MIN_MEMORY: Size = Size(1 << 20);

/// Below this the handshakes of browsers do not fit.
const MIN_HEAD: Size = Size(1024);

/// Below this, compression is not worth having.
const MIN_RATIO: Count = Count(10);

/// More than DEFLATE can do.
const MAX_RATIO: Count = Count(1_100);

impl Sayings<'_> {
    pub(super) fn limits(&self, table: LimitsTable, default: &Limits) -> Result<Limits, ConfigError> {
        let LimitsTable {
            connections,
            connections_per_address: per_address,
            handshakes_per_second_per_address: handshakes,
            commands_per_second: commands,
            bytes_per_second: bytes,
            patience,
            memory,
            history_memory,
            backlog_memory,
            context_memory,
            header_bytes: head,
            batch,
            inflated_ratio: ratio,
        } = table;
        let head = self.said("limits.header_bytes", None, head, Size(default.header_bytes));
        let batch = self.said("limits.batch", None, batch, Count(default.batch));
        let ratio = self.said("limits.inflated_ratio", None, ratio, Count(default.inflated_ratio));
        let patience = self.said("limits.patience", None, patience, Period(default.patience_ms));
        let connections = self.if_any("limits.connections", connections, Count(1), MAX_TABLE)?;
        let per_address =
            self.count("limits.connections_per_address", None, per_address, default.connections_per_address)?;
        let handshakes = self.count(
            "limits.handshakes_per_second_per_address",
            None,
            handshakes,
            default.handshakes_per_second_per_address as usize,
        )?;
        let commands = self.if_any("limits.commands_per_second", commands, Count(1), MAX_TABLE)?;
        let bytes =
            self.if_any("limits.bytes_per_second", bytes, MIN_BYTES_PER_SECOND, MAX_BYTES_PER_SECOND)?;
        let memory_of = |key, written| self.if_any(key, written, MIN_MEMORY, MAX_KEPT);
        let memory = memory_of("limits.memory", memory)?;
        let history_memory = memory_of("limits.history_memory", history_memory)?;
        let backlog_memory = memory_of("limits.backlog_memory", backlog_memory)?;
        let context_memory = memory_of("limits.context_memory", context_memory)?;
        let bytes_of = |size: Option<Size>| size.map(|Size(bytes)| bytes as u64);
        Ok(Limits {
            connections: connections.map(|Count(count)| count),
            connections_per_address: per_address,
            handshakes_per_second_per_address: handshakes as u64,
            commands_per_second: commands.map(|Count(count)| count as u64),
            bytes_per_second: bytes_of(bytes),
            memory: bytes_of(memory),
            history_memory: bytes_of(history_memory),
            backlog_memory: bytes_of(backlog_memory),
            context_memory: bytes_of(context_memory),
            header_bytes: head.within(MIN_HEAD, Size(MAX_HEAD_BYTES))?.0,
            batch: batch.within(Count(1), Count(MAX_BATCH_MESSAGES))?.0,
            inflated_ratio: ratio.within(MIN_RATIO, MAX_RATIO)?.0,
            patience_ms: patience.within(MIN_TIMEOUT, MAX_TIMEOUT)?.0,
        })
    }

    pub(super) fn proxies(&self, table: ProxiesTable, default: Proxies) -> Proxies {
        let trust = self.said("proxies.trust", None, table.trust, default.trust).value;
        let protocol = self.said("proxies.protocol", None, table.protocol, default.protocol).value;
        Proxies { trust, protocol }
    }
}
