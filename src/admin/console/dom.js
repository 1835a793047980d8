// Elements and texts. Whatever comes from an event, a channel or a problem becomes a text node
// and nothing else.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on` is a map of listeners; other properties are attributes. */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same in SVG. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(node, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  for (const [event, listener] of Object.entries(on)) node.addEventListener(event, listener);
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Sets a text only if it differs: what has not changed is not drawn or read out again. */
export function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Says something to those who listen to the page rather than look at it. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const number = (n) => whole.format(n);

export function rate(perSecond) {
  if (perSecond == null) return "–";
  return perSecond > 0 && perSecond < 10 ? tenths.format(perSecond) : whole.format(perSecond);
}

export function bytes(n) {
  if (n < 10_000) return `${number(n)} B`;
  return n < 10_000_000 ? `${number(n / 1024)} KiB` : `${number(n / 1048576)} MiB`;
}

export function span(ms) {
  if (ms == null) return "–";
  if (ms < 1000) return `${number(ms)} ms`;
  if (ms < 60_000) return `${tenths.format(ms / 1000)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
}

/** A time of day, with the day where it is another one. */
export function time(ms) {
  const at = new Date(ms);
  const clock = at.toLocaleTimeString("en-GB");
  return at.toDateString() === new Date().toDateString() ? clock : `${at.toLocaleDateString("en-CA")} ${clock}`;
}

export function count(n, one, many = `${one}s`) {
  return `${number(n)} ${n === 1 ? one : many}`;
}

/**
 * Makes `list` have these items, each `[name, make]`, in their order: what is there under its name stays as it is, with the focus
 * that it has. `make` is called for what is new.
 */
export function arrange(list, items) {
  const known = new Map([...list.children].map((node) => [node.dataset.name, node]));
  const wanted = items.map(([name, make]) => {
    const node = known.get(name) ?? make();
    known.delete(name);
    node.dataset.name = name;
    return node;
  });
  for (const node of known.values()) node.remove();
  wanted.forEach((node, at) => list.children[at] !== node && list.insertBefore(node, list.children[at] ?? null));
  return wanted;
}

/** A state as a word with a mark beside it: never a colour alone. */
export function badge(state) {
  return h("span", { class: `state ${state}` }, state);
}

/** Asks a question before something is done; resolves to whether the answer was yes. */
export function ask({ title, text, yes, danger = false }) {
  const dialog = document.getElementById("ask");
  const [agree, refuse] = [document.getElementById("ask-yes"), document.getElementById("ask-no")];
  document.getElementById("ask-title").textContent = title;
  document.getElementById("ask-text").textContent = text;
  agree.textContent = yes;
  agree.className = danger ? "danger" : "primary";
  return new Promise((resolve) => {
    agree.onclick = () => dialog.close("yes");
    refuse.onclick = () => dialog.close("no");
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
    // Escape closes with the value that is there.
    dialog.returnValue = "no";
    dialog.showModal();
    refuse.focus();
  });
}
