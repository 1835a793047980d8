// A show's cues, scheduled ahead: one is moved, one is cancelled, and what is queued is listed.

import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";

import { Client, NotFound } from "cuegate";

const { values } = parseArgs({
  options: {
    url: { type: "string", default: "http://127.0.0.1:8080" },
    channel: { type: "string", default: "demo" },
    // How far the cues are apart. A show has minutes.
    step: { type: "string", default: "2000" },
  },
});
const STEP_MS = Number(values.step);
const client = new Client(values.url);

const began = Date.now();
const id = (name) => `${name}-${began}`;
const cue = (name, steps) => ({ data: { scene: name }, type: "cue", id: id(name), at: new Date(began + steps * STEP_MS) });

/** Prints what is queued, in the order in which it would leave. */
async function list(title) {
  const text = await client.call("GET", `/v1/channels/${encodeURIComponent(values.channel)}/events?type=cue`);
  console.log(`${title}: ${JSON.parse(text).events.map((event) => event.id.split("-")[0]).join(", ")}`);
}

await client.publish(values.channel, [cue("opening", 2), cue("interview", 3), cue("advert", 4), cue("credits", 5)], { retryFor: 10_000 });
await list("scheduled");

// The whole event is replaced: its data could change as well.
await client.replace(values.channel, id("interview"), cue("interview", 6));
await list("interview moved to the end");

await client.cancel(values.channel, id("advert"));
await list("advert cancelled");

for (const name of ["opening", "credits", "interview", "advert"]) {
  let state;
  do {
    await sleep(100);
    state = await client.event(values.channel, id(name)).catch((error) => {
      if (error instanceof NotFound) return { state: "forgotten" };
      throw error;
    });
  } while (["scheduled", "waiting", "in_flight"].includes(state.state));
  const when = state.at === undefined ? "" : ` ${((Date.parse(state.at) - began) / STEP_MS).toFixed(1)} steps after the start`;
  console.log(`${name}: ${state.state}${when}`);
}
client.close();
