//! What becomes of TLS handshakes.

use fanwire_broker::lanes::ConnectionId;

use super::EventLoop;
use crate::connection::Phase;
use crate::http_api;
use crate::metrics::DisconnectReason;
use crate::tls::{Handshake, TlsFailure};
use crate::transport::Transport;

impl EventLoop {
    /// Whether a connection has to come to terms with its peer before anything can be said.
    pub(super) fn is_tls_handshaking(&mut self, id: ConnectionId) -> bool {
        self.connections.get_mut(id).is_some_and(|connection| connection.transport.is_handshaking())
    }

    /// A handshake has come a step further: perhaps it is done.
    pub(super) fn note_tls_handshake(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Transport::Tls(stream) = &connection.transport else { return };
        if stream.is_open() {
            let Handshake { is_1_3, is_resumed } = stream.handshake();
            self.metrics.add_tls_handshake(is_1_3, is_resumed);
            tracing::debug!(
                peer = self.peer(id),
                identity = self.known_as(id),
                version = if is_1_3 { "1.3" } else { "1.2" },
                resumed = is_resumed,
                "TLS handshake"
            );
        }
    }

    /// What came makes no sense, or is refused. The alert that says so is on its way; who speaks HTTP without TLS is
    /// answered in HTTP.
    pub(super) fn fail_tls(&mut self, id: ConnectionId, failure: &TlsFailure) {
        tracing::debug!(peer = self.peer(id), identity = self.known_as(id), %failure, "TLS has failed");
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Transport::Tls(stream) = &mut connection.transport else { return };
        if *failure == TlsFailure::PlainHttp {
            stream.say_in_plain(&http_api::speaks_tls());
        }
        if matches!(connection.phase, Phase::Http(_)) {
            self.begin_closing(id, DisconnectReason::TlsFailed);
        } else {
            self.drop_connection(id, DisconnectReason::TlsFailed);
        }
    }
}
