//! Notifications as events of an event stream.

use fanwire_wire::event_stream::write_event;

use crate::notifications::{Fields, json_of, notified};
use crate::page::vectors;

/// What the events of the page are of this epoch.
const EPOCH: &str = "177a0ec9cc5b2d4c";

#[test]
fn every_event_is_written_byte_for_byte_as_the_page_has_it() {
    for vector in vectors("text event") {
        for case in vector.trim_end().split("\n\n") {
            let (quoted, event) = case.split_once('\n').expect("a notification and its event");
            let text: String =
                serde_json::from_str(quoted).unwrap_or_else(|error| panic!("{quoted}: {error}"));
            let fields: Fields<'_> =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let written = notified(&fields, |notification| {
                assert_eq!(json_of(notification), text);
                let mut out = Vec::new();
                write_event(&mut out, notification.reaches().map(|offset| (EPOCH, offset)), text.as_bytes());
                String::from_utf8(out).expect("an event is UTF-8")
            });
            assert_eq!(written.expect("every field"), format!("{event}\n\n"));
        }
    }
}
