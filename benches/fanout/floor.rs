//! What no broker can be faster than: accept, upgrade, and `send()`; over TLS, with a record around it.

mod tls;

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use fanwire_wire::deflate::Inflater;
use fanwire_wire::frame::{OpCode, Role, write_frame};
use fanwire_wire::handshake::Upgrade;
use fanwire_wire::http::parse_request;
use fanwire_wire::limits::DEFAULT_MAX_MESSAGE_BYTES;
use fanwire_wire::message::{Incoming, MessageReader};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::ServerConfig;
use slab::Slab;
use socket2::SockRef;
use tls::Session;

const LISTENER: Token = Token(usize::MAX);

struct Floor {
    poll: Poll,
    connections: Slab<Connection>,
    topics: Vec<Topic>,
    /// The number of each topic in `topics`: looked up once for each connection.
    numbers: HashMap<String, usize>,
    inflater: Inflater,
    /// Whether what one turn brought is sent in one piece.
    batched: bool,
    tls: Option<Arc<ServerConfig>>,
    /// Where records are made.
    sealed: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    tls: Option<Session>,
    /// What it publishes to, if it does.
    publishes: Option<(usize, MessageReader)>,
}

#[derive(Default)]
struct Topic {
    subscribers: Vec<usize>,
    /// Frames that wait for the end of the turn.
    out: Vec<u8>,
}

/// Serves until it is killed.
pub(crate) fn run(port: u16, batched: bool, certificate: &[PathBuf]) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut listener = TcpListener::bind(address).expect("a free port");
    let poll = Poll::new().expect("epoll");
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).expect("epoll");
    let (connections, topics, numbers) = (Slab::new(), Vec::new(), HashMap::new());
    let inflater = Inflater::new(false);
    let tls = tls::config(certificate);
    let mut floor = Floor { poll, connections, topics, numbers, inflater, batched, tls, sealed: Vec::new() };
    let (mut events, mut scratch) = (Events::with_capacity(1024), vec![0; 64 * 1024]);
    loop {
        floor.poll.poll(&mut events, None).expect("epoll");
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(&listener),
                Token(number) => floor.serve(number, &mut scratch),
            }
        }
        (0..floor.topics.len()).for_each(|topic| floor.send(topic));
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) {
        while let Ok((mut stream, _)) = listener.accept() {
            stream.set_nodelay(true).expect("a socket");
            let entry = self.connections.vacant_entry();
            let token = Token(entry.key());
            self.poll.registry().register(&mut stream, token, Interest::READABLE).expect("epoll");
            entry.insert(Connection { stream, tls: self.tls.as_ref().map(Session::new), publishes: None });
        }
    }

    /// Reads what there is. A short read says that there is no more.
    fn serve(&mut self, number: usize, scratch: &mut [u8]) {
        loop {
            let Some(connection) = self.connections.get_mut(number) else { return };
            let read = match connection.stream.read(scratch) {
                Ok(0) => return drop(self.connections.remove(number)),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the client's connection: {error}"),
            };
            match &mut connection.tls {
                None => self.hear(number, &mut scratch[..read]),
                Some(session) => {
                    let (mut heard, answer) = session.receive(&scratch[..read]);
                    write_all(&mut connection.stream, &answer);
                    self.hear(number, &mut heard);
                }
            }
            if read < scratch.len() {
                return;
            }
        }
    }

    fn hear(&mut self, number: usize, input: &mut [u8]) {
        if input.is_empty() {
            return;
        }
        match self.connections[number].publishes.take() {
            Some((topic, mut reader)) => {
                self.publish(topic, &mut reader, input);
                self.connections[number].publishes = Some((topic, reader));
            }
            None => self.upgrade(number, input),
        }
    }

    /// The benchmark's client sends its request in one piece.
    fn upgrade(&mut self, number: usize, bytes: &[u8]) {
        let (request, _) = parse_request(bytes).expect("a request").expect("all of it");
        let mut response = Vec::new();
        Upgrade::from_request(&request).expect("an upgrade").write_response(None, None, &[], &mut response);
        let topic = *self.numbers.entry(request.path().to_owned()).or_insert_with(|| {
            self.topics.push(Topic::default());
            self.topics.len() - 1
        });
        let connection = &mut self.connections[number];
        connection.send(&response, &mut self.sealed);
        if request.query().is_some() {
            connection.publishes = Some((topic, MessageReader::new(Role::Server, false)));
        } else {
            self.topics[topic].subscribers.push(number);
        }
    }

    fn publish(&mut self, topic: usize, reader: &mut MessageReader, mut input: &mut [u8]) {
        while !input.is_empty() {
            let (consumed, incoming) =
                reader.read(input, DEFAULT_MAX_MESSAGE_BYTES, &mut self.inflater).expect("good frames");
            if let Some(Incoming::Message { payload, .. }) = incoming {
                write_frame(&mut self.topics[topic].out, OpCode::Binary, false, &payload);
                if !self.batched {
                    self.send(topic);
                }
            }
            input = &mut input[consumed..];
        }
    }

    fn send(&mut self, topic: usize) {
        let Topic { subscribers, out } = &mut self.topics[topic];
        if out.is_empty() {
            return;
        }
        for &subscriber in &*subscribers {
            self.connections[subscriber].send(out, &mut self.sealed);
        }
        out.clear();
    }
}

impl Connection {
    fn send(&mut self, octets: &[u8], sealed: &mut Vec<u8>) {
        match &mut self.tls {
            None => write_all(&mut self.stream, octets),
            Some(session) => {
                let length = session.seal(octets, sealed);
                write_all(&mut self.stream, &sealed[..length]);
            }
        }
    }
}

/// One `send()` where the socket takes everything. One whose client is late is waited for: it blocks from then on.
fn write_all(stream: &mut TcpStream, bytes: &[u8]) {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(taken) => written += taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                SockRef::from(&*stream).set_nonblocking(false).expect("a socket");
            }
            Err(error) => panic!("the client's connection: {error}"),
        }
    }
}
