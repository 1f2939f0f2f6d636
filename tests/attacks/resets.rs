//! Connections that are reset in the middle of what they say.

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use fanwire_wire::frame::OpCode;
use socket2::SockRef;

use crate::process::Process;
use crate::support::{Attacker, figure, masked, wait_until, while_others_are_served};

/// What a client says, and what of it is answered before the rest is cut anywhere.
struct Script {
    opening: &'static str,
    rest: Vec<u8>,
}

impl Script {
    /// Says the opening and so many octets of the rest.
    fn say(&self, address: SocketAddr, length: usize) -> Attacker {
        let mut client = match self.opening {
            "" => Attacker::connect(address),
            path => Attacker::web_socket(address, path, ""),
        };
        client.send_whole(&self.rest[..length]);
        client
    }

    fn lengths(&self) -> std::ops::RangeInclusive<usize> {
        0..=self.rest.len()
    }
}

/// A handshake with what follows it at once; frames of every kind on the raw and the JSON interface; bodies.
fn scripts() -> Vec<Script> {
    let handshake = "GET /topics/reset HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut fragments = [masked(OpCode::Text, false, b"one"), masked(OpCode::Continuation, false, b"two")];
    // The first does not end the message.
    fragments[0][0] &= 0x7f;
    let frames = [
        fragments.concat(),
        masked(OpCode::Ping, false, b"are you there"),
        masked(OpCode::Binary, false, &[7; 200]),
        masked(OpCode::Close, false, &[3, 0xe8]),
    ];
    let commands = [
        r#"{"type":"subscribe","topics":[{"topic":"reset"},{"topic":"reset.>"}],"id":1}"#,
        r#"{"type":"publish","topic":"reset","data":[1],"id":2}"#,
    ];
    let commands = commands.map(|command| masked(OpCode::Text, false, command.as_bytes()));
    let body = "POST /topics/reset HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n0123456789";
    let chunks = "POST /topics/reset HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\n\r\n";
    vec![
        Script { opening: "", rest: [handshake.as_bytes(), &frames.concat()].concat() },
        Script { opening: "/topics/reset", rest: frames.concat() },
        Script { opening: "/v1/ws", rest: commands.concat() },
        Script { opening: "", rest: body.into() },
        Script { opening: "", rest: chunks.into() },
    ]
}

/// Closes it so that its peer sees a reset.
fn reset(Attacker(socket): Attacker) {
    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("a socket");
    drop(socket);
}

/// Waits until the broker has read what these have sent: a reset would take it along.
fn wait_until_read(broker: SocketAddr, clients: &[Attacker]) {
    let ports: HashSet<_> = clients.iter().map(|client| client.0.local_addr().unwrap().port()).collect();
    wait_until("it has read what came", || {
        !unread_ports(broker.port()).iter().any(|port| ports.contains(port))
    });
}

/// The ports of those who have sent something to this one that nobody has read (proc(5), `/proc/net/tcp`).
fn unread_ports(of: u16) -> Vec<u16> {
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    let unread = table.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let &[_, local, remote, _, queues, ..] = fields.as_slice() else { return None };
        let is_unread = port(local) == Some(of) && !queues.ends_with(":00000000");
        port(remote).filter(|_| is_unread)
    });
    unread.collect()
}

/// Resets a connection behind each octet of each script, read or not.
fn reset_everywhere(address: SocketAddr) {
    for script in scripts() {
        let clients: Vec<_> = script.lengths().map(|length| script.say(address, length)).collect();
        wait_until_read(address, &clients);
        clients.into_iter().for_each(reset);
        script.lengths().for_each(|length| reset(script.say(address, length)));
    }
}

#[test]
fn a_reset_at_any_octet_of_a_handshake_a_frame_or_a_body_leaves_nothing_behind() {
    /// What the allocator may do with the same work done again.
    const SLACK_BYTES: u64 = 512 * 1024;
    let process =
        Process::start("timeouts.handshake = \"1h\"\n[[topics]]\nmatch = \">\"\nlast_value = false\n");
    let address = process.address;
    let files = process.open_files();
    // What is allocated once and stays.
    reset_everywhere(address);
    let resident = process.resident_bytes();
    while_others_are_served(address, || (0..3).for_each(|_| reset_everywhere(address)));
    wait_until("nobody is connected but who asks", || figure(address, "fanwire_connections{") == 1);
    wait_until("their files are closed", || process.open_files() == files);
    for gone in ["fanwire_subscriptions{", "fanwire_topics{", "fanwire_backlog_bytes{", "fanwire_kept_bytes{"]
    {
        assert_eq!(figure(address, gone), 0, "{gone}");
    }
    let grown = process.resident_bytes().saturating_sub(resident);
    assert!(grown < SLACK_BYTES, "{grown} bytes of memory are left behind");
    assert!(process.stop().success());
}
