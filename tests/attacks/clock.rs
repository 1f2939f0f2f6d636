//! The wall clock set back and forward under a broker. What a message says of its time and what a token says of its own go
//! by that clock; everything else goes by one that nobody sets.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::process::{Process, any_port, temporary};
use crate::support::{Attacker, next_text, web_socket, while_others_are_served};

const DAY_S: i64 = 24 * 3600;
const YEAR_S: i64 = 365 * DAY_S;

const SECRET: &str = "a secret that only this drill knows";

type Client = WebSocket<std::net::TcpStream>;

/// A broker with a wall clock of its own.
struct Displaced {
    process: Process,
    /// The seconds that it is off by.
    offset: PathBuf,
}

impl Displaced {
    /// With a key, though who has no token may do everything; and with a history whose messages become too old.
    fn start() -> Self {
        let displaced = Self::at(temporary("offset"));
        displaced.set(0);
        displaced
    }

    fn at(offset: PathBuf) -> Self {
        fs::write(&offset, 0_i64.to_ne_bytes()).expect("the file is written");
        let library = temporary("so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attacks/wall_clock.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
        assert!(compiled.expect("a C compiler, as the broker's cryptography needs").success());
        let mut command = Command::new("env");
        command.env("LD_PRELOAD", &library).env("WALL_CLOCK", &offset);
        let config = format!(
            "[auth]\nkeys = [{{ algorithm = \"HS256\", secret = \"{SECRET}\" }}]\n\
             anonymous = {{ subscribe = [\">\"], publish = [\">\"] }}\n\
             [[topics]]\nmatch = \"kept\"\nhistory = {{ messages = 100, max_age = \"10m\" }}\n"
        );
        Self { process: Process::start_by(command, any_port(), &config), offset }
    }

    /// Sets the clock: from here on it is so many seconds off.
    fn set(&self, offset_s: i64) {
        let file = fs::File::options().write(true).open(&self.offset).expect("it is there");
        std::os::unix::fs::FileExt::write_all_at(&file, &offset_s.to_ne_bytes(), 0).expect("it is written");
    }

    /// A client of the JSON interface, or the status that it is refused with.
    fn connect(&self, token: &str) -> Result<Client, u16> {
        let mut request = format!("ws://{}/v1/ws", self.process.address).into_client_request().unwrap();
        request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().unwrap());
        match tungstenite::client(request, Attacker::connect(self.process.address).0) {
            Ok((mut client, _)) => {
                assert_eq!(heard(&mut client)["type"], "welcome");
                Ok(client)
            }
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs().cast_signed()
}

/// A token that holds in these seconds from now, by a clock that is right.
fn token(from_s: i64, to_s: i64) -> String {
    let claims = json!({"sub":"alice","nbf":now_s() + from_s,"exp":now_s() + to_s,
        "fanwire":{"subscribe":[">"],"publish":[">"]}});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

fn heard(client: &mut Client) -> Value {
    serde_json::from_str(&next_text(client)).expect("JSON")
}

/// What a command is answered.
fn ask(client: &mut Client, command: &Value) -> Value {
    client.send(Message::text(command.to_string())).expect("the broker reads");
    heard(client)
}

/// Publishes to `kept`; gives the message as a subscriber hears it.
fn publish(client: &mut Client) -> Value {
    let told = ask(client, &json!({"type":"publish","id":1,"topic":"kept","data":"x"}));
    assert_eq!(told["type"], "published", "{told}");
    heard(client)
}

#[test]
fn a_wall_clock_that_is_set_moves_the_times_of_messages_and_nothing_else() {
    let broker = Displaced::start();
    let mut client = broker.connect(&token(-DAY_S, DAY_S)).unwrap();
    let subscribe = json!({"type":"subscribe","id":1,"topic":"kept"});
    let epoch = ask(&mut client, &subscribe)["epoch"].clone();
    // Who says nothing meanwhile, and is not taken for dead.
    let mut silent = web_socket(broker.process.address, "silent");
    while_others_are_served(broker.process.address, || {
        for (number, offset_s) in (1..).zip([0, YEAR_S, 0, -YEAR_S, -60 * YEAR_S, YEAR_S, -DAY_S, 0]) {
            broker.set(offset_s);
            let message = publish(&mut client);
            assert_eq!(message["offset"], number);
            let time_s = message["time"].as_i64().expect("a time") / 1_000;
            let expected_s = (now_s() + offset_s).max(0);
            assert!((expected_s - 60..=expected_s).contains(&time_s), "{time_s}, not {expected_s}");
            // What was published is held, however old the clock says it is, and every position stays one.
            let since = json!({"epoch":epoch,"offset":0});
            let told = ask(&mut client, &json!({"type":"recover","id":2,"topic":"kept","since":since}));
            assert_eq!(told["recovered"], true, "{told}");
            (1..=number).for_each(|offset| assert_eq!(heard(&mut client)["offset"], offset));
        }
    });
    silent.send(Message::text("still there")).expect("the broker reads");
    assert_eq!(next_text(&mut silent), "still there");
    assert!(broker.process.stop().success());
}

#[test]
fn a_token_is_measured_by_the_clock_when_it_comes_and_by_none_that_is_set_while_it_holds() {
    let broker = Displaced::start();
    let token = token(-3_600, 3_600);
    let mut client = broker.connect(&token).unwrap();
    for (offset_s, expected) in [(DAY_S, Some(401)), (-DAY_S, Some(401)), (0, None)] {
        broker.set(offset_s);
        assert_eq!(broker.connect(&token).err(), expected, "with the clock off by {offset_s} s");
        assert_eq!(ask(&mut client, &json!({"type":"ping","id":1}))["type"], "pong");
    }
}

#[test]
fn a_token_that_expires_does_so_though_the_clock_is_set_back() {
    /// What clocks may differ by.
    const LEEWAY_S: i64 = 5;
    let broker = Displaced::start();
    let mut client = broker.connect(&token(-DAY_S, 2 - LEEWAY_S)).unwrap();
    broker.set(-YEAR_S);
    assert_eq!(heard(&mut client)["type"], "expired");
    // And who comes now, with a token that the clock says has not begun, does not come in.
    assert_eq!(broker.connect(&token(-DAY_S, DAY_S)).err(), Some(401));
}
