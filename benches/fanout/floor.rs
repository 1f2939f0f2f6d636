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

const LISTENER: Token = Token(usize::MAX);

struct Floor {
    poll: Poll,
    /// Connections that are read: those that have not asked for anything yet, and publishers.
    readers: Slab<Reader>,
    /// Connections that are only written to. They are in blocking mode: one whose client is late is waited for.
    subscribers: HashMap<String, Vec<std::net::TcpStream>>,
    batched: bool,
}

struct Reader {
    stream: TcpStream,
    publishes: Option<(String, MessageReader)>,
}

/// Serves until it is killed. `batched` sends what one read of a publisher brought in one piece.
pub(crate) fn run(port: u16, batched: bool) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut listener = TcpListener::bind(address).expect("a free port");
    let poll = Poll::new().expect("epoll");
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).expect("epoll");
    let mut floor = Floor { poll, readers: Slab::new(), subscribers: HashMap::new(), batched };
    let (mut events, mut scratch) = (Events::with_capacity(1024), vec![0; 64 * 1024]);
    loop {
        floor.poll.poll(&mut events, None).expect("epoll");
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(&listener),
                Token(number) => floor.serve(number, &mut scratch),
            }
        }
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) {
        while let Ok((mut stream, _)) = listener.accept() {
            stream.set_nodelay(true).expect("a socket");
            let entry = self.readers.vacant_entry();
            let token = Token(entry.key());
            self.poll.registry().register(&mut stream, token, Interest::READABLE).expect("epoll");
            entry.insert(Reader { stream, publishes: None });
        }
    }

    fn serve(&mut self, number: usize, scratch: &mut [u8]) {
        while let Some(reader) = self.readers.get_mut(number) {
            match reader.stream.read(scratch) {
                Ok(0) => drop(self.readers.remove(number)),
                Ok(read) if reader.publishes.is_some() => self.publish(number, &mut scratch[..read]),
                Ok(read) => self.upgrade(number, &scratch[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the client's connection: {error}"),
            }
        }
    }

    /// The benchmark's client sends its request in one piece.
    fn upgrade(&mut self, number: usize, bytes: &[u8]) {
        let (request, _) = parse_request(bytes).expect("a request").expect("all of it");
        let mut response = Vec::new();
        Upgrade::from_request(&request).expect("an upgrade").write_response(None, None, &[], &mut response);
        let topic = request.path().trim_start_matches("/topics/").to_owned();
        let reader = &mut self.readers[number];
        reader.stream.write_all(&response).expect("an empty socket takes it");
        if request.query().is_some() {
            reader.publishes = Some((topic, MessageReader::new(Role::Server, false)));
            return;
        }
        let mut stream = self.readers.remove(number).stream;
        self.poll.registry().deregister(&mut stream).expect("epoll");
        let stream = std::net::TcpStream::from(stream);
        stream.set_nonblocking(false).expect("a socket");
        self.subscribers.entry(topic).or_default().push(stream);
    }

    fn publish(&mut self, publisher: usize, mut input: &mut [u8]) {
        let Some((topic, reader)) = &mut self.readers[publisher].publishes else { return };
        let Some(subscribers) = self.subscribers.get_mut(topic.as_str()) else { return };
        let (mut inflater, mut out) = (Inflater::new(false), Vec::new());
        while !input.is_empty() {
            let (consumed, incoming) =
                reader.read(input, DEFAULT_MAX_MESSAGE_BYTES, &mut inflater).expect("good frames");
            if let Some(Incoming::Message { payload, .. }) = incoming {
                write_frame(&mut out, OpCode::Binary, false, &payload);
                if !self.batched {
                    send_to_all(subscribers, &out);
                    out.clear();
                }
            }
            input = &mut input[consumed..];
        }
        send_to_all(subscribers, &out);
    }
}

fn send_to_all(subscribers: &mut [std::net::TcpStream], bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    for subscriber in subscribers {
        subscriber.write_all(bytes).expect("the client is there");
    }
}
