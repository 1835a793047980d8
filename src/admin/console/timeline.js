// The payloads of the last two minutes as bars: when each was sent, how full it is, in which form, and whether it tells of the state.

import { count, h, set, svg } from "/dom.js";

/** Seconds that are shown, and payloads: 5 a second. */
const SECONDS = 120;
const BARS = 600;
const HEIGHT = 40;
const FORMS = ["plain", "compressed", "slice"];

export function timelineOf() {
  const bars = [];
  const drawing = svg("svg", { viewBox: `0 0 ${SECONDS} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const words = h("span", { class: "where" });
  const counts = new Map([...FORMS, "entries"].map((name) => [name, h("span", { class: `legend ${name}` })]));
  const node = h("figure", { class: "chart timeline" }, drawing,
    h("figcaption", {}, ...counts.values(), words));

  /** `at` in ms of the wall clock, `share` of what may be sent. */
  function add(at, share, form, entries) {
    bars.push({ at, share: Math.min(1, share), form: form ?? "plain", entries });
    if (bars.length > BARS) bars.shift();
    draw();
  }

  function draw(now = Date.now()) {
    while (bars.length && bars[0].at < now - SECONDS * 1000) bars.shift();
    drawing.replaceChildren(...bars.flatMap(({ at, share, form, entries }) => {
      const x = SECONDS - Math.max(0, now - at) / 1000 - 0.15;
      const height = Math.max(1, share * (HEIGHT - 6));
      const bar = svg("rect", { class: form, x, y: HEIGHT - height, width: 0.3, height });
      return entries ? [bar, svg("rect", { class: "entries", x, y: 0, width: 0.3, height: 4 })] : [bar];
    }));
    const full = bars.length ? Math.round((100 * bars.reduce((sum, { share }) => sum + share, 0)) / bars.length) : 0;
    const told = bars.length ? `${count(bars.length, "payload")} in two minutes, ${full} % full` : "No payload in two minutes";
    set(words, told);
    drawing.setAttribute("aria-label", told);
    for (const [name, label] of counts) {
      const with_ = bars.filter(({ form, entries }) => (name === "entries" ? entries > 0 : form === name)).length;
      label.hidden = with_ === 0;
      set(label, `${with_} ${name === "entries" ? "with state" : name}`);
    }
  }

  draw();
  return { node, add, draw };
}
