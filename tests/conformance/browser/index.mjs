// The page that the demo begins with, on a phone and on a desk: its forms talk to the broker, nothing of it
// stands out of the window, and what it tells people to type works.
//
//     node index.mjs BINARY OUT

import assert from "node:assert/strict";
import path from "node:path";
import { Broker } from "./broker.mjs";
import { DESK, launch, openWindow, PHONE, publishAsTold, screenshot } from "./window.mjs";

const TIMEOUT_MS = 10_000;
const [binary, out] = process.argv.slice(2);

const broker = await Broker.start(binary, path.join(out, "browser-index.broker.log"));
const browser = await launch();

/** Sends what the form holds, and waits for the answer. */
async function ask(page, service, answer) {
  const form = page.locator(`form[data-path="/demo/${service}"]`);
  await form.getByRole("button").click();
  await page.locator(`form[data-path="/demo/${service}"] + output`).getByText(answer).waitFor();
}

async function visit(name, viewport, origin = `http://127.0.0.1:${broker.port}`) {
  const page = await openWindow(browser, `${origin}/`, viewport, TIMEOUT_MS);
  await ask(page, "hello", "← Hello from server, John!");
  await ask(page, "echo", "← Is there anybody out there?");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is wider than the window");
  await screenshot(page, out, `index-${name}`);
  await ask(page, "hello", /closed: 1000/);
  await publishAsTold(page);
  console.log(`ok  the index on a ${name}`);
  return page;
}

await visit("phone", PHONE);
await visit("desk-over-tls", DESK, `https://127.0.0.1:${broker.tlsPort}`);
const page = await visit("desk", DESK);

await page.getByRole("link", { name: "Open the chat" }).click();
await page.waitForSelector("#join");
console.log("ok  it leads to the chat");

await browser.close();
await broker.stop();
console.log("4 steps ok");
process.exit(0);
