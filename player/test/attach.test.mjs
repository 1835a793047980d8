// `attach` with players that have the shape of the real ones, and their traps. Time stands still but for what a test moves.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { attach } from "cuegate-player";

const OWNER = "metadata.live-video.net";
const item = (data, key, merge) => ({ d: data, t: "t", ...(key && { k: key, m: merge }) });
const payload = (n, e = [item(n)], more = {}) => JSON.stringify({ v: 1, n, ...more, e });
const sum = (n) => payload(n, [item(1, "k", "sum")]);
const utf8 = (text) => new TextEncoder().encode(text);

/** A `<video>`: as much of it as is used, and frames when a test says so. */
class Video extends EventTarget {
  currentTime = 0;
  currentSrc = "";
  paused = false;
  seeking = false;
  readyState = 4;
  playbackRate = 1;
  textTracks = [];
  #frames = new Map();
  listeners = 0;
  #last = 0;

  addEventListener(...rest) {
    this.listeners++;
    super.addEventListener(...rest);
  }
  removeEventListener(...rest) {
    this.listeners--;
    super.removeEventListener(...rest);
  }
  requestVideoFrameCallback(callback) {
    this.#frames.set(++this.#last, callback);
    return this.#last;
  }
  cancelVideoFrameCallback(handle) {
    this.#frames.delete(handle);
  }
  get waiting() {
    return this.#frames.size;
  }
  fire(name) {
    this.dispatchEvent(new Event(name));
  }
  /** Plays on to there, with a frame. */
  play(to, mediaTime = to) {
    mock.timers.tick(Math.max(0, (to - this.currentTime) * 1000));
    this.currentTime = to;
    const due = [...this.#frames.values()];
    this.#frames.clear();
    for (const callback of due) callback(0, { mediaTime });
  }
  seek(to) {
    this.currentTime = to;
    this.seeking = true;
    this.fire("seeking");
    this.seeking = false;
    this.fire("seeked");
  }
}

class Emitter {
  #listeners = new Map();
  add(name, listener) {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
  }
  remove(name, listener) {
    this.#listeners.set(name, this.#listeners.get(name).filter((each) => each !== listener));
  }
  emit(name, ...rest) {
    for (const listener of this.#listeners.get(name) ?? []) listener(...rest);
  }
  get count() {
    return [...this.#listeners.values()].flat().length;
  }
}

function hls(video) {
  const events = new Emitter();
  return { on: (...rest) => events.add(...rest), off: (...rest) => events.remove(...rest), media: video, url: "a.m3u8", events };
}

const syncsafe = (size) => [21, 14, 7, 0].map((bits) => (size >> bits) & 127);
const frame = (id, data) => [...utf8(id), ...syncsafe(data.length), 0, 0, ...data];
const priv = (owner, text) => frame("PRIV", [...utf8(`${owner}\0`), ...utf8(text)]);
function tag(...frames) {
  const body = frames.flat();
  return Uint8Array.from([...utf8("ID3"), 4, 0, 0, ...syncsafe(body.length), ...body]);
}
const fragment = (player, ...samples) =>
  player.events.emit("hlsFragParsingMetadata", "hlsFragParsingMetadata", { samples: samples.map(([pts, data]) => ({ pts, data })) });
const sent = (player, text, pts) => fragment(player, [pts, tag(priv(OWNER, text))]);

let ended = [];
function attached(kind, player, options) {
  const cues = attach(kind, player, options);
  const heard = [];
  cues.on("*", (event) => heard.push(event));
  ended.push(cues);
  return { cues, heard, numbers: () => heard.splice(0).map(({ n }) => n) };
}

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  mock.method(performance, "now", () => Date.now());
});
afterEach(() => {
  for (const cues of ended.splice(0)) cues.stop();
  mock.timers.tick(1);
  mock.timers.reset();
  mock.restoreAll();
});

test("IVS: by owner, at its time; the same again after a seek back", () => {
  const [video, events] = [new Video(), new Emitter()];
  const player = {
    addEventListener: (...rest) => events.add(...rest),
    removeEventListener: (...rest) => events.remove(...rest),
    getHTMLVideoElement: () => video,
    getPosition: () => video.currentTime,
  };
  const { cues, numbers, heard } = attached("ivs", player);
  const cue = (text, startTime, owner = OWNER) => events.emit("PlayerTextMetadataCue", { owner, text, startTime });
  const foreign = [];
  cues.on("#foreign", ({ text }) => foreign.push(text));
  video.play(1);
  cue('{"v":1,"n":9,"e":[]}', 1, "segmentmetadata");
  cue('{"X-TIMESTAMP":1}', 1, "segmentmetadata");
  cue("raw", 1);
  cue(sum(1), 1.1);
  video.play(1.04);
  assert.deepEqual([numbers(), foreign], [[], ["raw"]], "the player told of it early");
  video.play(1.09);
  assert.deepEqual(numbers(), [1]);
  video.play(2);
  cue(sum(2), 1.9);
  video.play(2.04);
  assert.deepEqual([heard[0].late > 0.1, heard[0].time, cues.state("k")], [true, 1.9, 2]);
  numbers();
  video.seek(1.5);
  assert.equal(cues.state("k"), 1);
  video.play(1.92);
  cue(sum(2), 1.9);
  video.play(1.96);
  assert.deepEqual([numbers(), cues.state("k")], [[2], 2]);
  const other = attach("ivs", player);
  assert.equal(other, cues);
  other.stop();
});

test("IVS: late news of a cue from before a seek back keeps the cue's own time, also where the text has no number", () => {
  const [video, events] = [new Video(), new Emitter()];
  const player = {
    addEventListener: (...rest) => events.add(...rest),
    removeEventListener: (...rest) => events.remove(...rest),
    getHTMLVideoElement: () => video,
    getPosition: () => video.currentTime,
  };
  const { cues, heard } = attached("ivs", player);
  cues.on("#foreign", (event) => heard.push(event));
  const cue = (text, startTime) => events.emit("PlayerTextMetadataCue", { owner: OWNER, text, startTime });
  const told = () => heard.splice(0).map(({ n, text }) => n ?? text);
  video.play(9);
  cue("first", 9.01);
  cue(sum(1), 9.02);
  video.play(9.5);
  assert.deepEqual(told(), ["first", 1]);
  // The position is back there, and what was due before comes only now: ahead of the element's word on the seek, and behind it.
  video.currentTime = 8;
  cue("second", 9.6);
  video.seek(8);
  cue(sum(2), 9.7);
  video.play(8.1);
  assert.deepEqual([told(), cues.state("k")], [[], undefined]);
  // What comes again may have a time that differs by a rounding.
  cue("first", 9.012);
  cue(sum(1), 9.022);
  video.play(9.1);
  cue("second", 9.6);
  cue(sum(2), 9.7);
  video.play(9.8);
  assert.deepEqual([told(), cues.state("k")], [["first", 1, "second", 2], 2]);
});

test("hls.js: samples seconds before the picture, syncsafe sizes, other frames and owners", () => {
  const video = new Video();
  const player = hls(video);
  const { cues, numbers, heard } = attached("hls", player);
  const long = payload(2, [{ d: "é".repeat(300), t: "t" }]);
  video.play(5);
  fragment(
    player,
    [7, tag(frame("TXXX", [3, ...utf8("segmentmetadata\0{}")]), priv("other.owner", sum(8)), priv(OWNER, long), priv(OWNER, sum(3)))],
    [6, tag(priv(OWNER, sum(1)))],
    [6, Uint8Array.of(1, 2, 3)],
    [6, utf8("ID3")],
    [6, tag(frame("PRIV", utf8(OWNER)))],
    [6, tag(priv(OWNER, sum(9))).subarray(0, 30)],
  );
  video.play(5.9);
  assert.deepEqual(numbers(), []);
  video.play(5.97);
  assert.deepEqual(numbers(), []);
  video.play(5.985);
  assert.deepEqual([heard[0].time, heard[0].late, numbers()], [6, 0, [1]], "20 ms early");
  video.play(7);
  assert.deepEqual([heard[0].data.length, numbers(), cues.state("k")], [300, [2, 3], 2]);
});

test("hls.js: attach before the media, and media that change", () => {
  const player = hls(null);
  const { numbers } = attached("hls", player);
  sent(player, sum(1), 0.01);
  mock.timers.tick(1000);
  assert.deepEqual(numbers(), []);
  const [first, second] = [new Video(), new Video()];
  player.media = first;
  mock.timers.tick(250);
  assert.deepEqual(numbers(), [1]);
  player.media = second;
  mock.timers.tick(250);
  assert.deepEqual([first.listeners, first.waiting, second.waiting], [0, 0, 1]);
});

test("joining a live stream: what is due fires at once with its own time; the jump to its end is no seek", () => {
  const video = new Video();
  video.readyState = 1;
  const player = hls(video);
  const { heard, numbers } = attached("hls", player);
  video.fire("loadstart");
  sent(player, sum(1), 998);
  sent(player, sum(2), 1001);
  video.seek(1000);
  video.readyState = 4;
  video.play(1000.5);
  assert.deepEqual(heard.map(({ n, time, late }) => [n, time, late]), [[1, 998, 2]]);
  numbers();
  video.play(1001);
  assert.deepEqual(numbers(), [2]);
});

test("video.js: cues less than a frame apart, PRIV as numbers, hooked and found", () => {
  const video = new Video();
  class Track {
    kind = "metadata";
    mode = "disabled";
    cues = [];
    addCue(cue) {
      this.cues.push(cue);
    }
  }
  const track = new Track();
  const list = [{ kind: "subtitles", mode: "disabled", cues: null }, track];
  const player = { el: () => ({ querySelector: () => video }), textTracks: () => list, currentSrc: () => "a.m3u8" };
  const cue = (n, startTime, owner = OWNER) => ({ startTime, text: [1, 2, 3], value: { key: "PRIV", owner, data: utf8(sum(n)) } });
  track.cues.push(cue(1, 1));
  const { cues, numbers } = attached("videojs", player);
  assert.deepEqual([track.mode, list[0].mode], ["hidden", "disabled"]);
  for (let n = 2; n <= 8; n++) track.addCue(cue(n, 1 + n / 1000));
  track.addCue(cue(9, 1, "other"));
  track.addCue({ startTime: 1, value: { key: "TXXX", data: "x" } });
  track.addCue({ startTime: 1 });
  assert.equal(track.cues.length, 11);
  video.play(1.02);
  assert.deepEqual(numbers(), [1, 2, 3, 4, 5, 6, 7, 8]);
  // One that is gone before anybody looks.
  track.addCue(cue(10, 1.1));
  track.cues.pop();
  video.play(1.1);
  assert.deepEqual(numbers(), [10]);
  // It takes cues away behind the picture, and adds them again after a seek back.
  track.cues.splice(0);
  video.seek(0);
  track.addCue(cue(1, 1));
  video.play(1.02);
  assert.deepEqual([numbers(), cues.state("k")], [[1, 2, 3, 4, 5, 6, 7, 8], 8]);
  cues.stop();
  mock.timers.tick(1);
  assert.equal(track.addCue, Track.prototype.addCue);
});

test("Shaka: each tag twice and out of order", () => {
  const [video, events] = [new Video(), new Emitter()];
  const player = {
    addEventListener: (...rest) => events.add(...rest),
    removeEventListener: (...rest) => events.remove(...rest),
    getMediaElement: () => video,
    getAssetUri: () => "a.m3u8",
  };
  const { cues, numbers } = attached("shaka", player);
  const foreign = [];
  cues.on("#foreign", ({ text }) => foreign.push(text));
  const added = (text, startTime, description = OWNER, data = utf8(text).buffer) =>
    events.emit("metadataadded", { startTime, endTime: startTime, payload: { key: "PRIV", description, data } });
  for (const n of [3, 1, 2, 3, 2, 1]) added(sum(n), 1);
  added("raw", 1);
  added("raw", 1);
  added(sum(9), 1, "other");
  events.emit("metadataadded", { startTime: 1, payload: { key: "TXXX", description: "segmentmetadata", data: "{}" } });
  added("", 1, OWNER, 5);
  video.play(1);
  assert.deepEqual([numbers(), foreign, cues.state("k")], [[1, 2, 3], ["raw"], 3]);
});

test("native: all cues and never the active ones; a disabled track has none; seeks", () => {
  const video = new Video();
  const cues = [];
  const track = {
    kind: "metadata",
    mode: "disabled",
    get cues() {
      return this.mode === "disabled" ? null : cues;
    },
    get activeCues() {
      throw new Error("Safari keeps past ones");
    },
  };
  const info = (n, startTime) => ({ startTime, type: "org.id3", value: { key: "PRIV", info: OWNER, data: utf8(sum(n)).buffer } });
  video.textTracks.push(track);
  const found = attached("native", video);
  cues.push(info(1, 1), info(2, 1.001), info(3, 2));
  video.play(1.5);
  assert.deepEqual(found.numbers(), [1, 2]);
  cues.push(info(4, 2.5));
  video.play(3);
  assert.deepEqual(found.numbers(), [3, 4]);
  video.seek(0.5);
  assert.equal(found.cues.state("k"), undefined);
  video.play(3);
  assert.deepEqual([found.numbers(), found.cues.state("k")], [[1, 2, 3, 4], 4]);
});

function playing() {
  const video = new Video();
  const player = hls(video);
  const made = { video, player, ...attached("hls", player) };
  for (let n = 1; n <= 30; n++) sent(player, sum(n), n);
  return made;
}

test("seeks: by more than half a second the state is that of the new time; less is no seek", () => {
  const { video, cues, numbers } = playing();
  video.play(10);
  assert.equal(numbers().length, 10);
  video.seek(9.7);
  video.play(10.1);
  assert.deepEqual(numbers(), []);
  for (const back of [9.8, 9.5, 9.2]) video.seek(back);
  assert.equal(cues.state("k"), 9, "small steps that together go back");
  video.play(10);
  assert.deepEqual(numbers(), [10]);
  video.seek(20.5);
  assert.deepEqual([numbers(), cues.state("k")], [[], 20]);
  video.play(21);
  assert.deepEqual(numbers(), [21]);
  video.seek(5.5);
  assert.deepEqual([numbers(), cues.state("k")], [[], 5]);
  video.play(7);
  assert.deepEqual([numbers(), cues.state("k")], [[6, 7], 7]);
});

test("a seek is seen before its event, and a long one once", () => {
  const { video, cues, numbers } = playing();
  video.play(2);
  numbers();
  video.currentTime = 12.5;
  video.seeking = true;
  video.play(12.5);
  assert.deepEqual([numbers(), cues.state("k")], [[], 12]);
  video.fire("seeking");
  mock.timers.tick(5000);
  video.seeking = false;
  video.fire("seeked");
  video.play(13);
  assert.deepEqual(numbers(), [13]);
});

test("a throttled tab ticks every 4 s: nothing is lost, and nothing is a seek", () => {
  const { video, numbers } = playing();
  const all = [];
  for (let to = 4; to <= 28; to += 4) {
    mock.timers.tick(4000);
    video.currentTime = to;
    video.fire("timeupdate");
    all.push(...numbers());
  }
  assert.deepEqual(all, Array.from({ length: 28 }, (_, i) => i + 1));
  // A small correction after ticks that were seldom is no seek either.
  mock.timers.setTime(Date.now() + 1000);
  video.seek(29);
  assert.deepEqual(numbers(), [29]);
});

test("without requestVideoFrameCallback, animation frames; without both, timeupdate", () => {
  const frames = [];
  globalThis.requestAnimationFrame = (callback) => frames.push(callback);
  globalThis.cancelAnimationFrame = mock.fn();
  const video = new Video();
  video.requestVideoFrameCallback = undefined;
  const player = hls(video);
  const { cues, numbers } = attached("hls", player);
  sent(player, sum(1), 1);
  video.currentTime = 1;
  frames.shift()();
  assert.deepEqual([numbers(), frames.length], [[1], 1]);
  cues.stop();
  mock.timers.tick(1);
  assert.equal(globalThis.cancelAnimationFrame.mock.callCount(), 1);
  delete globalThis.requestAnimationFrame;
  delete globalThis.cancelAnimationFrame;
  const again = attached("hls", player);
  sent(player, sum(2), 2);
  video.currentTime = 2;
  video.fire("timeupdate");
  assert.deepEqual(again.numbers(), [2]);
});

test("frames whose times are of another clock are not believed", () => {
  const video = new Video();
  const player = hls(video);
  const { numbers } = attached("hls", player);
  sent(player, sum(1), 1);
  video.play(0.5, 9000);
  assert.deepEqual(numbers(), []);
  video.play(1.1, 1.0);
  assert.deepEqual(numbers(), [1]);
  sent(player, sum(2), 2);
  video.play(2.01, 1.97);
  assert.deepEqual(numbers(), [], "the frame on the picture counts");
});

test("a second attach has the same cues, and the last stop removes all in the next task", () => {
  const video = new Video();
  const player = hls(video);
  const { cues, numbers } = attached("hls", player);
  sent(player, sum(1), 1);
  // As React's strict mode does.
  cues.stop();
  assert.equal(attach("hls", player), cues);
  mock.timers.tick(1);
  video.play(1);
  assert.deepEqual(numbers(), [1], "nothing is lost");
  assert.equal(attach("hls", player), cues);
  cues.stop();
  mock.timers.tick(1);
  assert.ok(player.events.count > 0);
  cues.stop();
  assert.ok(player.events.count > 0);
  mock.timers.tick(1);
  assert.deepEqual([player.events.count, video.listeners, video.waiting], [0, 0, 0]);
  cues.stop();
  cues.stop();
  const anew = attached("hls", player);
  assert.notEqual(anew.cues, cues);
  sent(player, sum(2), 2);
  video.play(2);
  assert.deepEqual([anew.numbers(), numbers()], [[2], []]);
});

test("another source: all is forgotten", () => {
  const { video, player, cues, numbers } = playing();
  video.play(3);
  numbers();
  const deleted = [];
  cues.on("#state", (event) => deleted.push(event));
  player.url = "b.m3u8";
  video.currentTime = 0;
  video.fire("loadstart");
  assert.deepEqual([cues.keys(), deleted], [[], [{ key: "k", value: undefined, deleted: true }]]);
  video.play(3);
  assert.deepEqual(numbers(), []);
  sent(player, sum(2), 3.5);
  video.play(4);
  assert.deepEqual([numbers(), cues.state("k")], [[2], 1]);
});

test("several players have each their own", () => {
  const [a, b] = [playing(), playing()];
  a.video.play(2);
  assert.deepEqual([a.numbers(), b.numbers(), b.cues.keys()], [[1, 2], [], []]);
});

test("a listener that throws does not reach the frame, nor the player", () => {
  const errors = [];
  const video = new Video();
  const player = hls(video);
  const { cues, numbers } = attached("hls", player, { onerror: (error) => errors.push(error.message), early: 0.5 });
  cues.on("t", () => {
    throw new Error("mine");
  });
  sent(player, sum(1), 1);
  sent(player, sum(2), 1);
  video.play(0.5);
  assert.deepEqual([numbers(), errors, video.waiting], [[1, 2], ["mine", "mine"], 1]);
});

test("a player that is disposed of and throws: it is told, and nothing escapes", () => {
  const errors = [];
  const video = new Video();
  const player = hls(video);
  attached("hls", player, { onerror: (error) => errors.push(error.message) });
  Object.defineProperty(player, "url", {
    get() {
      throw new Error("disposed");
    },
  });
  video.play(1);
  sent(player, sum(1), 1);
  assert.ok(errors.length > 1 && errors.every((error) => error === "disposed"));
});

test("Shaka: the two times of a tag without a number", () => {
  const [video, events] = [new Video(), new Emitter()];
  const player = {
    addEventListener: (...rest) => events.add(...rest),
    removeEventListener: (...rest) => events.remove(...rest),
    getMediaElement: () => video,
    getAssetUri: () => "a.m3u8",
  };
  const { cues } = attached("shaka", player);
  const foreign = [];
  cues.on("#foreign", ({ text, time }) => foreign.push([text, time]));
  const added = (text, startTime) => events.emit("metadataadded", { startTime, payload: { key: "PRIV", description: OWNER, data: utf8(text) } });
  for (const [text, time] of [["a", 1.113], ["b", 1.2], ["a", 1.146], ["b", 1.167], ["a", 1.5], ["a", 1.533]]) added(text, time);
  video.play(2);
  assert.deepEqual(foreign, [["a", 1.113], ["b", 1.2], ["a", 1.5]]);
});

test("video.js: a segment that is loaded again has other times, by less than a frame", () => {
  const video = new Video();
  const track = { kind: "metadata", mode: "hidden", cues: [], addCue: (cue) => track.cues.push(cue) };
  const player = { el: () => ({ querySelector: () => video }), textTracks: () => [track], currentSrc: () => "a.m3u8" };
  const cue = (text, startTime) => ({ startTime, value: { key: "PRIV", owner: OWNER, data: utf8(text) } });
  const { cues } = attached("videojs", player);
  const foreign = [];
  cues.on("#foreign", ({ text, time }) => foreign.push([text, time]));
  track.addCue(cue("a", 1.1));
  video.play(1.6);
  video.seek(1);
  track.addCue(cue("a", 1.116));
  track.addCue(cue("a", 1.5));
  video.play(1.3);
  video.play(1.6);
  assert.deepEqual(foreign, [["a", 1.1], ["a", 1.1], ["a", 1.5]]);
});

test("importing has no effects, and is possible where there is no DOM", async () => {
  const before = Object.keys(globalThis).length;
  await import("cuegate-player");
  assert.equal(Object.keys(globalThis).length, before);
  assert.equal(typeof document, "undefined");
});
