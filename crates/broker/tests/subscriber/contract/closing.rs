//! What somebody is written who is closed, or has to go: all that is in front of the first hole, and nothing from behind it.

use fanwire_broker::shard::Event;
use fanwire_broker::{Backlog, Delivery, Interface, Shard, Start};
use fanwire_wire::close::CloseCode;
use fanwire_wire::topic::{Topic, TopicNumber};

use super::{begin_stream, block, flush, publish, shard, subscribe, text};
use crate::{SUBSCRIBER, say};

/// Lets the subscriber go that is too slow, as the server does. Everything that it is written.
fn let_go(shard: &mut Shard) -> Vec<u8> {
    let event = shard.poll_event();
    let Some(Event::SlowConsumer { connection: SUBSCRIBER, reason }) = event else { panic!("{event:?}") };
    shard.close(SUBSCRIBER, CloseCode::TRY_AGAIN_LATER, &reason, Backlog::Drop);
    shard.handle_writable(SUBSCRIBER);
    flush(shard, usize::MAX)
}

#[test]
fn a_close_that_keeps_the_backlog_sends_all_of_it_first() {
    let mut shard = shard(Interface::Raw, 100_000);
    subscribe(&mut shard, "news");
    (1..=5).for_each(|n| publish(&mut shard, "news", n, 100));
    shard.close(SUBSCRIBER, CloseCode::GOING_AWAY, "", Backlog::Keep);
    let written = flush(&mut shard, 150);
    assert_eq!(written.len(), 5 * 102 + 4);
    assert_eq!(written[5 * 102], 0x88);
}

#[test]
fn a_close_that_keeps_what_fits_keeps_nothing_from_behind_what_does_not() {
    let mut shard = shard(Interface::Raw, 800);
    subscribe(&mut shard, "news");
    (1..=4).for_each(|n| publish(&mut shard, "news", n, 400));
    publish(&mut shard, "news", 5, 1);
    shard.close(SUBSCRIBER, CloseCode::GOING_AWAY, "", Backlog::Keep);
    let written = flush(&mut shard, 100);
    assert_eq!(written.len(), 2 * 404 + 4, "3 and 4 had no room");
    assert_eq!(written[2 * 404], 0x88);
}

