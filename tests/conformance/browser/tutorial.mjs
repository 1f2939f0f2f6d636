// The chat page that every WebSocket tutorial ends with, a form and a div that know nothing of Fanwire, on a
// raw topic: in two windows, from a web server that is not the broker.
//
//     node tutorial.mjs BINARY OUT

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { Broker } from "./broker.mjs";
import { launch, openWindow, PHONE, screenshot } from "./window.mjs";

const TIMEOUT_MS = 10_000;
const [binary, out] = process.argv.slice(2);

const html = await readFile(new URL("tutorial.html", import.meta.url), "utf8");
const server = http.createServer((_request, response) => {
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.end(html.replace("BROKER", `127.0.0.1:${broker.port}`));
});
await once(server.listen(0, "127.0.0.1"), "listening");
const origin = `http://127.0.0.1:${server.address().port}`;
const broker = await Broker.start(
  binary, path.join(out, "browser-tutorial.broker.log"), "--allow-origin", origin,
);
const browser = await launch();

async function open() {
  const page = await openWindow(browser, `${origin}/`, PHONE, TIMEOUT_MS);
  await page.waitForFunction(() => document.title === "connected");
  return page;
}

async function send(page, line) {
  await page.fill("input", line);
  await page.click("button");
}

/** Waits until the page shows these lines, the newest on top, and no others. */
async function shows(page, lines) {
  await page.waitForFunction((count) => document.querySelectorAll("#lines div").length >= count, lines.length);
  assert.deepEqual(await page.$$eval("#lines div", (divs) => divs.map((div) => div.textContent)), lines);
}

const one = await open();
const two = await open();
await send(one, "hello");
await shows(one, ["hello"]);
await shows(two, ["hello"]);
await send(two, "<i>hello</i> to you ☃");
await shows(one, ["<i>hello</i> to you ☃", "hello"]);
await shows(two, ["<i>hello</i> to you ☃", "hello"]);
await screenshot(one, out, "tutorial");
console.log("ok  both windows show what either sends");

await broker.stop();
for (const page of [one, two]) await page.waitForFunction(() => document.title === "closed 1012 true");
console.log("ok  a stopping broker closes with 1012");

await browser.close();
console.log("2 steps ok");
process.exit(0);
