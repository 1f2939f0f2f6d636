"""The scenario that all clients here go through, with Python's `websockets`.

    websockets_client.py ORIGIN          # ws://HOST:PORT, or wss://HOST:PORT

One thread does it all. The library's other client reads and writes in two, and OpenSSL, to which CPython hands both at once,
is not made for that: about one connection in a thousand sent what nobody could decrypt, or nothing.
"""

import asyncio
import base64
import contextlib
import json
import sys
import time

from websockets.asyncio.client import connect

TIMEOUT_S = 10
CLOCK_TOLERANCE_MS = 600_000
TOPIC = "clients.websockets"
WRONG_EPOCH = "0000000000000000"


# Closes what a failed step leaves open.
connections = contextlib.AsyncExitStack()


def equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


async def open_socket(origin, path, *subprotocols):
    return await connections.enter_async_context(
        connect(f"{origin}{path}", subprotocols=subprotocols or None, proxy=None))


async def receive(socket):
    return await asyncio.wait_for(socket.recv(), TIMEOUT_S)


class Session:
    """A connection to the JSON interface. Notifications of a type keep their order; those that nobody
    has asked for yet wait."""

    @classmethod
    async def open(cls, origin):
        self = cls()
        self.socket = await open_socket(origin, "/v1/ws", "fanwire.v1.json")
        equal(self.socket.subprotocol, "fanwire.v1.json", "subprotocol")
        equal([type(e).__name__ for e in self.socket.protocol.extensions], ["PerMessageDeflate"], "extensions")
        self.waiting = []
        self.epoch = (await self.expect("welcome"))["epoch"]
        return self

    async def send(self, **command):
        await self.socket.send(json.dumps(command))

    async def expect(self, kind, **fields):
        """The next notification of this type, which must have these fields."""
        notification = await self.next_of(kind)
        for name, wanted in fields.items():
            equal(notification.get(name), wanted, f"{name} of {notification}")
        return notification

    async def next_of(self, kind):
        for i, notification in enumerate(self.waiting):
            if notification["type"] == kind:
                return self.waiting.pop(i)
        while True:
            notification = json.loads(await receive(self.socket))
            if notification["type"] == kind:
                return notification
            self.waiting.append(notification)

    async def publish(self, id, data, offset, **fields):
        await self.send(type="publish", id=id, topic=TOPIC, data=data, **fields)
        await self.expect("published", id=id, topic=TOPIC, epoch=self.epoch, offset=offset)

    async def close(self):
        """Leaves cleanly, with nothing unexpected left behind."""
        await self.send(type="ping", id="last")
        await self.expect("pong", id="last")
        equal(self.waiting, [], "notifications that nobody asked for")
        await close(self.socket)


async def close(socket):
    await socket.close(1000, "done")
    equal(socket.protocol.close_rcvd.code, 1000, "close code")
    equal(socket.protocol.close_rcvd_then_sent, False, "the broker closed first")


async def publish_and_subscribe(origin):
    """Returns the epoch, and the offset at which the topic started."""
    session = await Session.open(origin)
    await session.send(type="subscribe", id=1, topic=TOPIC)
    start = (await session.expect("subscribed", id=1, topic=TOPIC, epoch=session.epoch))["offset"]
    await session.publish("two", {"n": 1, "text": "grüße ☃"}, start + 1, key="k1")
    message = await session.expect("message", topic=TOPIC, offset=start + 1, key="k1", data={"n": 1, "text": "grüße ☃"})
    if abs(message["time"] - time.time() * 1000) > CLOCK_TOLERANCE_MS:
        raise AssertionError(f"time {message['time']} is not now, in milliseconds")
    await session.publish(3, "not for me", start + 2, echo=False)
    await session.publish(4, "fan" * 2000, start + 3)
    await session.expect("message", offset=start + 3, data="fan" * 2000)
    await session.close()
    return session.epoch, start


async def recover(origin, epoch, start):
    publisher = await Session.open(origin)
    await publisher.publish(1, "☃", start + 4)
    await publisher.publish(2, base64.b64encode(b"\x00\x01\xff").decode(), start + 5, encoding="base64")
    await publisher.publish(3, [1, 2, 3], start + 6)

    session = await Session.open(origin)
    await session.send(type="subscribe", id=1, topic=TOPIC, since={"epoch": epoch, "offset": start + 3})
    await session.expect("subscribed", id=1, topic=TOPIC, epoch=epoch, offset=start + 3, recovered=True)
    await session.expect("message", offset=start + 4, data="☃", encoding=None)
    await session.expect("message", offset=start + 5, data="AAH/", encoding="base64")
    await session.expect("message", offset=start + 6, data=[1, 2, 3])
    await publisher.publish(4, "live", start + 7)
    await session.expect("message", offset=start + 7, data="live")
    await publisher.close()
    await session.close()


async def recover_from_another_epoch(origin, start):
    session = await Session.open(origin)
    await session.send(type="subscribe", id=1, topic=TOPIC, since={"epoch": WRONG_EPOCH, "offset": start + 3})
    await session.expect("subscribed", id=1, topic=TOPIC, epoch=session.epoch, recovered=False)
    for offset in range(start + 1, start + 8):
        await session.expect("message", offset=offset)
    await session.send(type="unsubscribe", id=2, topic=TOPIC)
    await session.expect("unsubscribed", id=2, topic=TOPIC)
    await session.close()


async def raw(origin, epoch):
    path = f"/topics/{TOPIC}.raw"
    one = await open_socket(origin, path, "fanwire.v1.raw")
    equal(one.subprotocol, "fanwire.v1.raw", "subprotocol")
    equal(one.response.headers["Fanwire-Epoch"], epoch, "Fanwire-Epoch")
    two = await open_socket(origin, path)
    for payload in ("hello ☃", b"\x00\x01\xff", "raw" * 2000):
        await one.send(payload)
        equal(await receive(one), payload, "echo")
        equal(await receive(two), payload, "what the other got")
    late = await open_socket(origin, path + "?since=earliest")
    for payload in ("hello ☃", b"\x00\x01\xff", "raw" * 2000):
        equal(await receive(late), payload, "history")
    for socket in (one, two, late):
        await close(socket)


async def main():
    origin = sys.argv[1]
    async with connections:
        epoch, start = await publish_and_subscribe(origin)
        print("ok  publish and subscribe, then a clean close")
        await recover(origin, epoch, start)
        print("ok  recover exactly what was missed")
        await recover_from_another_epoch(origin, start)
        print("ok  another epoch is not recovered")
        await raw(origin, epoch)
        print("ok  raw: publish, subscribe, catch up, close")
    print("4 steps ok")


asyncio.run(main())
