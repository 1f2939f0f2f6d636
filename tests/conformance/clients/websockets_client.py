"""The client scenario of tests/conformance/README.md with Python's `websockets`.

    websockets_client.py ORIGIN          # ws://HOST:PORT, or wss://HOST:PORT
"""

import base64
import contextlib
import json
import sys
import time

from websockets.sync.client import connect

TIMEOUT_S = 10
CLOCK_TOLERANCE_MS = 600_000
TOPIC = "clients.websockets"
WRONG_EPOCH = "0000000000000000"


# Closes what a failed step leaves open.
connections = contextlib.ExitStack()


def equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


def open_socket(origin, path, *subprotocols):
    return connections.enter_context(
        connect(f"{origin}{path}", subprotocols=subprotocols or None, proxy=None))


class Session:
    """A connection to the JSON interface. Notifications of a type keep their order; those that nobody
    has asked for yet wait."""

    def __init__(self, origin):
        self.socket = open_socket(origin, "/v1/ws", "fanwire.v1.json")
        equal(self.socket.subprotocol, "fanwire.v1.json", "subprotocol")
        equal([type(e).__name__ for e in self.socket.protocol.extensions], ["PerMessageDeflate"], "extensions")
        self.waiting = []
        self.epoch = self.expect("welcome")["epoch"]

    def send(self, **command):
        self.socket.send(json.dumps(command))

    def expect(self, kind, **fields):
        """The next notification of this type, which must have these fields."""
        notification = self.next_of(kind)
        for name, wanted in fields.items():
            equal(notification.get(name), wanted, f"{name} of {notification}")
        return notification

    def next_of(self, kind):
        for i, notification in enumerate(self.waiting):
            if notification["type"] == kind:
                return self.waiting.pop(i)
        while True:
            notification = json.loads(self.socket.recv(timeout=TIMEOUT_S))
            if notification["type"] == kind:
                return notification
            self.waiting.append(notification)

    def publish(self, id, data, offset, **fields):
        self.send(type="publish", id=id, topic=TOPIC, data=data, **fields)
        self.expect("published", id=id, topic=TOPIC, epoch=self.epoch, offset=offset)

    def close(self):
        """Leaves cleanly, with nothing unexpected left behind."""
        self.send(type="ping", id="last")
        self.expect("pong", id="last")
        equal(self.waiting, [], "notifications that nobody asked for")
        close(self.socket)


def close(socket):
    socket.close(1000, "done")
    equal(socket.protocol.close_rcvd.code, 1000, "close code")
    equal(socket.protocol.close_rcvd_then_sent, False, "the broker closed first")


def publish_and_subscribe(origin):
    """Returns the epoch, and the offset at which the topic started."""
    session = Session(origin)
    session.send(type="subscribe", id=1, topic=TOPIC)
    start = session.expect("subscribed", id=1, topic=TOPIC, epoch=session.epoch)["offset"]
    session.publish("two", {"n": 1, "text": "grüße ☃"}, start + 1, key="k1")
    message = session.expect("message", topic=TOPIC, offset=start + 1, key="k1", data={"n": 1, "text": "grüße ☃"})
    if abs(message["time"] - time.time() * 1000) > CLOCK_TOLERANCE_MS:
        raise AssertionError(f"time {message['time']} is not now, in milliseconds")
    session.publish(3, "not for me", start + 2, echo=False)
    session.publish(4, "fan" * 2000, start + 3)
    session.expect("message", offset=start + 3, data="fan" * 2000)
    session.close()
    return session.epoch, start


def recover(origin, epoch, start):
    publisher = Session(origin)
    publisher.publish(1, "☃", start + 4)
    publisher.publish(2, base64.b64encode(b"\x00\x01\xff").decode(), start + 5, encoding="base64")
    publisher.publish(3, [1, 2, 3], start + 6)

    session = Session(origin)
    session.send(type="subscribe", id=1, topic=TOPIC, since={"epoch": epoch, "offset": start + 3})
    session.expect("subscribed", id=1, topic=TOPIC, epoch=epoch, offset=start + 3, recovered=True)
    session.expect("message", offset=start + 4, data="☃", encoding=None)
    session.expect("message", offset=start + 5, data="AAH/", encoding="base64")
    session.expect("message", offset=start + 6, data=[1, 2, 3])
    publisher.publish(4, "live", start + 7)
    session.expect("message", offset=start + 7, data="live")
    publisher.close()
    session.close()


def recover_from_another_epoch(origin, start):
    session = Session(origin)
    session.send(type="subscribe", id=1, topic=TOPIC, since={"epoch": WRONG_EPOCH, "offset": start + 3})
    session.expect("subscribed", id=1, topic=TOPIC, epoch=session.epoch, recovered=False)
    for offset in range(start + 1, start + 8):
        session.expect("message", offset=offset)
    session.send(type="unsubscribe", id=2, topic=TOPIC)
    session.expect("unsubscribed", id=2, topic=TOPIC)
    session.close()


def raw(origin, epoch):
    path = f"/topics/{TOPIC}.raw"
    one = open_socket(origin, path, "fanwire.v1.raw")
    equal(one.subprotocol, "fanwire.v1.raw", "subprotocol")
    equal(one.response.headers["Fanwire-Epoch"], epoch, "Fanwire-Epoch")
    two = open_socket(origin, path)
    for payload in ("hello ☃", b"\x00\x01\xff", "raw" * 2000):
        one.send(payload)
        equal(one.recv(timeout=TIMEOUT_S), payload, "echo")
        equal(two.recv(timeout=TIMEOUT_S), payload, "what the other got")
    late = open_socket(origin, path + "?since=earliest")
    for payload in ("hello ☃", b"\x00\x01\xff", "raw" * 2000):
        equal(late.recv(timeout=TIMEOUT_S), payload, "history")
    for socket in (one, two, late):
        close(socket)


def main():
    origin = sys.argv[1]
    epoch, start = publish_and_subscribe(origin)
    print("ok  publish and subscribe, then a clean close")
    recover(origin, epoch, start)
    print("ok  recover exactly what was missed")
    recover_from_another_epoch(origin, start)
    print("ok  another epoch is not recovered")
    raw(origin, epoch)
    print("ok  raw: publish, subscribe, catch up, close")
    print("4 steps ok")


with connections:
    main()
