// The channel's picture with its events on it, drawn as a viewer's page would: by hls.js and the library for players.

import { call, proof } from "/api.js";
import { count, h, set } from "/dom.js";
import { attach } from "/player.js";

/** How far back it can be gone, in s. The buffer keeps more, because hls.js takes off whole segments. */
const BACK = 60;
const BUFFER = BACK + 30;
/** How long an event is on the picture, in s of it, and how many at once. */
const ON_PICTURE = 4;
const CHIPS = 4;
/** Events and keys beside the picture. */
const LISTED = 30;
const KEYS = 12;
/** After the picture broke, in ms. */
const AGAIN = 3000;
/** How long after somebody went back hls.js may want to go elsewhere, in ms. */
const SETTLE = 1500;
/** The newest picture is not there yet when it is asked for, in s. */
const EDGE = 1;

export function watchPanel(channel) {
  // Where the picture is; undefined: that is not known yet.
  let place;
  let wanted = false;
  let hls = null;
  let cues = null;
  let failedAt = -Infinity;
  let asked = null;
  const mine = new Set();

  const video = h("video", { playsinline: true, "aria-label": "The picture" });
  // An attribute does it only where a parser finds it.
  video.muted = true;
  const chips = h("ul", { class: "chips", id: "chips" });
  const toggle = h("button", { type: "button", id: "watch", "aria-expanded": "false", "aria-controls": "watched" }, "Watch");
  const note = h("p", { class: "note", id: "watch-note", role: "status" }, "The picture as viewers get it, with the events on it.");
  const slider = h("input", { id: "back", type: "range", min: -BACK, max: 0, step: 1, value: 0, disabled: true });
  const behind = h("span", { class: "where", id: "behind" });
  const newest = h("button", { type: "button", id: "newest", disabled: true }, "Newest");
  const list = h("ol", { class: "watched-events", id: "heard", tabindex: 0, "aria-label": "Events that the picture has come to" });
  const values = h("dl", { class: "pairs", id: "values" });
  const more = h("p", { class: "note", hidden: true });

  toggle.addEventListener("click", () => {
    wanted = !wanted;
    if (wanted) play();
    else end("The picture as viewers get it, with the events on it.");
    draw();
  });
  slider.addEventListener("input", () => go(edge() + Number(slider.value)));
  newest.addEventListener("click", () => go(hls.liveSyncPosition ?? edge() - EDGE));
  video.addEventListener("timeupdate", draw);
  video.addEventListener("seeking", () => {
    // Where hls.js finds the picture behind the playlist just then, it goes to its end.
    if (asked && performance.now() < asked.until && Math.abs(video.currentTime - asked.to) > 1) moveTo(asked.to);
  });
  video.addEventListener("playing", () => set(note, "Events come out some seconds after they were sent, as the picture does."));

  const edge = () => (video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0);
  const oldest = () => Math.max(edge() - BACK, video.buffered.length ? video.buffered.start(video.buffered.length - 1) : 0);

  function go(to) {
    const place = Math.min(Math.max(to, oldest()), edge() - EDGE);
    asked = { to: place, until: performance.now() + SETTLE };
    moveTo(place);
  }

  function moveTo(place) {
    video.currentTime = place;
    // At once: the library tells of what comes next as soon as it sees where the picture is.
    chips.replaceChildren();
    for (const item of [...list.children]) if (item.dataset.time > place) item.remove();
    draw();
  }

  async function play() {
    // It is large: only who watches loads it. It leaves a name behind and exports nothing.
    await import("/hls.light.min.js");
    if (!wanted || hls || document.hidden) return;
    const { Hls } = window;
    hls = new Hls({
      enableWorker: false,
      backBufferLength: BUFFER,
      maxBufferLength: BUFFER,
      // The library takes what is in the fragments. Tracks of hls.js would need more of the content security policy.
      enableID3MetadataCues: false,
      enableEmsgMetadataCues: false,
      enableDateRangeMetadataCues: false,
      // The key is for this origin alone.
      xhrSetup: (request, url) => {
        if (new URL(url, location).origin === location.origin) Object.entries(proof()).forEach(([name, value]) => request.setRequestHeader(name, value));
      },
    });
    hls.on(Hls.Events.ERROR, (_, { fatal, details, response }) => {
      // A channel that is not live has no playlist: hls.js would ask for it for a while.
      const gone = details !== Hls.ErrorDetails.FRAG_LOAD_ERROR && response?.code === 404;
      if (!fatal && !gone) return;
      failedAt = performance.now();
      end("There is no picture: the channel is not live. It is tried again.");
    });
    cues = attach("hls", hls);
    cues.on("*", (event) => add(event, [["type", event.type], ["key", event.key]], JSON.stringify(event.data)));
    cues.on("#foreign", (event) => add(event, [], event.text));
    hls.loadSource(place);
    hls.attachMedia(video);
    // It is muted, so it may begin by itself.
    video.play().catch(() => {});
  }

  function end(words) {
    cues?.stop();
    hls?.destroy();
    hls = cues = asked = null;
    chips.replaceChildren();
    list.replaceChildren();
    set(note, words);
    draw();
  }

  function add({ n, time, late }, about, text) {
    const tags = () => about.filter(([, value]) => value !== undefined).map(([name, value]) =>
      h("span", { class: "tag" }, h("span", { class: "tag-name" }, name), String(value)));
    const item = () => h("li", { class: mine.has(n) ? "is-mine" : null, "data-time": time, "data-n": n }, ...tags(), h("code", {}, text));
    list.prepend(item());
    while (list.children.length > LISTED) list.lastElementChild.remove();
    if (late > ON_PICTURE) return;
    chips.append(item());
    while (chips.children.length > CHIPS) chips.firstElementChild.remove();
  }

  function draw() {
    node.classList.toggle("is-on", wanted);
    toggle.setAttribute("aria-expanded", String(wanted));
    set(toggle, wanted ? "Stop" : "Watch");
    body.hidden = !wanted;
    const ready = hls !== null && video.buffered.length > 0;
    slider.disabled = newest.disabled = !ready;
    for (const chip of [...chips.children]) if (chip.dataset.time < video.currentTime - ON_PICTURE) chip.remove();
    drawState();
    if (!ready) return set(behind, "");
    const seconds = Math.round(edge() - video.currentTime);
    slider.min = Math.round(oldest() - edge());
    slider.value = -seconds;
    set(behind, `${seconds} s behind the newest picture`);
    slider.setAttribute("aria-valuetext", behind.textContent);
  }

  function drawState() {
    const keys = cues?.keys() ?? [];
    while (values.children.length > Math.min(keys.length, KEYS)) values.lastElementChild.remove();
    keys.slice(0, KEYS).forEach((key, at) => {
      const pair = values.children[at] ?? values.appendChild(h("div", {}, h("dt"), h("dd", { class: "mono" })));
      set(pair.firstElementChild, key);
      set(pair.lastElementChild, JSON.stringify(cues.state(key)));
    });
    more.hidden = keys.length <= KEYS;
    set(more, `${count(keys.length - KEYS, "key")} more.`);
  }

  const body = h("div", { class: "watched", id: "watched", hidden: true },
    h("div", {},
      h("div", { class: "screen" }, video, chips),
      h("div", { class: "back" }, h("label", { for: "back" }, "Go back"), slider, newest), behind),
    h("div", {}, h("h3", {}, "Events that the picture has come to"), list),
    h("div", {}, h("h3", {}, "The state there, by key"), values, more));
  const node = h("section", { class: "panel watch", "aria-labelledby": "watch-title", hidden: true },
    h("div", { class: "head" }, h("h2", { id: "watch-title" }, "Watch"), note, h("div", { class: "actions" }, toggle)), body);

  return {
    node,
    async look() {
      if (place === undefined) {
        place = (await call(`/admin/playback/${encodeURIComponent(channel)}`)).url;
        node.hidden = place === null;
      }
      if (wanted && !hls && performance.now() > failedAt + AGAIN) await play();
    },
    start: () => wanted && play(),
    stop: () => end("Stopped while nobody looks."),
    /** The payload of this number carries the page's test event. */
    mark: (n) => {
      mine.add(Number(n));
      for (const item of [...list.children, ...chips.children]) if (item.dataset.n === String(n)) item.classList.add("is-mine");
    },
  };
}
