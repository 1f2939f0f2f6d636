//! What no broker can be faster than: accept, upgrade, and `send()`.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use fanwire_wire::deflate::Inflater;
use fanwire_wire::frame::{OpCode, Role, write_frame};
use fanwire_wire::handshake::Upgrade;
use fanwire_wire::http::parse_request;
use fanwire_wire::limits::DEFAULT_MAX_MESSAGE_BYTES;
use fanwire_wire::message::{Incoming, MessageReader};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::SockRef;

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
}

struct Connection {
    stream: TcpStream,
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
pub(crate) fn run(port: u16, batched: bool) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut listener = TcpListener::bind(address).expect("a free port");
    let poll = Poll::new().expect("epoll");
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).expect("epoll");
    let (connections, topics, numbers) = (Slab::new(), Vec::new(), HashMap::new());
    let mut floor = Floor { poll, connections, topics, numbers, inflater: Inflater::new(false), batched };
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
            entry.insert(Connection { stream, publishes: None });
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
            match connection.publishes.take() {
                Some((topic, mut reader)) => {
                    self.publish(topic, &mut reader, &mut scratch[..read]);
                    self.connections[number].publishes = Some((topic, reader));
                }
                None => self.upgrade(number, &scratch[..read]),
            }
            if read < scratch.len() {
                return;
            }
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
        connection.stream.write_all(&response).expect("an empty socket takes it");
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
            write_all(&mut self.connections[subscriber].stream, out);
        }
        out.clear();
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
