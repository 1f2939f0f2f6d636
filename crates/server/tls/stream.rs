//! One socket that speaks TLS.
//!
//! ```text
//!   socket ──► incoming, scratch ──► session ──► opened        incoming keeps the record that is not whole yet
//!   socket ◄── unsent ◄── sealed ◄── session ◄── octets        unsent keeps the record that the socket did not take whole
//! ```
//!
//! `scratch`, `opened` and `sealed` belong to the core. A connection that waits keeps no octets of its own.

use std::fmt;
use std::io;

use mio::net::TcpStream;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    AppDataRecord, ConnectionState, EncodeError, EncodeTlsData, ReadTraffic, UnbufferedStatus,
};
use rustls::{CipherSuite, Error, HandshakeKind, ProtocolVersion};

use super::client_identity;
use super::outcome::{Handshake, TlsFailure};
use crate::transport::{Arrival, Received, Written, read_once, write_once};

/// What is encrypted at once, in bytes: four full records.
const PIECE_BYTES: usize = 64 * 1024;

/// The core's room for a piece in its records, and for what TLS itself may have to say in front of it.
pub(crate) const SEALED_BYTES: usize = PIECE_BYTES + 1024;

/// The most that is kept of what has come and is not whole, in bytes. A record is about half as long at most (RFC 8446 §5.2); a
/// handshake message may be made of several, and the longest are a client's chain of certificates.
pub(super) const MAX_INCOMING_BYTES: usize = 32 * 1024;

/// The most that is kept of what the socket does not take, in bytes: what is left of a piece, and in front of it or behind what
/// TLS itself has to say. The most of that is a chain of certificates; a client may ask for new keys as often as it likes and read
/// nothing (RFC 8446 §4.6.3), and whatever a session makes of that, here it ends.
pub(super) const MAX_UNSENT_BYTES: usize = 2 * SEALED_BYTES;

/// What a session takes, rounded up, in bytes. An idle subscriber was measured at 4.7 KB (`docs/BENCHMARKS.md`, and
/// `tests/many_connections` measures it anew), of which 1 KiB is counted with or without TLS.
const SESSION_BYTES: usize = 4 * 1024;

/// What a read has room for besides what is kept, in bytes, however little the caller wants: or a long handshake message
/// would never become whole.
const MIN_READ_BYTES: usize = 4 * 1024;

/// The first octet of a record with an alert in plain, and of one that is encrypted (RFC 8446 §5.1).
const RECORDS_THAT_END: [u8; 2] = [21, 23];

/// One socket that speaks TLS.
pub(crate) struct TlsStream {
    socket: TcpStream,
    session: UnbufferedServerConnection,
    stage: Stage,
    /// What has come and is not whole. Of a handshake message that may be decrypted already, so the session must see the
    /// same octets again.
    incoming: Vec<u8>,
    /// What the socket has not taken.
    unsent: Vec<u8>,
    /// Why it has failed, until that is told.
    failure: Option<TlsFailure>,
    /// The peer said that nothing comes any more.
    peer_closed: bool,
    /// We said so.
    said_goodbye: bool,
    client_identity: Option<Box<str>>,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has come.
    Fresh,
    /// The handshake is not done.
    Handshaking,
    /// Octets may go both ways.
    Open,
    /// There is nothing to say that the peer would understand.
    Failed,
}

/// What the session is to make records of.
#[derive(Clone, Copy)]
enum Saying<'a> {
    Octets(&'a [u8]),
    /// That nothing comes any more.
    Goodbye,
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("socket", &self.socket)
            .field("stage", &self.stage)
            .field("incoming", &self.incoming.len())
            .field("unsent", &self.unsent.len())
            .finish_non_exhaustive()
    }
}

