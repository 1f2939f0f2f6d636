//! A fan-out server as it is written with tokio-tungstenite: one broadcast channel for each topic, one task for each
//! connection, and a single-threaded runtime, because it is measured on one core.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{StatusCode, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// Messages of one topic that wait for its slowest subscriber: four bursts of the benchmark's largest. A channel
/// allocates them all at once, so a larger one would be paid by each of a thousand topics.
const CHANNEL_MESSAGES: usize = 256;

/// Room for one burst of 64 small messages. The default, 128 KiB for each connection, is mostly memory that idles.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// What a handshake asked for.
enum Role {
    Subscriber(String),
    Publisher(String),
}

/// The channels by topic. A topic stays once it was named.
#[derive(Clone, Default)]
struct Topics(Arc<Mutex<HashMap<String, broadcast::Sender<Bytes>>>>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    let port: u16 = port.ok_or_else(|| io::Error::other("usage: fanwire-peer-tungstenite PORT"))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let topics = Topics::default();
    loop {
        let (stream, _) = listener.accept().await?;
        let topics = topics.clone();
        // Whatever ends a connection, it ends that connection only.
        tokio::spawn(async move { serve(stream, &topics).await.ok() });
    }
}

async fn serve(stream: TcpStream, topics: &Topics) -> tungstenite::Result<()> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let mut role = None;
    #[expect(clippy::result_large_err, reason = "the callback's signature is tungstenite's")]
    let decide = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        role = Role::of(request.uri());
        if role.is_some() { Ok(response) } else { Err(not_found()) }
    };
    let socket = accept_hdr_async_with_config(stream, decide, Some(config)).await?;
    match role {
        Some(Role::Subscriber(name)) => subscribe(socket, topics.channel(name).subscribe()).await,
        Some(Role::Publisher(name)) => publish(socket, &topics.channel(name)).await,
        None => Ok(()),
    }
}

/// Sends what the topic brings: everything that is there at once goes out by one flush.
async fn subscribe(
    mut socket: WebSocketStream<TcpStream>,
    mut messages: broadcast::Receiver<Bytes>,
) -> tungstenite::Result<()> {
    loop {
        tokio::select! {
            first = messages.recv() => {
                let mut next = first.map_err(|error| match error {
                    RecvError::Closed => TryRecvError::Closed,
                    RecvError::Lagged(missed) => TryRecvError::Lagged(missed),
                });
                while let Some(message) = heard(next) {
                    socket.feed(Message::binary(message)).await?;
                    next = messages.try_recv();
                }
                socket.flush().await?;
            }
            // Reading answers pings and closes, and finds out that the subscriber left.
            received = socket.next() => match received {
                Some(received) => drop(received?),
                None => return Ok(()),
            },
        }
    }
}

/// Gives each binary message to whoever subscribes at the moment, or to nobody.
async fn publish(
    mut socket: WebSocketStream<TcpStream>,
    channel: &broadcast::Sender<Bytes>,
) -> tungstenite::Result<()> {
    while let Some(message) = socket.next().await {
        if let Message::Binary(payload) = message? {
            channel.send(payload).ok();
        }
    }
    Ok(())
}

/// The message, if there is one. A subscriber that missed some would make every figure of this server wrong, so that is
/// its end.
fn heard(received: Result<Bytes, TryRecvError>) -> Option<Bytes> {
    if let Err(TryRecvError::Lagged(missed)) = received {
        panic!("a subscriber missed {missed} messages: {CHANNEL_MESSAGES} in flight were not enough");
    }
    received.ok()
}

fn not_found() -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

impl Role {
    /// `/topics/NAME` subscribes, `/topics/NAME?echo=false` publishes.
    fn of(uri: &Uri) -> Option<Self> {
        let name = uri.path().strip_prefix("/topics/")?.to_owned();
        match uri.query() {
            Some("echo=false") => Some(Self::Publisher(name)),
            _ => Some(Self::Subscriber(name)),
        }
    }
}

impl Topics {
    fn channel(&self, name: String) -> broadcast::Sender<Bytes> {
        let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        channels.entry(name).or_insert_with(|| broadcast::Sender::new(CHANNEL_MESSAGES)).clone()
    }
}
