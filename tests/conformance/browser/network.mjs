// A network that can be cut: a TCP proxy between one browser window and the broker. (The browser's own
// off-line mode leaves an open WebSocket alone.)

import { once } from "node:events";
import net from "node:net";

export class Network {
  #server = net.createServer({ allowHalfOpen: true }, (near) => this.#join(near));
  #sockets = new Set();
  #lost = { up: false, down: false };

  static async to(brokerPort) {
    const network = new Network();
    network.brokerPort = brokerPort;
    await network.#listen(0);
    network.port = network.#server.address().port;
    return network;
  }

  /** Connections break, and new ones are refused, until `restore`. */
  async cut() {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#reset();
    await closed;
  }

  /**
   * Nothing breaks, and what is sent "up" to the broker or "down" to the browser is lost, as behind a dead
   * access point. On `restore` the connections of that time break.
   */
  lose(...directions) {
    for (const direction of directions) this.#lost[direction] = true;
  }

  async restore() {
    this.#reset();
    this.#lost = { up: false, down: false };
    if (!this.#server.listening) await this.#listen(this.port);
  }

  async #listen(port) {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  #reset() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #join(near) {
    const far = net.connect({ port: this.brokerPort, host: "127.0.0.1", allowHalfOpen: true });
    this.#forward(near, far, "up");
    this.#forward(far, near, "down");
  }

  /** Carries bytes and endings from one socket to the other, unless that direction is lost. */
  #forward(source, sink, direction) {
    this.#sockets.add(source);
    source.setNoDelay(true);
    source.on("data", (bytes) => this.#lost[direction] || sink.write(bytes));
    source.on("end", () => this.#lost[direction] || sink.end());
    source.on("error", () => this.#lost[direction] || sink.destroy());
    source.on("close", () => {
      this.#sockets.delete(source);
      if (!this.#lost[direction]) sink.destroy();
    });
  }
}
