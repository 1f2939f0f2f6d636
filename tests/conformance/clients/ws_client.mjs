// The scenario that all clients here go through, with Node's `ws`.
//
//     node ws_client.mjs ORIGIN          # ws://HOST:PORT, or wss://HOST:PORT

import assert from "node:assert/strict";
import WebSocket from "ws";

const TIMEOUT_MS = 10_000;
const CLOCK_TOLERANCE_MS = 600_000;
const TOPIC = "clients.ws";
const WRONG_EPOCH = "0000000000000000";
const origin = process.argv[2];

/** A WebSocket whose messages are awaited one by one. */
class Socket {
  #received = [];
  #wake = () => {};

  static async open(path, protocols) {
    const socket = new Socket();
    socket.ws = new WebSocket(`${origin}${path}`, protocols);
    socket.ws.on("message", (data, isBinary) => {
      socket.#received.push(isBinary ? data : data.toString());
      socket.#wake();
    });
    socket.ws.on("upgrade", (response) => (socket.headers = response.headers));
    await within("open", (resolve, reject) => socket.ws.once("open", resolve).once("error", reject));
    return socket;
  }

  async receive() {
    while (this.#received.length === 0) {
      await within("message", (resolve) => (this.#wake = resolve));
    }
    return this.#received.shift();
  }

  send(payload) {
    this.ws.send(payload);
  }

  async close() {
    const closed = within("close", (resolve) =>
      this.ws.once("close", (code, reason) => resolve([code, reason.toString()])),
    );
    this.ws.close(1000, "done");
    const [code] = await closed;
    assert.equal(code, 1000, "close code");
    assert.deepEqual(this.#received, [], "messages that nobody asked for");
  }
}

/** A promise that fails when it takes too long. */
async function within(what, executor) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
  });
  try {
    return await Promise.race([new Promise(executor), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A connection to the JSON interface. Notifications of a type keep their order; those that nobody has
 * asked for yet wait.
 */
class Session {
  #waiting = [];

  static async open() {
    const session = new Session();
    session.socket = await Socket.open("/v1/ws", ["fanwire.v1.json"]);
    assert.equal(session.socket.ws.protocol, "fanwire.v1.json");
    assert.match(session.socket.ws.extensions, /permessage-deflate/);
    session.epoch = (await session.expect("welcome")).epoch;
    return session;
  }

  send(command) {
    this.socket.send(JSON.stringify(command));
  }

  /** The next notification of this type, which must have these fields. */
  async expect(type, fields = {}) {
    const notification = await this.#next(type);
    for (const [name, wanted] of Object.entries(fields)) {
      assert.deepEqual(notification[name], wanted, `${name} of ${JSON.stringify(notification)}`);
    }
    return notification;
  }

  async #next(type) {
    const at = this.#waiting.findIndex((notification) => notification.type === type);
    if (at >= 0) return this.#waiting.splice(at, 1)[0];
    for (;;) {
      const notification = JSON.parse(await this.socket.receive());
      if (notification.type === type) return notification;
      this.#waiting.push(notification);
    }
  }

  async publish(id, data, offset, fields = {}) {
    this.send({ type: "publish", id, topic: TOPIC, data, ...fields });
    await this.expect("published", { id, topic: TOPIC, epoch: this.epoch, offset });
  }

  /** Leaves cleanly, with nothing unexpected left behind. */
  async close() {
    this.send({ type: "ping", id: "last" });
    await this.expect("pong", { id: "last" });
    assert.deepEqual(this.#waiting, [], "notifications that nobody asked for");
    await this.socket.close();
  }
}

/** Returns the epoch, and the offset at which the topic started. */
async function publishAndSubscribe() {
  const session = await Session.open();
  const { epoch } = session;
  session.send({ type: "subscribe", id: 1, topic: TOPIC });
  const { offset: start } = await session.expect("subscribed", { id: 1, topic: TOPIC, epoch });
  const data = { n: 1, text: "grüße ☃" };
  await session.publish("two", data, start + 1, { key: "k1" });
  const message = await session.expect("message", { topic: TOPIC, offset: start + 1, key: "k1", data });
  assert.ok(Math.abs(message.time - Date.now()) < CLOCK_TOLERANCE_MS, `time ${message.time} is not now`);
  await session.publish(3, "not for me", start + 2, { echo: false });
  await session.publish(4, "fan".repeat(2000), start + 3);
  await session.expect("message", { offset: start + 3, data: "fan".repeat(2000) });
  await session.close();
  return { epoch, start };
}

async function recover({ epoch, start }) {
  const publisher = await Session.open();
  await publisher.publish(1, "☃", start + 4);
  await publisher.publish(2, "AAH/", start + 5, { encoding: "base64" });
  await publisher.publish(3, [1, 2, 3], start + 6);

  const session = await Session.open();
  session.send({ type: "subscribe", id: 1, topic: TOPIC, since: { epoch, offset: start + 3 } });
  await session.expect("subscribed", { id: 1, topic: TOPIC, epoch, offset: start + 3, recovered: true });
  await session.expect("message", { offset: start + 4, data: "☃", encoding: undefined });
  await session.expect("message", { offset: start + 5, data: "AAH/", encoding: "base64" });
  await session.expect("message", { offset: start + 6, data: [1, 2, 3] });
  await publisher.publish(4, "live", start + 7);
  await session.expect("message", { offset: start + 7, data: "live" });
  await publisher.close();
  await session.close();
}

async function recoverFromAnotherEpoch({ epoch, start }) {
  const session = await Session.open();
  const since = { epoch: WRONG_EPOCH, offset: start + 3 };
  session.send({ type: "subscribe", id: 1, topic: TOPIC, since });
  await session.expect("subscribed", { id: 1, topic: TOPIC, epoch, recovered: false });
  for (let offset = start + 1; offset <= start + 7; offset += 1) {
    await session.expect("message", { offset });
  }
  session.send({ type: "unsubscribe", id: 2, topic: TOPIC });
  await session.expect("unsubscribed", { id: 2, topic: TOPIC });
  await session.close();
}

async function raw({ epoch }) {
  const path = `/topics/${TOPIC}.raw`;
  const payloads = ["hello ☃", Buffer.from([0, 1, 255]), "raw".repeat(2000)];
  const one = await Socket.open(path, ["fanwire.v1.raw"]);
  assert.equal(one.ws.protocol, "fanwire.v1.raw");
  assert.equal(one.headers["fanwire-epoch"], epoch);
  const two = await Socket.open(path);
  for (const payload of payloads) {
    one.send(payload);
    assert.deepEqual(await one.receive(), payload);
    assert.deepEqual(await two.receive(), payload);
  }
  const late = await Socket.open(`${path}?since=earliest`);
  for (const payload of payloads) {
    assert.deepEqual(await late.receive(), payload);
  }
  for (const socket of [one, two, late]) await socket.close();
}

const position = await publishAndSubscribe();
console.log("ok  publish and subscribe, then a clean close");
await recover(position);
console.log("ok  recover exactly what was missed");
await recoverFromAnotherEpoch(position);
console.log("ok  another epoch is not recovered");
await raw(position);
console.log("ok  raw: publish, subscribe, catch up, close");
console.log("4 steps ok");
