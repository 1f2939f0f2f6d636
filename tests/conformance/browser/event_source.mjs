// A browser's own EventSource on a topic, behind a network that is cut and that goes silent, and through a restart of
// the broker. It comes back by itself; nothing is lost or doubled, and of the restart it is told.
//
//     node event_source.mjs BINARY OUT

import assert from "node:assert/strict";
import path from "node:path";
import { Broker } from "./broker.mjs";
import { Network } from "./network.mjs";
import { launch, openWindow, PHONE } from "./window.mjs";

// Long enough for an EventSource, which waits for seconds between attempts.
const TIMEOUT_MS = 40_000;
const TOPIC = "/topics/demo.events";
const [binary, out] = process.argv.slice(2);

const broker = await Broker.start(binary, path.join(out, "browser-event_source.broker.log"));
const network = await Network.to(broker.port);
const browser = await launch();
// The demo's index, for its origin: the broker lets no other in.
const page = await openWindow(browser, `http://127.0.0.1:${network.port}/`, PHONE, TIMEOUT_MS);
/** What was published since the broker was started, in order. */
let published = [];

async function publish(...values) {
  for (const value of values) {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify(value, null, 1);
    const response = await fetch(`http://127.0.0.1:${broker.port}${TOPIC}`, { method: "POST", headers, body });
    assert.equal(response.status, 200);
    published.push(value);
  }
}

/** What the page has heard since `forget`, as `{type, …, id}`. */
function heard() {
  return page.evaluate(() => window.heard);
}

function forget() {
  return page.evaluate(() => (window.heard = []));
}

/** Waits until the page's last event is the last that was published. */
function isLevel() {
  const last = JSON.stringify(published.at(-1));
  return page.waitForFunction((text) => JSON.stringify(window.heard.at(-1)?.data) === text, last);
}

/** Everything that was published is there once and in order, with the position that it leaves the client at. */
async function nothingIsLostOrDoubled(when) {
  await publish({ when });
  await isLevel();
  const events = await heard();
  const messages = events.filter((event) => event.type === "message");
  assert.deepEqual(messages.map((message) => message.data), published);
  assert.deepEqual(messages.map((message) => message.offset), published.map((_, index) => index + 1));
  const { epoch } = events.find((event) => event.type === "subscribed");
  for (const event of events) assert.equal(event.id, `${epoch}:${event.offset}`);
  console.log(`ok  ${when}`);
}

function receipts() {
  return page.evaluate(() => window.heard.filter((event) => event.type === "subscribed"));
}

await page.evaluate((topic) => {
  window.heard = [];
  window.source = new EventSource(topic);
  window.source.onmessage = ({ data, lastEventId }) => window.heard.push({ ...JSON.parse(data), id: lastEventId });
}, TOPIC);
await page.waitForFunction(() => window.heard.length === 1);
assert.equal((await receipts())[0].recovered, undefined);
await publish(1, "two\r\nlines", { three: [3, "☃"] }, null);
await nothingIsLostOrDoubled("while the network is there");

await network.cut();
await publish("away 1", "away 2", "away 3");
await network.restore();
await isLevel();
await nothingIsLostOrDoubled("after the network was cut");

network.lose("down");
await publish("into the silence 1", "into the silence 2");
await network.restore();
await isLevel();
await nothingIsLostOrDoubled("after the network was silent");
assert.deepEqual((await receipts()).map((receipt) => receipt.recovered), [undefined, true, true]);

await broker.stop();
await forget();
published = [];
await broker.resume();
await publish("from the next run");
await page.waitForFunction(() => window.heard.some((event) => event.type === "subscribed"));
assert.equal((await receipts())[0].recovered, false);
await nothingIsLostOrDoubled("after the broker was restarted, of which it was told");

await page.evaluate(() => window.source.close());
await browser.close();
await broker.stop();
console.log("4 steps ok");
process.exit(0);
