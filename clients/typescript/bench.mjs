// How many events a second this client sends: `node bench.mjs URL EVENTS BATCH [PORT]`, for clients/bench.py. At PORT there is
// a plain socket, for the floor.

import { once } from "node:events";
import net from "node:net";

import { Client } from "cuegate";

const [, , url, events, size, port] = process.argv;
const event = (number) => ({ type: "vote", key: `answer:${number % 4}`, merge: "sum", data: 1 });
const batch = Array.from({ length: Number(size) }, (_, number) => event(number));
const rounds = Math.floor(Number(events) / batch.length);

async function timed(what) {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  await what();
  const used = process.cpuUsage(cpu);
  return { seconds: (performance.now() - start) / 1000, cpu: (used.user + used.system) / 1e6 };
}

async function send() {
  const session = await new Client(url).session("demo");
  for (let round = 0; round < rounds; round++) await session.send(batch);
  await session.close();
}

async function floor() {
  const bytes = Buffer.from(JSON.stringify(batch.map((one, number) => ({ id: String(number).padStart(20, "0"), ...one }))));
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  for (let round = 0; round < rounds; round++) if (!socket.write(bytes)) await once(socket, "drain");
  socket.end();
  await once(socket, "data");
}

const figures = { events: rounds * batch.length, ...(await timed(send)) };
if (port) figures.floor = await timed(floor);
console.log(JSON.stringify(figures));
process.exit(0);
