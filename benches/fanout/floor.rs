//! What no broker can be faster than: accept, upgrade, and `send()`.

use std::io::{ErrorKind, Read, Write};

use fanwire_wire::deflate::Inflater;
use fanwire_wire::frame::{OpCode, Role, write_frame};
use fanwire_wire::handshake::Upgrade;
use fanwire_wire::http::parse_request;
use fanwire_wire::limits::DEFAULT_MAX_MESSAGE_BYTES;
use fanwire_wire::message::{Incoming, MessageReader};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);

struct Peer {
    stream: TcpStream,
    reader: Option<MessageReader>,
    subscribes: bool,
}

/// Serves until it is killed, on core 0. `batched` sends what one read of the publisher brought in one piece.
pub(crate) fn run(batched: bool) {
    if let Some(core) = core_affinity::get_core_ids().and_then(|cores| cores.first().copied()) {
        core_affinity::set_for_current(core);
    }
    let mut poll = Poll::new().expect("epoll");
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    eprintln!("listening on {}", listener.local_addr().expect("it is bound"));
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).expect("epoll");
    let (mut events, mut peers, mut scratch) = (Events::with_capacity(1024), Vec::new(), vec![0; 64 * 1024]);
    loop {
        poll.poll(&mut events, None).expect("epoll");
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut peers);
            } else {
                serve(&mut peers, event.token().0, &mut scratch, batched);
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &Poll, peers: &mut Vec<Peer>) {
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nodelay(true).expect("a socket");
        poll.registry().register(&mut stream, Token(peers.len()), Interest::READABLE).expect("epoll");
        peers.push(Peer { stream, reader: None, subscribes: false });
    }
}

fn serve(peers: &mut [Peer], number: usize, scratch: &mut [u8], batched: bool) {
    loop {
        let read = match peers[number].stream.read(scratch) {
            Ok(0) => std::process::exit(0),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("the client's connection: {error}"),
        };
        if peers[number].reader.is_some() {
            publish(peers, number, &mut scratch[..read], batched);
        } else {
            upgrade(&mut peers[number], &scratch[..read]);
        }
    }
}

/// The benchmark's client sends its request in one piece.
fn upgrade(peer: &mut Peer, bytes: &[u8]) {
    let (request, _) = parse_request(bytes).expect("a request").expect("all of it");
    let mut response = Vec::new();
    Upgrade::from_request(&request).expect("an upgrade").write_response(None, None, &[], &mut response);
    peer.stream.write_all(&response).expect("an empty socket takes it");
    peer.reader = Some(MessageReader::new(Role::Server, false));
    peer.subscribes = request.query().is_none();
}

fn publish(peers: &mut [Peer], publisher: usize, mut input: &mut [u8], batched: bool) {
    let (mut inflater, mut out) = (Inflater::new(false), Vec::new());
    let mut reader = peers[publisher].reader.take().expect("it is a WebSocket");
    while !input.is_empty() {
        let (consumed, incoming) =
            reader.read(input, DEFAULT_MAX_MESSAGE_BYTES, &mut inflater).expect("good frames");
        if let Some(Incoming::Message { payload, .. }) = incoming {
            write_frame(&mut out, OpCode::Binary, false, &payload);
            if !batched {
                send_to_all(peers, &out);
                out.clear();
            }
        }
        input = &mut input[consumed..];
    }
    send_to_all(peers, &out);
    peers[publisher].reader = Some(reader);
}

fn send_to_all(peers: &mut [Peer], bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    for peer in peers.iter_mut().filter(|peer| peer.subscribes) {
        peer.stream.write_all(bytes).expect("the client keeps up");
    }
}
