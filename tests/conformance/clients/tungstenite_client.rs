//! The scenario that all clients here go through, with tungstenite.
//!
//! ```text
//! tungstenite_client HOST:PORT
//! ```

use std::collections::VecDeque;
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

type Anything = Box<dyn std::error::Error>;

const TIMEOUT: Duration = Duration::from_secs(10);
const CLOCK_TOLERANCE_MS: u128 = 600_000;
const TOPIC: &str = "clients.tungstenite";
const WRONG_EPOCH: &str = "0000000000000000";

fn main() -> Result<(), Anything> {
    let address = std::env::args().nth(1).ok_or("usage: tungstenite_client ws://HOST:PORT")?;
    let address = address.trim_start_matches("ws://").to_owned();
    let broker = Broker { address };
    let position = broker.publish_and_subscribe()?;
    println!("ok  publish and subscribe, then a clean close");
    broker.recover(&position)?;
    println!("ok  recover exactly what was missed");
    broker.recover_from_another_epoch(&position)?;
    println!("ok  another epoch is not recovered");
    broker.raw(&position)?;
    println!("ok  raw: publish, subscribe, catch up, close");
    println!("4 steps ok");
    Ok(())
}

/// The epoch, and the offset at which the topic started.
struct Position {
    epoch: String,
    start: u64,
}

struct Broker {
    address: String,
}

impl Broker {
    fn publish_and_subscribe(&self) -> Result<Position, Anything> {
        let mut session = self.open_session()?;
        let epoch = session.epoch.clone();
        session.send(&json!({"type": "subscribe", "id": 1, "topic": TOPIC}))?;
        let subscribed = session.expect("subscribed", &json!({"id": 1, "topic": TOPIC, "epoch": epoch}))?;
        let start = subscribed["offset"].as_u64().ok_or("an offset")?;

        let data = json!({"n": 1, "text": "grüße ☃"});
        session.publish(start + 1, json!({"id": "two", "key": "k1", "data": data}))?;
        let wanted = json!({"topic": TOPIC, "offset": start + 1, "key": "k1", "data": data});
        let message = session.expect("message", &wanted)?;
        let time_ms = u128::from(message["time"].as_u64().ok_or("a time")?);
        let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
        equal(&(now_ms.abs_diff(time_ms) < CLOCK_TOLERANCE_MS), &true, "the message's time is now")?;

        session.publish(start + 2, json!({"id": 3, "data": "not for me", "echo": false}))?;
        let long = "fan".repeat(2000);
        session.publish(start + 3, json!({"id": 4, "data": long}))?;
        session.expect("message", &json!({"offset": start + 3, "data": long}))?;
        session.leave()?;
        Ok(Position { epoch, start })
    }

    fn recover(&self, Position { epoch, start }: &Position) -> Result<(), Anything> {
        let mut publisher = self.open_session()?;
        publisher.publish(start + 4, json!({"id": 1, "data": "☃"}))?;
        publisher.publish(start + 5, json!({"id": 2, "data": "AAH/", "encoding": "base64"}))?;
        publisher.publish(start + 6, json!({"id": 3, "data": [1, 2, 3]}))?;

        let mut session = self.open_session()?;
        let since = json!({"epoch": epoch, "offset": start + 3});
        session.send(&json!({"type": "subscribe", "id": 1, "topic": TOPIC, "since": since}))?;
        let wanted = json!({"id": 1, "topic": TOPIC, "epoch": epoch, "offset": start + 3, "recovered": true});
        session.expect("subscribed", &wanted)?;
        session.expect("message", &json!({"offset": start + 4, "data": "☃", "encoding": null}))?;
        session.expect("message", &json!({"offset": start + 5, "data": "AAH/", "encoding": "base64"}))?;
        session.expect("message", &json!({"offset": start + 6, "data": [1, 2, 3]}))?;
        publisher.publish(start + 7, json!({"id": 4, "data": "live"}))?;
        session.expect("message", &json!({"offset": start + 7, "data": "live"}))?;
        publisher.leave()?;
        session.leave()
    }

    fn recover_from_another_epoch(&self, Position { epoch, start }: &Position) -> Result<(), Anything> {
        let mut session = self.open_session()?;
        let since = json!({"epoch": WRONG_EPOCH, "offset": start + 3});
        session.send(&json!({"type": "subscribe", "id": 1, "topic": TOPIC, "since": since}))?;
        session
            .expect("subscribed", &json!({"id": 1, "topic": TOPIC, "epoch": epoch, "recovered": false}))?;
        for offset in start + 1..=start + 7 {
            session.expect("message", &json!({"offset": offset}))?;
        }
        session.send(&json!({"type": "unsubscribe", "id": 2, "topic": TOPIC}))?;
        session.expect("unsubscribed", &json!({"id": 2, "topic": TOPIC}))?;
        session.leave()
    }

