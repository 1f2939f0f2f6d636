// The release binary as a child process that a test can stop and start again on the same port.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const READY_MS = 10_000;
const STOP_MS = 15_000;

export class Broker {
  #child;

  /**
   * `log` is the path of the file that takes what the broker prints; `flags` are its own besides those of the demo. It
   * speaks TLS on a port of its own.
   */
  static async start(binary, log, ...flags) {
    const broker = new Broker();
    broker.binary = binary;
    broker.log = openSync(log, "w");
    broker.flags = flags;
    broker.port = await freePort();
    broker.tlsPort = await freePort();
    process.once("exit", () => broker.#child?.kill("SIGKILL"));
    await broker.resume();
    return broker;
  }

  /** Starts it (again), and waits until it is ready. */
  async resume() {
    const listen = ["--listen", `127.0.0.1:${this.port}`, "--listen", `tls://127.0.0.1:${this.tlsPort}`];
    const flags = ["--demo", ...listen, "--tls-self-signed", ...this.flags];
    this.#child = spawn(this.binary, flags, { stdio: ["ignore", this.log, this.log] });
    const deadline = Date.now() + READY_MS;
    while (!(await this.#isReady())) {
      if (this.#child.exitCode !== null || Date.now() > deadline) throw new Error("the broker did not become ready");
      await sleep(50);
    }
  }

  async #isReady() {
    try {
      return (await fetch(`http://127.0.0.1:${this.port}/readyz`)).ok;
    } catch {
      return false;
    }
  }

  /** Asks it to stop; fails unless it was still there and leaves with status 0. */
  async stop() {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("the broker died during the test");
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    const outcome = await Promise.race([gone, sleep(STOP_MS, ["nothing", "it still runs"], { ref: false })]);
    if (outcome[0] !== 0) throw new Error(`the broker stopped with status ${outcome}`);
  }
}

async function freePort() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}
