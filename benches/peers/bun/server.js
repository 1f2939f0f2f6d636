// Fan-out with Bun's built-in pub/sub on the port of the first argument.

const topicsPath = "/topics/";

// Far above what the benchmark sends: no limit decides what is measured.
const largestMessage = 16 * 1024 * 1024;
const largestBacklog = 1024 * 1024 * 1024;

const server = Bun.serve({
  hostname: "127.0.0.1",
  tls: process.env.TLS_CERT && { cert: Bun.file(process.env.TLS_CERT), key: Bun.file(process.env.TLS_KEY) },
  port: Number(process.argv[2]),

  fetch(request, server) {
    const { pathname, searchParams } = new URL(request.url);
    if (!pathname.startsWith(topicsPath)) return new Response(null, { status: 404 });
    const topics = decodeURIComponent(pathname.slice(topicsPath.length)).split(",");
    const publishes = searchParams.get("echo") === "false";
    if (!server.upgrade(request, { data: { topics, publishes } })) return new Response(null, { status: 426 });
  },

  websocket: {
    perMessageDeflate: false,
    maxPayloadLength: largestMessage,
    backpressureLimit: largestBacklog,
    closeOnBackpressureLimit: false,
    idleTimeout: 0,
    sendPings: false,

    open(socket) {
      const { topics, publishes } = socket.data;
      if (publishes) return;
      for (const topic of topics) socket.subscribe(topic);
    },

    message(socket, message) {
      const { topics, publishes } = socket.data;
      if (publishes && typeof message !== "string") server.publish(topics[0], message);
    },
  },
});
