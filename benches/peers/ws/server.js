// Fan-out with Node and ws on the port of the first argument.

import { createServer } from "node:http";

import { Sender, WebSocketServer } from "ws";

const topicsPath = "/topics/";
const binary = { fin: true, opcode: 2, mask: false, readOnly: true, rsv1: false };

// By topic: the sockets of its subscribers, and the frames published to it since the last fan-out.
const topics = new Map();

// Topics with frames that wait for the fan-out.
const published = new Set();

function topicOf(name) {
  let topic = topics.get(name);
  if (!topic) topics.set(name, (topic = { sockets: new Set(), frames: [] }));
  return topic;
}

// A frame is built once, not once for each subscriber, and what arrived by one read of the publisher's socket is
// handed to the kernel by one write for each subscriber. `WebSocket.send` can do neither.
function publish(topic, message) {
  topic.frames.push(...Sender.frame(message, binary));
  if (published.size === 0) setImmediate(fanOut);
  published.add(topic);
}

function fanOut() {
  for (const topic of published) {
    const burst = Buffer.concat(topic.frames);
    topic.frames = [];
    for (const socket of topic.sockets) socket.write(burst);
  }
  published.clear();
}

function subscribe(client, socket, names) {
  for (const name of names) topicOf(name).sockets.add(socket);
  client.on("close", () => {
    for (const name of names) topicOf(name).sockets.delete(socket);
  });
}

const sockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  skipUTF8Validation: true,
  clientTracking: false,
});

const server = createServer({ noDelay: true });

server.on("upgrade", (request, socket, head) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  if (!pathname.startsWith(topicsPath)) return socket.end("HTTP/1.1 404 Not Found\r\n\r\n");
  const names = decodeURIComponent(pathname.slice(topicsPath.length)).split(",");

  sockets.handleUpgrade(request, socket, head, (client) => {
    // A connection that breaks is closed by ws; there is nobody else to tell.
    client.on("error", () => {});
    if (searchParams.get("echo") !== "false") return subscribe(client, socket, names);
    const topic = topicOf(names[0]);
    client.on("message", (message, isBinary) => {
      if (isBinary) publish(topic, message);
    });
  });
});

server.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
