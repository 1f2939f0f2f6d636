// The demo chat in two windows of Chromium, each behind a network of its own that is cut in three ways, and
// through a restart of the broker. Whatever happens, each message is in each window once, in order.
//
//     node chat.mjs BINARY OUT

import path from "node:path";
import { Broker } from "./broker.mjs";
import { Network } from "./network.mjs";
import { Chat, DESK, launch, PHONE, screenshot } from "./window.mjs";

// Long enough for a page that waits between attempts to come back.
const TIMEOUT_MS = 40_000;
const [binary, out] = process.argv.slice(2);

const broker = await Broker.start(binary, path.join(out, "browser-chat.broker.log"));
const browser = await launch();
const alice = await Chat.join(browser, await Network.to(broker.port), "alice", PHONE, TIMEOUT_MS);
const bob = await Chat.join(browser, await Network.to(broker.port), "bob", DESK, TIMEOUT_MS);
const said = new Map([alice, bob].map((chat) => [chat, []]));
let restarts = 0;

/** The chat's person says these, now. */
async function say(chat, ...texts) {
  said.get(chat).push(...texts);
  await chat.say(...texts);
}

/**
 * Both see everything that was said, once and in order. What each says last is seen by the other before
 * the lists are compared, so a message that comes twice has come by then.
 */
async function nothingIsLostOrDoubled(when) {
  await Promise.all([alice.isOnline(), bob.isOnline()]);
  await Promise.all([alice.hasSentAll(), bob.hasSentAll()]);
  await say(alice, `alice, ${when}`);
  await say(bob, `bob, ${when}`);
  await Promise.all([alice.sees(`bob, ${when}`), bob.sees(`alice, ${when}`)]);
  await Promise.all([alice.hasSentAll(), bob.hasSentAll()]);
  for (const [author, texts] of said) {
    await alice.has(author.name, texts, restarts);
    await bob.has(author.name, texts, restarts);
  }
  console.log(`ok  ${when}`);
}

async function talk() {
  await say(alice, "hello from alice");
  await bob.sees("hello from alice");
  await say(bob, "hello from bob", "<b>not bold</b> & ☃");
  await alice.sees("<b>not bold</b> & ☃");
  await screenshot(alice.page, out, "chat-alice");
  await screenshot(bob.page, out, "chat-bob");
  await nothingIsLostOrDoubled("after both joined");
}

async function networkBreaks() {
  await alice.network.cut();
  await alice.isNotOnline();
  await say(bob, "alice is away 1", "alice is away 2", "alice is away 3");
  await say(alice, "said without a network 1", "said without a network 2");
  await screenshot(alice.page, out, "chat-alice-without-network");
  await alice.network.restore();
  await alice.sees("alice is away 3");
  await bob.sees("said without a network 2");
  await nothingIsLostOrDoubled("after the network was cut");
}

async function networkGoesSilent() {
  alice.network.lose("up", "down");
  await say(alice, "said into the silence 1", "said into the silence 2");
  await say(bob, "said to nobody 1", "said to nobody 2");
  await bob.hasSentAll();
  await alice.network.restore();
  await alice.sees("said to nobody 2");
  await bob.sees("said into the silence 2");
  await nothingIsLostOrDoubled("after the network was silent");
}

/** What alice says is published, and she does not hear that it was: when she is back, it must not be said twice. */
async function receiptsAreLost() {
  alice.network.lose("down");
  await say(alice, "did you hear me? 1", "did you hear me? 2");
  await bob.sees("did you hear me? 2");
  await say(bob, "I did");
  await bob.hasSentAll();
  await alice.network.restore();
  await alice.sees("I did");
  await nothingIsLostOrDoubled("after receipts were lost");
}

async function brokerRestarts() {
  await broker.stop();
  await Promise.all([alice.isNotOnline(), bob.isNotOnline()]);
  await say(alice, "said without a broker 1", "said without a broker 2");
  await broker.resume();
  restarts += 1;
  await Promise.all([alice.notices(/restart/i), bob.notices(/restart/i)]);
  await bob.sees("said without a broker 2");
  await nothingIsLostOrDoubled("after the broker was restarted");
  await screenshot(alice.page, out, "chat-alice-after-restart");
  await screenshot(bob.page, out, "chat-bob-after-restart");
}

await talk();
await networkBreaks();
await networkGoesSilent();
await receiptsAreLost();
await brokerRestarts();
await browser.close();
await broker.stop();
console.log("5 steps ok");
process.exit(0);
