// A viewer: one player, the library on it, and a list of all that it heard with the frame of the picture at that moment.
// ?kind=hls&url=…: which player plays what. With &stateUrl=…, the library asks there for the state.

import { attach } from "/player.js";

const asked = new URLSearchParams(location.search);
const url = asked.get("url");
const video = document.querySelector("video");
const MODULES = "/node_modules";

const load = (path) => new Promise((resolve, reject) => {
  const script = document.createElement("script");
  Object.assign(script, { src: `${MODULES}/${path}`, onload: resolve, onerror: () => reject(new Error(path)) });
  document.head.append(script);
});

/** Each: attaches, plays, and returns what a viewer does. */
const PLAYERS = {
  async hls() {
    await load("hls.js/dist/hls.min.js");
    // What is behind the picture is kept, so that it can be gone back to.
    const hls = new Hls({ enableWorker: false, backBufferLength: 90 });
    hls.on(Hls.Events.ERROR, (_, { fatal, details }) => fatal && errors.push(details));
    const cues = attach("hls", hls, options);
    hls.loadSource(url);
    hls.attachMedia(video);
    const qualities = () => hls.levels.length;
    return { cues, seek: (to) => (video.currentTime = to), quality: (nth) => (hls.nextLevel = nth), qualities };
  },
  async videojs() {
    await load("video.js/dist/video.min.js");
    const player = videojs(video, { html5: { vhs: { overrideNative: true } }, liveui: true });
    player.on("error", () => errors.push(String(player.error()?.message)));
    const cues = attach("videojs", player, options);
    player.src({ src: url, type: "application/x-mpegURL" });
    const list = () => player.qualityLevels?.() ?? { length: 0 };
    const quality = (nth) => [...Array(list().length).keys()].forEach((at) => (list()[at].enabled = at === nth));
    return { cues, seek: (to) => player.currentTime(to), quality, qualities: () => list().length };
  },
  async shaka() {
    await load("shaka-player/dist/shaka-player.compiled.js");
    const player = new shaka.Player();
    player.addEventListener("error", ({ detail }) => errors.push(`shaka ${detail.code}`));
    player.configure({ streaming: { bufferBehind: 90 } });
    const cues = attach("shaka", player, options);
    await player.attach(video);
    await player.load(url);
    const quality = (nth) => {
      player.configure({ abr: { enabled: false } });
      player.selectVariantTrack(player.getVariantTracks()[nth]);
    };
    return { cues, seek: (to) => (video.currentTime = to), quality, qualities: () => player.getVariantTracks().length };
  },
  async ivs() {
    // It wants a bundler.
    const ivs = await import("/ivs.js");
    const at = (name) => `${location.origin}${MODULES}/amazon-ivs-player/dist/assets/${name}`;
    const player = ivs.create({
      wasmWorker: at("amazon-ivs-wasmworker.min.js"), wasmBinary: at("amazon-ivs-wasmworker.min.wasm"), logLevel: "error",
    });
    player.addEventListener("PlayerError", ({ type, code, message }) => errors.push(`ivs ${type} ${code} ${message}`));
    player.attachHTMLVideoElement(video);
    const cues = attach("ivs", player, options);
    player.load(url);
    player.play();
    const quality = (nth) => player.setQuality(player.getQualities()[nth], true);
    return { cues, seek: (to) => player.seekTo(to), position: () => player.getPosition(), quality, qualities: () => player.getQualities().length };
  },
};

const errors = [];
const heard = [];
const options = { onerror: (error) => errors.push(String(error)), stateUrl: asked.get("stateUrl") ?? undefined };
const canvas = document.createElement("canvas");
Object.assign(canvas, { width: 320, height: 1 });
const strip = canvas.getContext("2d", { willReadFrequently: true });

/** The number that the picture shows: ten blocks, of which the first is white and the last makes the white ones even. */
function frame() {
  strip.drawImage(video, 0, 16, 320, 1, 0, 0, 320, 1);
  const { data } = strip.getImageData(0, 0, 320, 1);
  const blocks = [...Array(10).keys()].map((at) => (data[(at * 32 + 16) * 4] > 128 ? 1 : 0));
  const even = blocks.slice(1).reduce((sum, bit) => sum + bit, 0) % 2 === 0;
  return blocks[0] && even ? blocks.slice(1, 9).reduce((number, bit) => number * 2 + bit, 0) : null;
}

const viewer = await PLAYERS[asked.get("kind")]();
const position = viewer.position ?? (() => video.currentTime);
const note = (entry) => heard.push({ ...entry, frame: frame(), at: position(), shown: shown.length });
viewer.cues.on("*", ({ n, type, key, data, id, time, late, state }) =>
  note({ n, type, key, data, id, time, late, state, known: key !== undefined && viewer.cues.known(key) }));
// Seconds from the first frame until the whole state was known.
let began, whole = null;
viewer.cues.on("#complete", () => (whole ??= (performance.now() - (began ?? performance.now())) / 1000));
viewer.cues.on("#foreign", ({ text, time, late }) => note({ text, time, late }));
video.play().catch(() => {});

// Every frame that was on the screen: a busy machine shows fewer.
const shown = [];
video.requestVideoFrameCallback(function next() {
  video.requestVideoFrameCallback(next);
  shown.push(frame());
  began ??= performance.now();
});

window.viewer = {
  heard,
  shown,
  errors,
  frame,
  position,
  paused: () => video.paused,
  ready: () => video.readyState,
  /** Where it can go back to. */
  oldest: () => (video.buffered.length ? video.buffered.start(video.buffered.length - 1) : null),
  back: (seconds) => {
    const to = position() - seconds;
    heard.push({ seek: to, shown: shown.length });
    viewer.seek(to);
    return to;
  },
  quality: (nth) => viewer.quality(nth),
  qualities: () => viewer.qualities(),
  height: () => video.videoHeight,
  complete: () => viewer.cues.complete,
  whole: () => whole,
  state: () => Object.fromEntries(viewer.cues.keys().map((key) => [key, viewer.cues.state(key)])),
};
