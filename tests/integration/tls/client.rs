//! Clients that speak TLS.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::support::connect;

/// A client whose octets travel through TLS.
pub(crate) type TlsClient = StreamOwned<ClientConnection, TcpStream>;

/// Connects, and leaves the handshake to the first octet that is read or written.
pub(crate) fn tls_to(address: SocketAddr, host: &str, config: ClientConfig) -> TlsClient {
    tls_over(connect(address), host, config)
}

/// The same over a connection that is there.
pub(crate) fn tls_over(socket: TcpStream, host: &str, config: ClientConfig) -> TlsClient {
    let host = host.to_owned().try_into().unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), host).unwrap(), socket)
}

/// The handshake, to its end.
pub(crate) fn shake_hands(client: &mut TlsClient) -> io::Result<()> {
    while client.conn.is_handshaking() {
        client.conn.complete_io(&mut client.sock)?;
    }
    Ok(())
}

/// What a request is answered, to the end of the connection, which has to be a goodbye.
pub(crate) fn get(client: &mut TlsClient, path: &str) -> io::Result<String> {
    write!(client, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    client.read_to_string(&mut response)?;
    Ok(response)
}

/// Reads a response to the end of its head.
pub(crate) fn read_head(client: &mut TlsClient) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        client.read_exact(&mut octet).unwrap();
        head.push(octet[0]);
    }
}

/// A WebSocket over TLS.
pub(crate) fn web_socket(address: SocketAddr, path: &str, config: ClientConfig) -> WebSocket<TlsClient> {
    let request = format!("wss://{address}{path}").into_client_request().unwrap();
    let stream = tls_to(address, "127.0.0.1", config);
    tungstenite::client(request, stream).expect("the WebSocket opens").0
}

/// The next text that comes.
pub(crate) fn receive_text(socket: &mut WebSocket<TlsClient>) -> String {
    loop {
        match socket.read().expect("a message comes") {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("not text: {other:?}"),
        }
    }
}
