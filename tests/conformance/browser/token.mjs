// The demo of a broker that asks for tokens: whoever has one talks, and whoever has none is told what to do.
//
//     node token.mjs BINARY OUT

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { Broker } from "./broker.mjs";
import { Chat, launch, openWindow, PHONE, publishAsTold, screenshot } from "./window.mjs";

const TIMEOUT_MS = 10_000;
const [binary, out] = process.argv.slice(2);

const config = path.join(out, "browser-token.toml");
const useSecret = (secret) =>
  writeFileSync(config, `[auth]\nkeys = [{ algorithm = "HS256", secret = "${secret}" }]\n`);
useSecret("thirty-two octets that only this test knows");
const mint = (...grants) =>
  execFileSync(binary, ["token", "--config", config, "--subject", "alice", ...grants], { encoding: "utf8" }).trim();
const token = mint("--subscribe", "chat.>", "--publish", "chat.>", "--publish", "prices.>");
const broker = await Broker.start(binary, path.join(out, "browser-token.broker.log"), "--config", config);
const index = `http://127.0.0.1:${broker.port}/`;
const page = `${index}demo/chat`;
const browser = await launch();

const alice = await Chat.enter(browser, `${page}#access_token=${token}`, "alice", PHONE, TIMEOUT_MS);
await alice.isOnline();
await alice.say("hello");
await alice.hasSentAll();
await alice.page.reload();
await alice.page.click("#join");
await alice.sees("hello");
console.log("ok  who has a token talks, and goes on when the page is loaded again");

const stranger = await Chat.enter(browser, page, "stranger", PHONE, TIMEOUT_MS);
await stranger.notices(/asks for a token/);
if ((await stranger.messages()).length > 0) throw new Error("whoever has no token sees what is said");
await screenshot(stranger.page, out, "chat-without-token");
await stranger.page.evaluate((fragment) => { location.hash = fragment; }, `access_token=${token}`);
await stranger.page.waitForURL(/access_token/);
await stranger.page.click("#join");
await stranger.sees("hello");
for (const [forged, answer] of [["x.y.z", /refuses the token \(the token /], ["Bearer x.y.z", /refuses the token: write another/]]) {
  const forger = await Chat.enter(browser, `${page}#access_token=${forged}`, "forger", PHONE, TIMEOUT_MS);
  await forger.notices(answer);
  if ((await forger.messages()).length > 0) throw new Error("whoever has a bad token sees what is said");
}
const elsewhere = await Chat.enter(browser, `${page}#access_token=${mint("--subscribe", "other")}`, "elsewhere", PHONE, TIMEOUT_MS);
await elsewhere.notices(/refused/);
await elsewhere.page.waitForSelector('#status[data-state="refused"]');
console.log("ok  who has none, or none that holds, is told so and sees nothing until there is one");

/** Opens the index behind this fragment, and sends what each of its forms holds; each is to be answered this. */
async function ask(fragment, answers) {
  const window = await openWindow(browser, index + fragment, PHONE, TIMEOUT_MS);
  for (const [service, answer] of Object.entries(answers)) {
    const form = `form[data-path="/demo/${service}"]`;
    await window.click(`${form} button`);
    await window.locator(`${form} + output`).getByText(answer).waitFor();
  }
  return window;
}

const isAsked = /asks for a token: write one behind this page's address/;
await screenshot(await ask("", { hello: isAsked, echo: isAsked }), out, "index-without-token");
await ask("#access_token=x.y.z", { hello: /refuses the token/, echo: /refuses the token/ });
const welcome = await ask(`#access_token=${token}`, { hello: "← Hello from server, John!", echo: "← Is there anybody" });
await publishAsTold(welcome);
await welcome.getByRole("link", { name: "Open the chat" }).click();
await welcome.fill("#name", "alice");
await welcome.click("#join");
await welcome.locator("#messages").getByText("hello").waitFor();
console.log("ok  the index tells the same, takes a token as well, and hands it on to the chat");

await broker.stop();
useSecret("thirty-two octets that are others than before");
await broker.resume();
await alice.notices(/refuses the token/);
console.log("ok  whose token holds no longer is told so");

await browser.close();
await broker.stop();