    fn raw(&self, Position { epoch, .. }: &Position) -> Result<(), Anything> {
        let path = format!("/topics/{TOPIC}.raw");
        let messages =
            [Message::text("hello ☃"), Message::binary(vec![0, 1, 255]), Message::text("raw".repeat(2000))];
        let mut one = self.connect(&path, Some("fanwire.v1.raw"))?;
        equal(&one.header("Fanwire-Epoch"), epoch, "Fanwire-Epoch")?;
        let mut two = self.connect(&path, None)?;
        for message in &messages {
            one.stream.send(message.clone())?;
            equal(&one.stream.read()?, message, "what came back")?;
            equal(&two.stream.read()?, message, "what the other got")?;
        }
        let mut late = self.connect(&format!("{path}?since=earliest"), None)?;
        for message in &messages {
            equal(&late.stream.read()?, message, "the history")?;
        }
        [one, two, late].into_iter().try_for_each(Connection::leave)
    }

    fn connect(&self, path: &str, protocol: Option<&'static str>) -> Result<Connection, Anything> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request()?;
        if let Some(protocol) = protocol {
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        let socket = TcpStream::connect(&self.address)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        let (stream, response) = tungstenite::client(request, socket)?;
        let connection = Connection { stream, headers: response.headers().clone() };
        equal(&connection.header("Sec-WebSocket-Protocol"), protocol.unwrap_or(""), "subprotocol")?;
        Ok(connection)
    }

    fn open_session(&self) -> Result<Session, Anything> {
        let connection = self.connect("/v1/ws", Some("fanwire.v1.json"))?;
        let mut session = Session { connection, waiting: VecDeque::new(), epoch: String::new() };
        let welcome = session.expect("welcome", &json!({}))?;
        welcome["epoch"].as_str().ok_or("an epoch")?.clone_into(&mut session.epoch);
        Ok(session)
    }
}

struct Connection {
    stream: WebSocket<TcpStream>,
    headers: tungstenite::http::HeaderMap,
}

impl Connection {
    /// A field of the handshake's response; empty when it is not there.
    fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or(String::new(), |value| String::from_utf8_lossy(value.as_bytes()).into())
    }

    /// Starts the close handshake; the next thing to come must be the broker's answer.
    fn leave(mut self) -> Result<(), Anything> {
        self.stream.close(Some(CloseFrame { code: CloseCode::Normal, reason: "done".into() }))?;
        let Message::Close(Some(answer)) = self.stream.read()? else {
            return Err("something else came instead of a close frame".into());
        };
        equal(&answer.code, &CloseCode::Normal, "close code")?;
        match self.stream.read() {
            Err(tungstenite::Error::ConnectionClosed) => Ok(()),
            other => Err(format!("the connection did not end after the close handshake: {other:?}").into()),
        }
    }
}

/// A connection to the JSON interface. Notifications of a type keep their order; those that nobody has asked
/// for yet wait.
struct Session {
    connection: Connection,
    waiting: VecDeque<Value>,
    epoch: String,
}

impl Session {
    fn send(&mut self, command: &Value) -> Result<(), Anything> {
        Ok(self.connection.stream.send(Message::text(command.to_string()))?)
    }

    /// The next notification of this type, which must have these fields (null: which it must not have).
    fn expect(&mut self, kind: &str, fields: &Value) -> Result<Value, Anything> {
        let notification = self.next(kind)?;
        for (name, wanted) in fields.as_object().into_iter().flatten() {
            equal(&notification[name], wanted, &format!("{name} of {notification}"))?;
        }
        Ok(notification)
    }

    fn next(&mut self, kind: &str) -> Result<Value, Anything> {
        let waits = self.waiting.iter().position(|notification| notification["type"] == kind);
        if let Some(notification) = waits.and_then(|at| self.waiting.remove(at)) {
            return Ok(notification);
        }
        loop {
            let notification: Value = serde_json::from_str(self.connection.stream.read()?.to_text()?)?;
            if notification["type"] == kind {
                return Ok(notification);
            }
            self.waiting.push_back(notification);
        }
    }

    fn publish(&mut self, offset: u64, mut command: Value) -> Result<(), Anything> {
        command["type"] = "publish".into();
        command["topic"] = TOPIC.into();
        self.send(&command)?;
        let wanted = json!({"id": command["id"], "topic": TOPIC, "epoch": self.epoch, "offset": offset});
        self.expect("published", &wanted).map(drop)
    }

    /// Closes cleanly, with nothing unexpected left behind.
    fn leave(mut self) -> Result<(), Anything> {
        self.send(&json!({"type": "ping", "id": "last"}))?;
        self.expect("pong", &json!({"id": "last"}))?;
        equal(&self.waiting, &VecDeque::new(), "notifications that nobody asked for")?;
        self.connection.leave()
    }
}

fn equal<T, U>(got: &T, wanted: &U, what: &str) -> Result<(), Anything>
where
    T: PartialEq<U> + std::fmt::Debug + ?Sized,
    U: std::fmt::Debug + ?Sized,
{
    if got == wanted { Ok(()) } else { Err(format!("{what}: got {got:?}, wanted {wanted:?}").into()) }
}
