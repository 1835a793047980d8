// The overlay: what the gateway sends to viewers, shown to whoever makes the picture. It follows the payloads as they are delivered, so it
// is some seconds ahead of them, and goes on the picture that they will see.

import { create } from "/player/dist/core.js";

const asked = new URLSearchParams(location.search);
const gateway = asked.get("gateway") ?? "http://127.0.0.1:8080";
const channel = `${gateway}/v1/channels/${encodeURIComponent(asked.get("channel") ?? "demo")}`;
/** How long a goal is shown, in ms. */
const SHOWN = 4000;

const byId = (id) => document.getElementById(id);
const cues = create();
let hiding;

cues.on("#state", ({ key }) => key === "score" && draw(cues.state("score")));
cues.on("match.goal", ({ data: { side, number } }) => {
  byId("goal").textContent = `Goal ${number}: ${side}`;
  byId("goal").classList.add("is-on");
  clearTimeout(hiding);
  hiding = setTimeout(() => byId("goal").classList.remove("is-on"), SHOWN);
});

function draw(score) {
  byId("score").hidden = !score;
  if (!score) return;
  byId("names").textContent = `HOME ${score.home} : ${score.away} AWAY`;
  byId("minute").textContent = `${score.minute}′`;
}

/** What the state is now: until the keyframes of the stream have told all of it, and after a connection was lost. */
async function catchUp() {
  const answer = await fetch(`${channel}/state`);
  const { s } = await answer.json();
  if (cues.state("score") === undefined) draw(s.find(({ k }) => k === "score")?.d);
}

const payloads = new EventSource(`${channel}/payloads`);
payloads.onopen = () => {
  cues.reset();
  catchUp().catch(console.error);
};
payloads.onmessage = ({ data }) => cues.push(data);
