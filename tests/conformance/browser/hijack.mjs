// Cross-site hijacking: a page of somebody else, in a browser that has the broker's cookie, asks in every way that a
// page can. It gets nothing, and nothing that it says is published; the broker's own page does both.
//
//     node hijack.mjs BINARY OUT

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { Broker } from "./broker.mjs";
import { DESK, launch, openWindow } from "./window.mjs";

const TIMEOUT_MS = 10_000;
const [binary, out] = process.argv.slice(2);

const config = path.join(out, "browser-hijack.toml");
writeFileSync(config, `
[auth]
cookie = "session"
keys = [{ algorithm = "HS256", secret = "thirty-two octets that only this test knows" }]
`);
const grants = ["--subject", "victim", "--subscribe", ">", "--publish", ">"];
const token = execFileSync(binary, ["token", "--config", config, ...grants], { encoding: "utf8" }).trim();
const broker = await Broker.start(binary, path.join(out, "browser-hijack.broker.log"), "--config", config);

/** Every way in which a page can ask: each says what it got, or that it got nothing. */
function tries(host) {
  const nothing = "nothing";
  const webSocket = (path, protocols) => new Promise((done) => {
    const socket = new WebSocket(`ws://${host}${path}`, protocols);
    socket.onopen = () => { socket.send("stolen"); done("open"); };
    socket.onerror = () => done(nothing);
  });
  const events = () => new Promise((done) => {
    const source = new EventSource(`http://${host}/topics/secret`, { withCredentials: true });
    source.onopen = () => done("open");
    source.onerror = () => done(nothing);
  });
  const request = (options, path = "/topics/secret") =>
    fetch(`http://${host}${path}`, { credentials: "include", ...options })
      .then(async (response) => (response.ok ? await response.text() : nothing), () => nothing);
  // For what a page embeds, a browser says no origin.
  const embed = (tag, path) => new Promise((done) => {
    const element = document.createElement(tag);
    element.onload = () => done(tag);
    element.onerror = () => done(nothing);
    element.src = `http://${host}${path}`;
    document.documentElement.append(element);
  });
  const batch = JSON.stringify({ messages: [{ topic: "secret", data: "stolen" }] });
  return Promise.all([
    webSocket("/v1/ws", "fanwire.v1.json"),
    webSocket("/v1/ws", "fanwire.v1.binary"),
    webSocket("/topics/secret", []),
    events(),
    request({}),
    request({ mode: "no-cors" }),
    request({ mode: "no-cors" }, "/topics/secret?since=earliest"),
    request({ method: "POST", body: "stolen" }),
    request({ method: "POST", body: "stolen", mode: "no-cors" }),
    request({ method: "POST", body: batch, mode: "no-cors" }, "/v1/publish"),
    request({ method: "POST", body: "stolen", headers: { "Fanwire-Key": "k" } }),
    request({ method: "POST", body: new URLSearchParams({ a: "stolen" }), mode: "no-cors" }),
    embed("script", "/topics/script"),
    embed("img", "/topics/picture"),
  ]);
}

/** The topic's latest message, as its owner sees it. */
async function secret() {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(`http://127.0.0.1:${broker.port}/topics/secret`, { headers });
  return `${response.headers.get("fanwire-offset")} ${await response.text()}`;
}

const SECRETS = [
  ["secret", "text/plain", "a secret"],
  ["script", "text/javascript", "globalThis.stolen = 'a secret'"],
  ["picture", "image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'],
];
for (const [topic, type, body] of SECRETS) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": type };
  const url = `http://127.0.0.1:${broker.port}/topics/${topic}`;
  assert.equal((await fetch(url, { method: "POST", body, headers })).status, 200);
}

const server = http.createServer((_request, response) => {
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.end(`<form method="post" enctype="text/plain" action="http://127.0.0.1:${broker.port}/topics/secret">
    <input name="stolen" value="1"></form>`);
});
await once(server.listen(0, "127.0.0.1"), "listening");
const browser = await launch();

async function openWithCookie(url) {
  const page = await openWindow(browser, url, DESK, TIMEOUT_MS);
  // Ports are no part of a cookie's site: a browser sends it along for both pages, whatever SameSite says.
  await page.context().addCookies([{ name: "session", value: token, domain: "127.0.0.1", path: "/" }]);
  return page;
}

const strange = await openWithCookie(`http://127.0.0.1:${server.address().port}/`);
const stolen = await strange.evaluate(tries, `127.0.0.1:${broker.port}`);
assert.deepEqual(stolen, stolen.map(() => "nothing"));
assert.equal(await secret(), "1 a secret");
console.log(`ok  a page of another origin gets nothing in ${stolen.length} ways, and publishes nothing`);

const [answer] = await Promise.all([
  strange.waitForResponse((response) => response.request().method() === "POST"),
  strange.evaluate(() => document.forms[0].submit()),
]);
assert.equal(answer.status(), 403);
assert.equal(await secret(), "1 a secret");
console.log("ok  nor with a form");

const own = await openWithCookie(`http://127.0.0.1:${broker.port}/healthz`);
const got = await own.evaluate(tries, `127.0.0.1:${broker.port}`);
assert.ok(!got.includes("nothing"), `${got}`);
console.log("ok  the broker's own page, with the same cookie, does all of it");

await browser.close();
server.close();
await broker.stop();
console.log("3 steps ok");
process.exit(0);
