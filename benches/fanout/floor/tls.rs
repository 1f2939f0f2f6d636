//! The least that TLS adds: a record around what is sent, made in one buffer for all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};

/// What a connection speaks.
pub(super) struct Session {
    session: UnbufferedServerConnection,
    /// What came and is not whole.
    incoming: Vec<u8>,
}

/// What the floor shows of itself: a certificate and its key, or nothing.
pub(super) fn config(files: &[PathBuf]) -> Option<Arc<ServerConfig>> {
    let [cert, key]: &[PathBuf; 2] = files.try_into().ok()?;
    let (cert, key): (&Path, &Path) = (cert, key);
    let certificate = CertificateDer::from_pem_file(cert).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(key).expect("its key");
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("the provider has them");
    let mut config =
        builder.with_no_client_auth().with_single_cert(vec![certificate], key).expect("they fit");
    config.send_tls13_tickets = 0;
    Some(Arc::new(config))
}

impl Session {
    pub(super) fn new(config: &Arc<ServerConfig>) -> Self {
        let session = UnbufferedServerConnection::new(Arc::clone(config)).expect("a configuration");
        Self { session, incoming: Vec::new() }
    }

    /// What the client says by `octets`, and what it is to be sent for it.
    pub(super) fn receive(&mut self, octets: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut heard, mut answer) = (Vec::new(), Vec::new());
        self.incoming.extend_from_slice(octets);
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.session.process_tls_records(&mut self.incoming);
            let is_done = match state.expect("the client speaks TLS") {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.expect("it was opened");
                        heard.extend_from_slice(record.payload);
                        discard += record.discard;
                    }
                    false
                }
                ConnectionState::EncodeTlsData(record) => {
                    encode(record, &mut answer);
                    false
                }
                ConnectionState::TransmitTlsData(records) => {
                    records.done();
                    false
                }
                _ => true,
            };
            self.incoming.drain(..discard);
            if is_done {
                return (heard, answer);
            }
        }
    }

    /// Makes records of `octets`; gives their length.
    pub(super) fn seal(&mut self, octets: &[u8], sealed: &mut Vec<u8>) -> usize {
        // A header, a type and a tag for each 16 KiB.
        sealed.resize(sealed.len().max(octets.len() + 22 * (1 + octets.len() / 16_384)), 0);
        let UnbufferedStatus { state, .. } = self.session.process_tls_records(&mut self.incoming);
        match state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                traffic.encrypt(octets, sealed).expect("there is room")
            }
            other => panic!("nothing can be said now: {other:?}"),
        }
    }
}

fn encode<Data>(mut record: EncodeTlsData<'_, Data>, into: &mut Vec<u8>) {
    let length = into.len();
    if let Err(EncodeError::InsufficientSize(needed)) = record.encode(&mut []) {
        into.resize(length + needed.required_size, 0);
        record.encode(&mut into[length..]).expect("there is as much room as it said");
    }
}
