// A score overlay: the newest score counts, goals come first, and who joins late gets the score by its being sent again.

import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "cuegate";

const { values } = parseArgs({
  options: {
    url: { type: "string", default: "http://127.0.0.1:8080" },
    channel: { type: "string", default: "demo" },
    seconds: { type: "string", default: "20" },
  },
});
const SECONDS = Number(values.seconds);
// The clock of the game changes far oftener than payloads leave, which is 5 a second.
const CHANGE_MS = 20;
// The longest that who joins late is without the score while nothing changes.
const RESEND_MS = 1000;

const client = new Client(values.url);

/** A viewer: an overlay that shows the newest score and each goal. It ends when the game does. */
class Viewer {
  score = null;
  goals = [];
  #stop = new AbortController();

  constructor(name) {
    this.name = name;
    this.joined = Date.now();
  }

  async watch() {
    for await (const update of client.payloads(values.channel, { signal: this.#stop.signal })) {
      if (update.kind !== "payload") throw new Error(`${this.name} missed payloads: ${update.data}`);
      for (const item of JSON.parse(update.text).e) this.#show(item);
      if (this.score?.over) return;
    }
  }

  /** Gives up. */
  stop() {
    this.#stop.abort();
  }

  #show({ t, d }) {
    if (t === "match.goal") this.goals.push(d.number);
    if (t !== "match.score") return;
    if (this.score === null) console.log(`${this.name} has the score after ${Date.now() - this.joined} ms: ${d.home}:${d.away}`);
    this.score = d;
  }
}

/** Plays the game: returns the last score, and how often it was sent. */
async function play() {
  const score = { home: 0, away: 0, minute: 0, over: false };
  let sent = 0;
  const session = await client.session(values.channel);
  const sendScore = async () => {
    sent += 1;
    // One key and `replace`: what waits in the queue is always one event, the newest.
    return session.send({ data: { ...score }, type: "match.score", key: "score", merge: "replace" });
  };
  const goal = async (side) => {
    score[side] += 1;
    const number = score.home + score.away;
    await session.send({ data: { side, number }, type: "match.goal", priority: "high" });
    await sendScore();
  };
  // A WebSocket is open sooner than a stream of payloads may be: the game waits for its viewer.
  while (first.score === null) {
    await sendScore();
    await sleep(CHANGE_MS);
  }
  const began = Date.now();
  const goals = [[0.1, "home"], [0.2, "away"], [0.3, "home"]];
  while (Date.now() - began < SECONDS * 500) {
    score.minute = Math.floor((Date.now() - began) / SECONDS / 10);
    while (goals.length > 0 && Date.now() - began >= goals[0][0] * SECONDS * 1000) await goal(goals.shift()[1]);
    await sendScore();
    await sleep(CHANGE_MS);
  }
  while (goals.length > 0) await goal(goals.shift()[1]);
  // The second half: nothing changes, and the score is sent again from time to time for those who join late.
  const late = new Viewer("who joins late");
  const watching = late.watch();
  while (Date.now() - began < SECONDS * 1000 || late.score === null) {
    await sleep(RESEND_MS);
    await sendScore();
  }
  score.over = true;
  await (await sendScore()).acknowledged;
  await session.close();
  return { score, sent, late, watching };
}

const first = new Viewer("who is there from the start");
// A viewer that never sees the end must not keep the program waiting.
const patience = setTimeout(() => process.exit(1), SECONDS * 1000 + 60_000);
const watching = first.watch();
const game = await play();
await Promise.all([watching, game.watching]);
clearTimeout(patience);

const { sent, score, late } = game;
const { home, away } = score;
console.log(`${sent} scores sent, goals seen: ${first.goals.join()}`);
const right = [first, late].every((viewer) => viewer.score.home === home && viewer.score.away === away);
console.log(right && first.goals.length === 3 ? `all see ${home}:${away}` : "NOT all see the same");
client.close();
process.exitCode = right && first.goals.length === 3 ? 0 : 1;
