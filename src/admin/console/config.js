// The configuration in force, as the gateway tells it: without secrets.

import { call } from "/api.js";
import { h } from "/dom.js";

/** Looks between two at it: it changes with a reload only. */
const SLOW = 5;

/** In the order of the file; what is not here comes after. */
const ORDER = [
  "upstream", "server", "admin", "metrics", "local_ivs", "quota", "journal", "cluster", "limits", "put_metadata",
  "channel_defaults", "channels", "eventbridge", "jwt", "tracing", "tuning", "state", "channel", "account", "api_key", "webhook",
];

/** Tables of a list that are shown; a show can have thousands of channels. */
const SHOWN = 100;

export function configView() {
  const sections = h("div", { class: "sections" });
  let drawn = "";
  let looks = 0;

  async function look() {
    if (looks++ % SLOW) return;
    const config = await call("/admin/config");
    const now = JSON.stringify(config);
    if (now === drawn) return;
    drawn = now;
    const place = (name) => (ORDER.indexOf(name) + ORDER.length + 1) % (ORDER.length + 1);
    const names = Object.keys(config).sort((a, b) => place(a) - place(b));
    sections.replaceChildren(...names.flatMap((name) => sectionsOf(name, config[name])));
  }

  const node = h("div", {},
    h("h1", { class: "page-title" }, "Configuration in force"),
    h("p", { class: "note" }, "What the file, the environment and the defaults come to. Secrets are not shown. "
      + "A changed file is applied on SIGHUP or by POST /admin/reload."),
    sections);
  return { node, look };
}

function sectionsOf(name, value) {
  if (!Array.isArray(value)) return [section(`[${name}]`, name, value ?? {})];
  const shown = value.slice(0, SHOWN).map((table, at) => section(`[[${name}]]`, `${name}-${at}`, table));
  if (value.length > SHOWN) shown.push(h("p", { class: "none" }, `and ${value.length - SHOWN} more [[${name}]]`));
  return shown;
}

function section(title, id, table) {
  const first = ["name", "id", "arn", "region"].filter((key) => key in table);
  const keys = [...first, ...Object.keys(table).filter((key) => !first.includes(key))];
  return h("section", { class: "panel", "aria-labelledby": `${id}-title` },
    h("h2", { class: "mono", id: `${id}-title` }, title),
    h("dl", { class: "pairs" }, ...keys.map((key) =>
      h("div", {}, h("dt", { class: "mono" }, key), h("dd", { class: "mono" }, shownValue(table[key]))))));
}

function shownValue(value) {
  if (value === null || value === "") return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}
