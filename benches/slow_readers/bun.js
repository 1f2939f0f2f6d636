// Bun's built-in pub/sub on the port of the first argument, as it comes: what a slow socket may have waiting (16 MiB), and what
// is done beyond that, are its defaults.

const topicsPath = "/topics/";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),

  fetch(request, server) {
    const { pathname, searchParams } = new URL(request.url);
    if (!pathname.startsWith(topicsPath)) return new Response(null, { status: 404 });
    const topic = decodeURIComponent(pathname.slice(topicsPath.length));
    const publishes = searchParams.get("echo") === "false";
    if (!server.upgrade(request, { data: { topic, publishes } })) return new Response(null, { status: 426 });
  },

  websocket: {
    open(socket) {
      const { topic, publishes } = socket.data;
      if (!publishes) socket.subscribe(topic);
    },

    message(socket, message) {
      const { topic, publishes } = socket.data;
      if (publishes) server.publish(topic, message);
    },
  },
});
