//! Subscribers over plain HTTP: polls and event streams.

use super::*;

const EPOCH: &str = "408af32edea2c65b";

fn long_poller() -> Subscriber {
    subscriber("longpoll", Protocol::Raw, &["a.b"])
}

fn short_poller() -> Subscriber {
    subscriber("poll:1s", Protocol::FanwireJson, &["a.b"])
}

fn event_source() -> Subscriber {
    subscriber("sse", Protocol::Raw, &["a.b"])
}

/// An answer of Fanwire that nothing is new.
fn nothing_new(offset: u64) -> String {
    format!(
        "HTTP/1.1 204 No Content\r\nFanwire-Epoch: {EPOCH}\r\nFanwire-Offset: {offset}\r\nETag: \"{EPOCH}:{offset}\"\r\n\
         Cache-Control: no-store\r\nFanwire-Recovered: true\r\nConnection: keep-alive\r\n\r\n"
    )
}

/// An answer with these notifications.
fn news(offset: u64, notifications: &[&str]) -> String {
    let body = format!("[{}]\n", notifications.join(",\n"));
    format!(
        "HTTP/1.1 200 OK\r\nFanwire-Epoch: {EPOCH}\r\nFanwire-Offset: {offset}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: keep-alive\r\n\r\n{body}",
        body.len()
    )
}