impl TlsStream {
    /// A socket that was just accepted.
    pub(super) fn new(socket: TcpStream, session: UnbufferedServerConnection) -> Self {
        Self {
            socket,
            session,
            stage: Stage::Fresh,
            incoming: Vec::new(),
            unsent: Vec::new(),
            failure: None,
            peer_closed: false,
            said_goodbye: false,
            client_identity: None,
        }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self.stage, Stage::Fresh | Stage::Handshaking)
    }

    /// Whether octets may go both ways.
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Whether the socket has taken everything.
    pub(crate) fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// What it keeps, besides what the socket has not taken, in bytes.
    pub(crate) fn kept_bytes(&self) -> usize {
        SESSION_BYTES + self.incoming.capacity()
    }

    /// What it keeps that the socket has not taken, in bytes.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unsent.capacity()
    }

    /// The subject of the client's certificate, if it showed one.
    pub(crate) fn client_identity(&self) -> Option<&str> {
        self.client_identity.as_deref()
    }

    /// What came of the handshake, once it is done.
    pub(crate) fn handshake(&self) -> Handshake {
        Handshake {
            is_1_3: self.is_1_3(),
            is_resumed: self.session.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    fn is_1_3(&self) -> bool {
        self.session.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// The bytes that a record adds to what is in it: a header and a tag, and the type (RFC 8446 §5.2) or, of AES before
    /// TLS 1.3, a nonce (RFC 5288 §3).
    pub(crate) fn overhead_bytes(&self) -> u64 {
        const HEADER_AND_TAG: u64 = 5 + 16;
        let suite = self.session.negotiated_cipher_suite().map(|suite| suite.suite());
        HEADER_AND_TAG
            + match suite {
                _ if self.is_1_3() => 1,
                Some(
                    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
                    | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                ) => 0,
                _ => 8,
            }
    }

    /// Reads once, about `limit` bytes at most, and opens the records that are whole.
    pub(crate) fn read<'a>(
        &mut self,
        scratch: &'a mut [u8],
        opened: &'a mut Vec<u8>,
        limit: usize,
    ) -> Arrival<'a> {
        if let Some(failure) = self.failure.take() {
            return Arrival::TlsFailed(failure);
        }
        if self.peer_closed {
            return Arrival::End;
        }
        let kept = self.incoming.len();
        let limit = limit.max(kept + MIN_READ_BYTES).min(scratch.len());
        let taken = match read_once(&mut self.socket, &mut scratch[kept..limit]) {
            Ok(Some(0)) => return Arrival::End,
            Ok(Some(taken)) => taken,
            Ok(None) => return Arrival::Nothing,
            Err(_) => return Arrival::Reset,
        };
        scratch[..kept].copy_from_slice(&self.incoming);
        let records = whole_records(&scratch[..kept + taken]);
        opened.clear();
        self.receive(&mut scratch[..kept + taken], opened);
        let is_last = self.peer_closed;
        let has_more = kept + taken == limit || self.failure.is_some();
        Arrival::Bytes(Received { taken, input: opened, records, has_more, is_last })
    }

    /// Takes in octets that follow one another, `incoming` first.
    fn receive(&mut self, octets: &mut [u8], opened: &mut Vec<u8>) {
        if self.stage == Stage::Failed {
            return;
        }
        if self.stage == Stage::Fresh {
            self.stage = Stage::Handshaking;
            if octets.first().is_some_and(u8::is_ascii_uppercase) {
                return self.fail(TlsFailure::PlainHttp);
            }
        }
        match self.process(octets, opened) {
            Ok(consumed) => self.keep(&octets[consumed..]),
            Err((failure, consumed)) => {
                if self.is_handshaking() {
                    // What came behind a handshake that is refused was said by nobody.
                    opened.clear();
                }
                if matches!(failure, TlsFailure::Protocol(_)) {
                    self.take_alert(&mut octets[consumed..]);
                }
                self.fail(failure);
            }
        }
    }

    fn fail(&mut self, failure: TlsFailure) {
        self.stage = Stage::Failed;
        self.incoming = Vec::new();
        self.failure = Some(failure);
    }

    fn keep(&mut self, rest: &[u8]) {
        if rest.len() > MAX_INCOMING_BYTES {
            return self.fail(TlsFailure::TooLong);
        }
        if rest.is_empty() {
            self.incoming = Vec::new();
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(rest);
        }
    }

    /// Has the session take in what is whole in `octets`. Gives how many of them it is done with.
    fn process(&mut self, octets: &mut [u8], opened: &mut Vec<u8>) -> Result<usize, (TlsFailure, usize)> {
        let mut consumed = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.session.process_tls_records(&mut octets[consumed..]);
            let step = match state {
                Ok(ConnectionState::ReadTraffic(traffic)) => {
                    open(traffic, opened).map(|further| discard += further)
                }
                Ok(ConnectionState::EncodeTlsData(record)) => {
                    encode(record, &mut self.unsent);
                    if self.unsent.len() > MAX_UNSENT_BYTES {
                        return Err((TlsFailure::Unread, consumed + discard));
                    }
                    Ok(())
                }
                Ok(ConnectionState::TransmitTlsData(records)) => {
                    records.done();
                    Ok(())
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.peer_closed = true;
                    Ok(())
                }
                Ok(_) => {
                    // What follows a goodbye is nothing.
                    let done = if self.peer_closed { octets.len() } else { consumed + discard };
                    return self.note_progress().map(|()| done).map_err(|failure| (failure, done));
                }
                Err(error) => Err(error),
            };
            consumed += discard;
            step.map_err(|error| (TlsFailure::Protocol(error), consumed))?;
        }
    }

    /// The session waits for more, or for something to say. The handshake may be done.
    fn note_progress(&mut self) -> Result<(), TlsFailure> {
        if !self.is_handshaking() || self.session.is_handshaking() {
            return Ok(());
        }
        if let Some([certificate, ..]) = self.session.peer_certificates() {
            let subject = client_identity::subject_of(certificate).ok_or(TlsFailure::BadSubject)?;
            self.client_identity = Some(subject.into());
        }
        self.stage = Stage::Open;
        Ok(())
    }

    /// What the session wants to tell its peer of a failure. It is asked for no more than that: it would look at `rest`
    /// again, which it has failed on.
    fn take_alert(&mut self, rest: &mut [u8]) {
        loop {
            let UnbufferedStatus { state, .. } = self.session.process_tls_records(rest);
            let Ok(ConnectionState::EncodeTlsData(record)) = state else { return };
            let begins_at = self.unsent.len();
            encode(record, &mut self.unsent);
            if self.unsent.get(begins_at).is_some_and(|kind| RECORDS_THAT_END.contains(kind)) {
                return;
            }
        }
    }

    /// Seals `octets` and writes them, as long as the socket takes everything. What was sealed counts as written: it is kept
    /// until the socket takes it, and until then nothing more is accepted.
    pub(crate) fn write(&mut self, octets: &[u8], sealed: &mut [u8]) -> io::Result<Written> {
        let mut written = Written::default();
        if self.stage == Stage::Failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        while self.stage == Stage::Open && self.is_flushed() && written.accepted < octets.len() {
            let rest = &octets[written.accepted..];
            let piece = &rest[..rest.len().min(PIECE_BYTES)];
            let length = self.seal(Saying::Octets(piece), sealed)?;
            written.accepted += piece.len();
            written.sent += self.send(&sealed[..length])?;
        }
        Ok(written)
    }

    /// Has the session make records in `sealed`; gives their length. It is shown what is kept, which it may have begun to
    /// read: with anything else it would not find its way back.
    fn seal(&mut self, saying: Saying<'_>, sealed: &mut [u8]) -> io::Result<usize> {
        let mut length = 0;
        loop {
            let UnbufferedStatus { state, .. } = self.session.process_tls_records(&mut self.incoming);
            match state.map_err(io::Error::other)? {
                ConnectionState::EncodeTlsData(mut record) => {
                    length += record.encode(&mut sealed[length..]).map_err(io::Error::other)?;
                }
                ConnectionState::TransmitTlsData(records) => records.done(),
                ConnectionState::PeerClosed => {}
                ConnectionState::WriteTraffic(mut traffic) => {
                    let sealed = &mut sealed[length..];
                    let count = match saying {
                        Saying::Octets(octets) => traffic.encrypt(octets, sealed),
                        Saying::Goodbye => traffic.queue_close_notify(sealed),
                    };
                    return count.map(|count| length + count).map_err(io::Error::other);
                }
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    /// Hands records to the socket, and keeps what it does not take.
    fn send(&mut self, records: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < records.len() {
            match write_once(&mut self.socket, &records[sent..])? {
                0 => break,
                count => sent += count,
            }
        }
        self.unsent.extend_from_slice(&records[sent..]);
        Ok(sent)
    }

    /// Writes what is kept. Gives the bytes that the socket took.
    pub(crate) fn flush(&mut self) -> io::Result<usize> {
        let unsent = std::mem::take(&mut self.unsent);
        self.send(&unsent)
    }

    /// Says in plain what a client that speaks no TLS understands.
    pub(crate) fn say_in_plain(&mut self, octets: &[u8]) {
        self.unsent.extend_from_slice(octets);
    }

    /// Says that nothing comes any more (RFC 8446 §6.1), and writes it with what is kept.
    pub(crate) fn say_goodbye(&mut self) -> io::Result<()> {
        if self.stage == Stage::Open && !self.said_goodbye {
            self.said_goodbye = true;
            let mut sealed = [0; 256];
            let length = self.seal(Saying::Goodbye, &mut sealed)?;
            self.unsent.extend_from_slice(&sealed[..length]);
        }
        self.flush().map(|_| ())
    }
}

/// How many whole records `octets` begin with, whatever is in them (RFC 8446 §5.1). Of what is no TLS it is any number.
fn whole_records(octets: &[u8]) -> usize {
    let mut rest = octets;
    let mut count = 0;
    while let Some(([_, _, _, length @ ..], behind)) = rest.split_first_chunk::<5>() {
        let Some(next) = behind.get(usize::from(u16::from_be_bytes(*length))..) else { break };
        rest = next;
        count += 1;
    }
    count
}

/// Puts what records hold behind one another. Gives how many more octets of them are done with.
fn open<Data>(mut traffic: ReadTraffic<'_, '_, Data>, opened: &mut Vec<u8>) -> Result<usize, Error> {
    let mut further = 0;
    while let Some(record) = traffic.next_record() {
        let AppDataRecord { discard, payload, .. } = record?;
        opened.extend_from_slice(payload);
        further += discard;
    }
    Ok(further)
}

/// Puts a record of the session's own behind what is to be sent.
fn encode<Data>(mut record: EncodeTlsData<'_, Data>, unsent: &mut Vec<u8>) {
    let length = unsent.len();
    if let Err(EncodeError::InsufficientSize(needed)) = record.encode(&mut []) {
        unsent.resize(length + needed.required_size, 0);
        record.encode(&mut unsent[length..]).expect("there is as much room as it said");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread;

    use rustls::crypto::aws_lc_rs;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;
    use crate::config::{Certificates, TlsConfig};
    use crate::tls::Tls;

    /// What a client says first.
    fn hello() -> Vec<u8> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        hello
    }

    /// A stream that has not sent so many bytes, and the other end of its socket.
    fn stream_with_unsent(bytes: usize) -> (TlsStream, std::net::TcpStream) {
        let config = TlsConfig { certificates: Certificates::SelfSigned, clients: None };
        let tls = Tls::load(config, &["tls://127.0.0.1:1".parse().unwrap()]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let mut stream = tls.accept(TcpStream::from_std(socket)).unwrap();
        stream.unsent = vec![0; bytes];
        (stream, client)
    }

    /// Has a stream read what its client says; how many whole records there were.
    fn records_in(stream: &mut TlsStream, client: &mut std::net::TcpStream, said: &[u8]) -> usize {
        client.write_all(said).unwrap();
        loop {
            match stream.read(&mut vec![0; 65536], &mut Vec::new(), 65536) {
                Arrival::Nothing => thread::yield_now(),
                Arrival::Bytes(Received { taken, records, .. }) if taken == said.len() => return records,
                other => panic!("{other:?}"),
            }
        }
    }

    /// What a session that has not sent so many bytes makes of its client's first words.
    fn failure_with_unsent(bytes: usize) -> Option<TlsFailure> {
        let (mut stream, mut client) = stream_with_unsent(bytes);
        records_in(&mut stream, &mut client, &hello());
        stream.failure
    }

    #[test]
    fn records_are_counted_once_when_they_are_whole() {
        const RECORD: [u8; 7] = [22, 3, 1, 0, 2, 1, 0];
        for (octets, expected) in [
            (&[][..], 0),
            (&RECORD[..4], 0),
            (&RECORD[..6], 0),
            (&RECORD, 1),
            (&RECORD.repeat(3), 3),
            (&RECORD.repeat(3)[..20], 2),
            (&[23, 3, 3, 0, 0, 23, 3, 3, 0, 0], 2),
        ] {
            assert_eq!(whole_records(octets), expected, "{octets:?}");
        }
        let (mut stream, mut client) = stream_with_unsent(0);
        let hello = hello();
        let (beginning, rest) = hello.split_at(hello.len() / 2);
        assert_eq!(records_in(&mut stream, &mut client, beginning), 0);
        assert_eq!(records_in(&mut stream, &mut client, rest), 1);
    }

    #[test]
    fn what_tls_itself_has_to_say_to_a_client_that_does_not_read_ends_at_a_bound() {
        assert_eq!(failure_with_unsent(0), None);
        assert_eq!(failure_with_unsent(MAX_UNSENT_BYTES), Some(TlsFailure::Unread));
    }
}
