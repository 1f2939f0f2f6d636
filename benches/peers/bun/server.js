// Fan-out with Bun's built-in pub/sub on the port of the first argument; as it comes, if the second is "defaults".

const topicsPath = "/topics/";

// The name of a compressor: "shared" is one for all subscribers, which keeps no context.
const compress = process.env.COMPRESS;

// Far above what the fan-out benchmark sends: no limit decides what is measured.
const withoutLimits = {
  perMessageDeflate: compress ? { compress, decompress: false } : false,
  maxPayloadLength: 16 * 1024 * 1024,
  backpressureLimit: 1024 * 1024 * 1024,
  closeOnBackpressureLimit: false,
  idleTimeout: 0,
  sendPings: false,
};

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
    ...(process.argv[3] === "defaults" ? {} : withoutLimits),

    open(socket) {
      const { topics, publishes } = socket.data;
      if (publishes) return;
      for (const topic of topics) socket.subscribe(topic);
    },

    message(socket, message) {
      const { topics, publishes } = socket.data;
      if (publishes) server.publish(topics[0], message, compress !== undefined);
    },
  },
});