fn message(offset: u64, text: &str) -> String {
    format!(r#"{{"type":"message","topic":"a.b","offset":{offset},"time":1795300114346,"data":"{text}"}}"#)
}

/// The request lines that a client wrote.
fn asked(out: &[u8]) -> Vec<&str> {
    let text = str::from_utf8(out).unwrap();
    let requests = text.split_inclusive("\r\n\r\n");
    requests
        .map(|request| {
            assert!(request.ends_with("\r\nHost: 127.0.0.1:8080\r\n\r\n"), "{request}");
            request.split_once(" HTTP/1.1\r\n").unwrap().0
        })
        .collect()
}

/// A poller after these answers.
fn after(mut poller: Subscriber, answers: &[&str]) -> Result<Subscriber, ConversationError> {
    first_words(&mut poller);
    for answer in answers {
        poller.read(&mut answer.as_bytes().to_vec(), &mut Vec::new(), &mut |_| ())?;
    }
    Ok(poller)
}

#[test]
fn a_long_poller_learns_its_position_and_then_asks_again_after_each_answer() {
    let one = message(42, "one");
    let gap = r#"{"type":"gap","topic":"a.b","from":43,"to":45,"count":3}"#;
    let two = message(46, "two");
    let server = [nothing_new(41), news(42, &[&one]), nothing_new(42), news(46, &[gap, &two])].concat();
    assert_eq!(asked(first_words(&mut long_poller()).as_bytes()), ["GET /topics/a.b?last=0"]);
    let outcome = talk_in_pieces(long_poller, server.as_bytes());
    assert_eq!(outcome.heard, [payload("one"), Noted::Gap(3), payload("two")]);
    let expected = [41, 42, 42, 46].map(|offset| format!("GET /topics/a.b?since={EPOCH}:{offset}&wait=30s"));
    assert_eq!(asked(&outcome.out), expected);
    assert_eq!((outcome.is_ready, outcome.error), (true, None));
}

#[test]
fn a_short_poller_asks_at_once_behind_an_answer_that_may_not_be_all() {
    let small = news(42, &[&message(42, "one")]);
    let large = news(43, &[&message(43, &"x".repeat(17_000))]);
    let outcome = talk_in_pieces(short_poller, nothing_new(41).as_bytes());
    assert!(outcome.out.is_empty());
    let mut poller = after(short_poller(), &[&nothing_new(41)]).unwrap();
    for (answer, offset) in [(small, None), (large, Some(43)), (nothing_new(43), None)] {
        let mut out = Vec::new();
        poller.ask(&mut Vec::new());
        poller.read(&mut answer.into_bytes(), &mut out, &mut |_| ()).unwrap();
        let expected = offset.map(|offset| format!("GET /topics/a.b?since={EPOCH}:{offset}"));
        assert_eq!(asked(&out), expected.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_short_poller_asks_when_it_is_told_to_and_never_twice_at_once() {
    let mut poller = short_poller();
    let mut out = Vec::new();
    assert!(!poller.ask(&mut out), "nothing was begun");
    poller.begin(&mut out);
    assert!(!poller.ask(&mut out), "the position is not known");
    out.clear();
    poller.read(&mut nothing_new(7).into_bytes(), &mut out, &mut |_| ()).unwrap();
    assert!(poller.is_ready() && out.is_empty());

    assert!(poller.ask(&mut out));
    let asked_once = out.clone();
    assert!(!poller.ask(&mut out), "the last poll was not answered");
    assert_eq!(out, asked_once);
    assert_eq!(asked(&out), [format!("GET /topics/a.b?since={EPOCH}:7")]);

    let mut heard = 0;
    let mut answer = news(9, &[&message(8, "one"), &message(9, "two")]).into_bytes();
    let (begin, end) = answer.split_at_mut(100);
    out.clear();
    poller.read(begin, &mut out, &mut |_| heard += 1).unwrap();
    assert!(!poller.ask(&mut out), "the answer is not whole");
    poller.read(end, &mut out, &mut |_| heard += 1).unwrap();
    assert_eq!(heard, 2);
    assert!(poller.ask(&mut out));
    assert_eq!(asked(&out), [format!("GET /topics/a.b?since={EPOCH}:9")]);
}

#[test]
fn others_are_never_told_to_ask() {
    for mut other in [long_poller(), event_source(), subscriber("ws", Protocol::Raw, &["a"])] {
        first_words(&mut other);
        assert!(!other.ask(&mut Vec::new()));
    }
    let mut ready = after(long_poller(), &[&nothing_new(1)]).unwrap();
    assert!(!ready.ask(&mut Vec::new()));
}

#[test]
fn what_was_published_before_the_first_answer_is_not_heard() {
    // A broker that answers with the latest message.
    let latest = format!(
        "HTTP/1.1 200 OK\r\nFanwire-Epoch: {EPOCH}\r\nFanwire-Offset: 4\r\nContent-Length: 3\r\n\r\nold"
    );
    let outcome = talk_in_pieces(long_poller, latest.as_bytes());
    assert_eq!((outcome.heard, outcome.is_ready, outcome.error), (vec![], true, None));
    assert_eq!(asked(&outcome.out), [format!("GET /topics/a.b?since={EPOCH}:4&wait=30s")]);
}

#[test]
fn a_poll_that_is_refused_is_told_with_what_the_server_says() {
    let refusal = "HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlate\r\n1\r\nr\r\n0\r\n\r\n";
    let server = [&nothing_new(1), refusal].concat();
    let outcome = talk_in_pieces(long_poller, server.as_bytes());
    let refused = ConversationError::Refused { status: 503, said: "later".to_owned() };
    assert_eq!(outcome.error, Some(refused));

    let unfinished = after(long_poller(), &["HTTP/1.1 404 Not Found\r\n\r\nnot here"]).unwrap();
    assert_eq!(unfinished.end(), ConversationError::Refused { status: 404, said: "not here".to_owned() });
}

#[test]
fn a_server_that_polls_make_no_sense_with_is_told_as_such() {
    let plain = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(after(long_poller(), &[plain]).unwrap_err(), ConversationError::NoPosition);
    let injected = nothing_new(1).replace(EPOCH, "a&wait=0s");
    assert_eq!(after(long_poller(), &[&injected]).unwrap_err(), ConversationError::NoPosition);
    let closing = nothing_new(1).replace("keep-alive", "close");
    assert_eq!(after(long_poller(), &[&closing]).unwrap_err(), ConversationError::NotKeptAlive);
    let http10 = nothing_new(1).replace("HTTP/1.1", "HTTP/1.0").replace("keep-alive", "x");
    assert_eq!(after(long_poller(), &[&http10]).unwrap_err(), ConversationError::NotKeptAlive);
    let endless = format!("HTTP/1.1 200 OK\r\nFanwire-Epoch: {EPOCH}\r\nFanwire-Offset: 4\r\n\r\n[]");
    assert_eq!(after(long_poller(), &[&endless]).unwrap().end(), ConversationError::NotKeptAlive);
    let unasked = [nothing_new(1), nothing_new(2)].concat();
    assert_eq!(after(short_poller(), &[&unasked]).unwrap_err(), BadResponse::Unasked.into());
    let switching = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    let refused = ConversationError::Refused { status: 101, said: String::new() };
    assert_eq!(after(long_poller(), &[switching]).unwrap_err(), refused);
    let not_json = news(2, &["nope"]);
    let error = after(long_poller(), &[&nothing_new(1), &not_json]).unwrap_err();
    assert!(matches!(error, ConversationError::Nonsense { .. }), "{error}");
}

#[test]
fn what_an_answer_has_is_heard_although_it_is_the_last() {
    let server = [nothing_new(1), news(2, &[&message(2, "last")]).replace("keep-alive", "close")].concat();
    let outcome = talk_in_pieces(long_poller, server.as_bytes());
    assert_eq!(
        (outcome.heard, outcome.error),
        (vec![payload("last")], Some(ConversationError::NotKeptAlive))
    );
}

#[test]
fn a_body_is_bounded() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nFanwire-Epoch: {EPOCH}\r\nFanwire-Offset: 4\r\nContent-Length: 99999999\r\n\r\n"
    );
    let mut poller = after(long_poller(), &[&nothing_new(1), &answer]).unwrap();
    let mut room = vec![b' '; MAX_MESSAGE_BYTES];
    poller.read(&mut room, &mut Vec::new(), &mut |_| ()).unwrap();
    let error = poller.read(&mut [b' '], &mut Vec::new(), &mut |_| ()).unwrap_err();
    assert_eq!(error, BadResponse::BodyTooLarge.into());

    let mut source =
        after(event_source(), &["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"]).unwrap();
    source.read(&mut room, &mut Vec::new(), &mut |_| ()).unwrap();
    let error = source.read(&mut [b' '], &mut Vec::new(), &mut |_| ()).unwrap_err();
    assert_eq!(error, BadResponse::BodyTooLarge.into());
}

#[test]
fn heads_of_a_kaazing_poll_have_871_octets() {
    let mut peer = peer("poll:1s", Protocol::Raw);
    peer.headers = HeaderProfile::Kaazing;
    let mut poller = Subscriber::new(&peer, &topics(&["a.b"]), 1);
    let mut out = Vec::new();
    poller.begin(&mut out);
    // Before an answer was measured, the usual one is expected.
    assert_eq!(out.len() + nothing_new(1).len(), 871);
    for offset in [1, 22, 333, 9_007_199_254_740_991] {
        out.clear();
        let answer = nothing_new(offset);
        poller.read(&mut answer.clone().into_bytes(), &mut out, &mut |_| ()).unwrap();
        assert!(poller.ask(&mut out));
        assert_eq!(out.len() + answer.len(), 871);
    }
    assert!(str::from_utf8(&out).unwrap().contains("\r\nCookie: c=000"));

    // Heads that are larger already are left as they are.
    let large = nothing_new(1).replace("ETag", &"X".repeat(900));
    out.clear();
    poller.read(&mut large.into_bytes(), &mut out, &mut |_| ()).unwrap();
    assert!(poller.ask(&mut out));
    assert!(!str::from_utf8(&out).unwrap().contains("Cookie"));
}

#[test]
fn a_browsers_poll_is_a_request_of_chromium() {
    let mut peer = peer("longpoll", Protocol::Raw);
    peer.headers = HeaderProfile::Browser;
    let request = first_words(&mut Subscriber::new(&peer, &topics(&["a.b"]), 1));
    let fields: Vec<_> = request.lines().skip(1).filter_map(|line| line.split(':').next()).collect();
    let expected = "Host Connection Pragma Cache-Control User-Agent Accept sec-ch-ua-platform sec-ch-ua \
                    sec-ch-ua-mobile Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-Dest Accept-Encoding Accept-Language Referer";
    assert_eq!(fields[..fields.len() - 1], expected.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn http_goes_where_the_web_socket_of_a_topic_is_or_to_fanwires_own_path() {
    let mut peer = peer("longpoll", Protocol::Raw);
    for (path, target) in [
        ("/feed/{topic}/raw?token=x", "GET /feed/a.b/raw?token=x&last=0"),
        ("/v1/ws", "GET /topics/a.b?last=0"),
    ] {
        peer.path = path.to_owned();
        let request = first_words(&mut Subscriber::new(&peer, &topics(&["a.b"]), 1));
        assert_eq!(asked(request.as_bytes()), [target]);
    }
}

/// A stream of Fanwire, with these line ends.
fn stream(line_end: &str) -> String {
    let lines = [
        "\u{feff}data: {\"type\":\"subscribed\",\"topic\":\"a.b\",\"offset\":3}",
        &format!("id: {EPOCH}:3"),
        "",
        ":",
        "",
        "event: message",
        "retry: 1000",
        "data:{\"type\":\"message\",",
        "data: \"data\":\"one\"}",
        "dataset: 7",
        "data",
        "",
        "id: an event without data is none",
        "",
        &format!("data: {}", message(5, "two")),
        "",
        r#"data: {"type":"gap","topic":"a.b","from":6,"to":7,"count":2}"#,
        "",
        "data: this event does not end",
    ];
    lines.map(|line| format!("{line}{line_end}")).concat()
}

fn chunked(body: &str) -> String {
    let pieces = body.as_bytes().chunks(11).map(|piece| str::from_utf8(piece).unwrap());
    pieces.map(|piece| format!("{:x};x\r\n{piece}\r\n", piece.len())).collect::<Vec<_>>().concat()
}

#[test]
fn events_are_heard_whatever_their_lines_end_with() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream ; charset=utf-8\r\nConnection: close\r\n";
    for line_end in ["\n", "\r\n", "\r"] {
        let server = format!("{head}\r\n{}", stream(line_end));
        let outcome = talk_in_pieces(event_source, server.as_bytes());
        assert_eq!(outcome.heard, [payload("one"), payload("two"), Noted::Gap(2)], "{line_end:?}");
        assert_eq!((outcome.is_ready, outcome.error), (true, None), "{line_end:?}");
    }
    let body = stream("\r\n").replace('\u{feff}', "");
    let server = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunked(&body));
    let outcome = talk_in_pieces(event_source, server.as_bytes());
    assert_eq!(outcome.heard, [payload("one"), payload("two"), Noted::Gap(2)], "in chunks");
}

#[test]
fn an_event_stream_is_asked_for_and_ready_with_its_first_event() {
    let request = first_words(&mut event_source());
    assert_eq!(
        request,
        "GET /topics/a.b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: text/event-stream\r\n\r\n"
    );
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    assert!(!talk(event_source(), [head.as_bytes()]).is_ready);
    let early = format!("{head}data: {}\n\n", message(1, "one"));
    assert!(!talk(event_source(), [early.as_bytes()]).is_ready);
    let subscribed = format!("{head}data: {{\"type\":\"subscribed\",\"topic\":\"a.b\"}}\n\n");
    assert!(talk(event_source(), [subscribed.as_bytes()]).is_ready);
}

#[test]
fn the_end_of_a_stream_is_told_with_the_brokers_last_comment() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let source = after(event_source(), &[head, ":\n\n"]).unwrap();
    assert_eq!(source.end(), ConversationError::Ended { ready: false });
    let source = after(event_source(), &[head, ": the broker is stopping\n\n:\n\n"]).unwrap();
    let reason = "the broker is stopping".to_owned();
    assert_eq!(source.end(), ConversationError::Closed { code: None, reason });
    let finished = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(after(event_source(), &[finished]).unwrap_err(), ConversationError::Ended { ready: false });
}

#[test]
fn what_is_no_event_stream_is_told_as_such() {
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi";
    let content_type = "text/html".to_owned();
    let outcome = talk_in_pieces(event_source, page.as_bytes());
    assert_eq!(outcome.error, Some(ConversationError::NoEventStream { content_type }));

    let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\nbad topic";
    let outcome = talk_in_pieces(event_source, refusal.as_bytes());
    let said = "bad topic".to_owned();
    assert_eq!(outcome.error, Some(ConversationError::Refused { status: 400, said }));
}

#[test]
fn subscribers_over_http_are_idle_between_answers_and_between_events() {
    let answers = [nothing_new(41), news(43, &[&message(42, "one"), &message(43, "two")]), nothing_new(43)];
    for poller in [long_poller(), short_poller()] {
        assert_idle_between(poller, &answers.clone().map(String::into_bytes));
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let events = [
        format!("{head}event: subscribed\ndata: {{\"type\":\"subscribed\"}}\n\n"),
        format!("id: 42\ndata: {}\n\n", message(42, "one")),
        ": heartbeat\n\n".to_owned(),
    ];
    // Behind the head alone, no event has begun.
    let [subscribed, others @ ..] = events.map(String::into_bytes);
    let mut source = event_source();
    first_words(&mut source);
    source.read(&mut subscribed.clone(), &mut Vec::new(), &mut |_| ()).unwrap();
    assert!(source.is_idle());
    for octet in others.concat() {
        let was_idle = source.is_idle();
        source.read(&mut [octet], &mut Vec::new(), &mut |_| ()).unwrap();
        assert!(!was_idle || !source.is_idle(), "no event has one octet");
    }
    assert!(source.is_idle());
}
