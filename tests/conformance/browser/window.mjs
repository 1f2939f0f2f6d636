// Chromium, and what a person sees and does in a window of it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { chromium } from "playwright-core";

const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Debian's Chromium with an empty profile. As root it cannot have its sandbox. */
export function launch() {
  return chromium.launch({ executablePath: "/usr/bin/chromium", chromiumSandbox: false, args: FLAGS });
}

/** As people have them. */
export const PHONE = { width: 360, height: 740 };
export const DESK = { width: 1400, height: 860 };

/** A window with a profile of its own; an error that a page does not catch fails the test. */
export async function openWindow(browser, url, viewport, timeoutMs) {
  // A certificate that the broker made for itself is nobody's to trust.
  const context = await browser.newContext({ viewport, ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.setDefaultTimeout(timeoutMs);
  page.on("pageerror", (error) => {
    throw new Error(`an error in the page ${url}: ${error.stack}`);
  });
  await page.goto(url);
  return page;
}

export function screenshot(page, folder, name) {
  return page.screenshot({ path: path.join(folder, `browser-${name}.png`), animations: "disabled" });
}

/** Publishes with the command that the index tells people to type. */
export async function publishAsTold(page) {
  const [, command] = (await page.locator("#commands").textContent()).split("\n");
  const isUnvouched = await page.locator("#over-tls").isVisible();
  const answer = execFileSync("sh", ["-c", isUnvouched ? `${command} -k` : command], { encoding: "utf8", stdio: "pipe" });
  assert.match(answer, /"offset":\d+/, command);
}

/** The demo chat, by the hooks that its page keeps stable. */
export class Chat {
  /** Opens the page through this network and joins. */
  static async join(browser, network, name, viewport, timeoutMs) {
    const chat = await Chat.enter(browser, `http://127.0.0.1:${network.port}/demo/chat`, name, viewport, timeoutMs);
    chat.network = network;
    await chat.isOnline();
    return chat;
  }

  /** Opens the page at this address and says who is there. */
  static async enter(browser, url, name, viewport, timeoutMs) {
    const chat = new Chat();
    chat.name = name;
    chat.page = await openWindow(browser, url, viewport, timeoutMs);
    await chat.page.fill("#name", name);
    await chat.page.click("#join");
    return chat;
  }

  isOnline() {
    return this.page.waitForSelector('#status[data-state="online"]');
  }

  isNotOnline() {
    return this.page.waitForSelector('#status:not([data-state="online"])');
  }

  async say(...texts) {
    for (const text of texts) {
      await this.page.fill("#text", text);
      await this.page.click("#send");
    }
  }

  /** Waits until the message is there. */
  sees(text) {
    return this.page.locator("#messages").getByText(text, { exact: true }).waitFor();
  }

  /** Waits until the broker has confirmed everything that was said here. */
  hasSentAll() {
    return this.page.waitForFunction(() => {
      const own = [...document.querySelectorAll("li.message.own")];
      return own.every((item) => item.dataset.state === "sent");
    });
  }

  /** Waits for a notice that says something like this. */
  notices(pattern) {
    return this.page.locator("li.notice", { hasText: pattern }).first().waitFor();
  }

  /** The list, from top to bottom: `{author, text, offset}`. */
  messages() {
    return this.page.$$eval("#messages li.message", (items) =>
      items.map((item) => ({
        author: item.querySelector(".author").textContent.trim(),
        text: item.querySelector(".text").textContent.trim(),
        offset: Number(item.dataset.offset),
      })),
    );
  }

  /**
   * Exactly these texts of this author, each once, in this order, with offsets that increase (but for each
   * restart of the broker, which may begin anew).
   */
  async has(author, texts, restarts) {
    const got = (await this.messages()).filter((message) => message.author === author);
    assert.deepEqual(got.map((message) => message.text), texts, `${author}'s messages, as ${this.name} sees them`);
    const offsets = got.map((message) => message.offset);
    const steps = offsets.slice(1).map((offset, i) => offset - offsets[i]);
    const backward = steps.filter((step) => !(step > 0)).length;
    assert.ok(backward <= restarts, `the offsets of ${author}'s messages at ${this.name}: ${offsets}`);
  }
}
