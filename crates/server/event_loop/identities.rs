//! Who connections are: from each request, from `auth` while connected, and until when.

use fanwire_broker::lanes::ConnectionId;
use fanwire_broker::shard::Backlog;
use fanwire_wire::close::CloseCode;
use fanwire_wire::command::{CommandId, Token};
use fanwire_wire::error::ErrorCode;
use fanwire_wire::notification::Notification;
use tracing::field::{self, DisplayValue};

use super::EventLoop;
use crate::auth::{Client, Expiry};
use crate::connection::{Due, Endpoint, Peer, Phase, WebSocket};
use crate::metrics::DisconnectReason;

impl EventLoop {
    /// What the connection asks for from here on, this client asks for.
    pub(super) fn admit(&mut self, id: ConnectionId, client: Client) {
        self.sessions.begin(id.slot, client.expiry, (self.now.monotonic_ms, self.now.wall_ms));
        self.shard.permit(id, client.permissions);
    }

    /// A client says anew who it is. Who has said it before stays the same one.
    pub(super) fn authenticate(
        &mut self,
        id: ConnectionId,
        command_id: Option<&CommandId>,
        token: &Token<'_>,
    ) {
        self.effort.tokens += 1;
        let client = match self.site.auth.bearer_of(&token.0, self.now.wall_ms) {
            Ok(client) => client,
            Err(error) => {
                return self.refuse_auth(id, command_id, ErrorCode::BadToken, &error.to_string());
            }
        };
        let (Some(identity), Some(Expiry { claimed_s, .. })) =
            (client.permissions.identity.as_deref(), client.expiry)
        else {
            return;
        };
        if let Some(before) = self.shard.identity(id).filter(|before| *before != identity) {
            let message =
                format!("this connection is {before}'s, and the token is another client's; open another one");
            return self.refuse_auth(id, command_id, ErrorCode::Forbidden, &message);
        }
        tracing::debug!(peer = self.peer(id), identity, "authenticated");
        self.shard.notify(id, &Notification::Authenticated { id: command_id, identity, expires: claimed_s });
        self.admit(id, client);
        self.arm_deadline(id);
    }

    fn refuse_auth(
        &mut self,
        id: ConnectionId,
        command_id: Option<&CommandId>,
        code: ErrorCode,
        message: &str,
    ) {
        let command = Some("auth");
        self.shard.notify(id, &Notification::Error { id: command_id, command, topic: None, code, message });
    }

    /// Where the connection's client is, as the log says it.
    pub(super) fn peer(&self, id: ConnectionId) -> Option<DisplayValue<Peer>> {
        self.connections.peer(id).map(field::display)
    }

    /// Who the connection's client is, as the log says it: by what it is permitted as, or else by its certificate.
    pub(super) fn known_as(&self, id: ConnectionId) -> Option<&str> {
        self.shard.identity(id).or_else(|| self.connections.certificate(id))
    }

    /// When the token of a client that stays connected expires, or its time to send another.
    pub(super) fn token_deadline_ms(&mut self, id: ConnectionId) -> Option<u64> {
        let deadline_ms = self.sessions.deadline_ms(id.slot)?;
        let connection = self.connections.get_mut(id)?;
        matches!(connection.phase, Phase::WebSocket(_) | Phase::EventStream(_)).then_some(deadline_ms)
    }

    /// What is due of the client's token.
    pub(super) fn token_due(&mut self, id: ConnectionId) -> Option<Due> {
        self.token_deadline_ms(id)?;
        self.sessions.due(id.slot, self.now.monotonic_ms)
    }

    /// The token of a client has expired. One that can send another is told, and waited for; others are closed.
    pub(super) fn expire_token(&mut self, id: ConnectionId, due: Due) {
        let grace_ms = self.site.auth.grace_ms();
        if due == Due::Expired && grace_ms > 0 && self.has_commands(id) {
            self.sessions.begin_grace(id.slot, self.now.monotonic_ms.saturating_add(grace_ms));
            self.shard.notify(id, &Notification::Expired { grace_ms });
            return self.arm_deadline(id);
        }
        let code = CloseCode::TOKEN_EXPIRED;
        self.close(id, code, "token expired", Backlog::Keep, DisconnectReason::TokenExpired);
    }

    fn has_commands(&mut self, id: ConnectionId) -> bool {
        let web_socket = self.connections.get_mut(id).and_then(|connection| connection.web_socket());
        matches!(web_socket, Some(WebSocket { endpoint: Endpoint::Json | Endpoint::Binary, .. }))
    }
}