#[test]
fn nothing_but_the_close_frame_comes_from_behind_what_does_not_fit() {
    let mut shard = shard(Interface::Json, 800);
    say(&mut shard, r#"{"type":"subscribe","topic":"news"}"#);
    flush(&mut shard, usize::MAX);
    (b'1'..=b'4').for_each(|n| publish(&mut shard, "news", n, 400));
    say(&mut shard, r#"{"type":"unsubscribe","id":1,"topic":"news"}"#);
    say(&mut shard, r#"{"type":"subscribe","id":2,"topic":"news"}"#);
    shard.close(SUBSCRIBER, CloseCode::GOING_AWAY, "", Backlog::Keep);
    let written = flush(&mut shard, 100);
    let heard = text(&written);
    assert_eq!(heard.matches(r#""type":"message""#).count(), 2, "{heard}");
    assert!(!heard.contains("subscribed"), "a position behind 3 and 4: {heard}");
    assert_eq!(written[written.len() - 4..][..2], [0x88, 2]);
}

#[test]
fn a_connection_that_has_to_go_reads_no_more_history() {
    let mut shard = shard(Interface::Json, 500);
    say(&mut shard, r#"{"type":"subscribe","topic":"kept.a"}"#);
    say(&mut shard, r#"{"type":"subscribe","topic":"strict.a"}"#);
    flush(&mut shard, usize::MAX);
    publish(&mut shard, "kept.a", b'1', 400);
    block(&mut shard);
    (b'2'..=b'6').for_each(|n| publish(&mut shard, "kept.a", n, 400));
    assert!(shard.poll_flush().is_none());
    shard.handle_writable(SUBSCRIBER);
    (b'1'..=b'2').for_each(|n| publish(&mut shard, "strict.a", n, 400));
    assert!(shard.poll_flush().is_none(), "it is told of a gap with nothing in front of it");
    assert!(matches!(shard.poll_event(), Some(Event::SlowConsumer { .. })));
}

#[test]
fn who_has_to_go_is_not_answered_from_behind_the_hole() {
    let mut shard = shard(Interface::Json, 800);
    say(&mut shard, r#"{"type":"subscribe","topic":"strict.a"}"#);
    flush(&mut shard, usize::MAX);
    (b'1'..=b'4').for_each(|n| publish(&mut shard, "strict.a", n, 400));
    say(&mut shard, r#"{"type":"unsubscribe","id":1,"topic":"strict.a"}"#);
    assert_eq!(shard.poll_flush(), Some(SUBSCRIBER));
    shard.wrote(SUBSCRIBER, 0);
    assert!(matches!(shard.poll_event(), Some(Event::SlowConsumer { .. })));
    shard.close(SUBSCRIBER, CloseCode::TRY_AGAIN_LATER, "", Backlog::Keep);
    shard.handle_writable(SUBSCRIBER);
    let heard = text(&flush(&mut shard, usize::MAX));
    assert!(!heard.contains("unsubscribed"), "{heard}");
}

#[test]
fn who_has_to_go_before_its_head_was_written_gets_the_head_first() {
    let mut shard = shard(Interface::EventStream, 500);
    begin_stream(&mut shard, "strict.a", Start::Now);
    block(&mut shard);
    (0..4).for_each(|_| publish(&mut shard, "strict.a", b'1', 300));
    assert!(shard.poll_flush().is_none());
    let heard = text(&let_go(&mut shard));
    assert!(
        heard.starts_with("head\nid: epoch:0\n") && heard.contains("\n: too slow for strict.a"),
        "{heard}"
    );
    assert!(!heard.contains("message"), "a message of what was let go: {heard}");
}

#[test]
fn who_has_to_go_with_its_head_in_the_palette_gets_the_head_first() {
    let mut shard = shard(Interface::Raw, 500);
    subscribe(&mut shard, "news");
    shard.reply(SUBSCRIBER, b"head\n");
    publish(&mut shard, "news", b'1', 1);
    shard.handle_delivery(
        0,
        Delivery::Lost { topic: Topic::parse("news").unwrap(), number: TopicNumber::MIN, offsets: (2, 2) },
    );
    let heard = let_go(&mut shard);
    assert_eq!(text(&heard[..5]), "head\n");
    assert_eq!(heard[5], 0x88, "nothing but the close frame behind it");
}

#[test]
fn an_event_stream_ends_behind_what_it_was_given_with_the_reason() {
    let mut shard = shard(Interface::EventStream, 100_000);
    subscribe(&mut shard, "news");
    publish(&mut shard, "news", b'1', 1);
    shard.close(SUBSCRIBER, CloseCode::GOING_AWAY, "the broker is stopping", Backlog::Keep);
    publish(&mut shard, "news", b'2', 1);
    let heard = text(&flush(&mut shard, 7));
    assert!(
        heard.starts_with("id: epoch:1\n") && heard.ends_with("}\n\n: the broker is stopping\n\n"),
        "{heard}"
    );
    assert_eq!(heard.matches("data").count(), 2, "the field, and the name within: {heard}");
}

#[test]
fn at_the_shutdown_a_full_queue_loses_nothing_that_it_holds() {
    let mut shard = shard(Interface::Raw, 1_000);
    subscribe(&mut shard, "kept.a");
    publish(&mut shard, "kept.a", 1, 300);
    block(&mut shard);
    publish(&mut shard, "kept.a", 2, 300);
    shard.stop();
    publish(&mut shard, "kept.a", 3, 600);
    assert!(shard.is_stopped());
    shard.close(SUBSCRIBER, CloseCode::GOING_AWAY, "", Backlog::Keep);
    shard.handle_writable(SUBSCRIBER);
    let written = flush(&mut shard, usize::MAX);
    assert_eq!(written.len(), 2 * 304 + 4, "1, 2 and the close frame");
}
