// The page: which view is shown, what its header says, and the one clock all of it goes by.

import { Rates, Refused, call, hasKey, useKey } from "/api.js";
import { channelView } from "/channel.js";
import { channelsView } from "/channels.js";
import { clusterView } from "/cluster.js";
import { configView } from "/config.js";
import { defineView } from "/define.js";
import { h, number, rate, set } from "/dom.js";
import { lettersView } from "/letters.js";
import { lossesView } from "/losses.js";

/** Between two looks, in ms. */
const EVERY = 1000;
/** Accounts shown one by one; of more, those that cannot send are named. */
const ACCOUNTS_SHOWN = 4;

const byId = (id) => document.getElementById(id);
const rates = new Rates();
let view = null;
let timer = null;
let looking = false;
let again = false;
let lastSeen = null;
let overview = null;

/** The view that the address asks for, its title, and which link of the header is its own. */
function viewOf(hash) {
  const [, name = "channels", argument] = hash.split("/");
  if (name === "channel" && argument) {
    const channel = decodeURIComponent(argument);
    return [channelView(channel, () => overview), channel, "channels"];
  }
  if (name === "new") return [defineView(null), "Add a channel", "channels"];
  if (name === "edit" && argument) {
    const channel = decodeURIComponent(argument);
    return [defineView(channel), `Edit ${channel}`, "channels"];
  }
  if (name === "losses") return [lossesView(), "Refusals and losses", name];
  if (name === "letters") return [lettersView({}), "Dead letters", name];
  if (name === "cluster") return [clusterView(() => overview), "Cluster", name];
  if (name === "config") return [configView(), "Configuration", name];
  return [channelsView(), "Channels", "channels"];
}

function show() {
  view?.stop?.();
  let title, link;
  [view, title, link] = viewOf(location.hash);
  document.title = `${title} · Cuegate console`;
  for (const a of document.querySelectorAll("nav a")) {
    if (a.hash === `#/${link}`) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  byId("main").replaceChildren(view.node);
  if (!document.hidden) {
    view.start?.();
    look();
  }
}

/** Looks at everything once, and again after a while unless nobody sees it. */
async function look() {
  clearTimeout(timer);
  again = looking;
  if (looking || document.hidden) return;
  looking = true;
  const shown = view;
  try {
    overview = await call("/admin/overview");
    header(overview);
    lastSeen = Date.now();
    await shown.look?.();
    lastSeen = Date.now();
    trouble(overview);
    wantKey(false);
  } catch (error) {
    failed(error);
  } finally {
    looking = false;
    if (!document.hidden) timer = setTimeout(look, again || shown !== view ? 0 : EVERY);
  }
}

/** Shows the form for a key, or that there is one. */
function wantKey(wanted) {
  byId("unlock").hidden = !wanted;
  // What is behind the key is not to be seen beside the question for it.
  for (const id of ["main", "figures"]) byId(id).hidden = wanted;
  byId("forget").hidden = wanted || !hasKey();
}

function failed(error) {
  const wanted = error instanceof Refused && (error.status === 401 || error.status === 403);
  if (wanted) wantKey(true);
  if (error.status === 401 && !hasKey()) {
    tell("");
    return;
  }
  const since = lastSeen ? ` What is shown is from ${new Date(lastSeen).toLocaleTimeString("en-GB")}.` : "";
  const why = error instanceof Refused ? `The gateway refused: ${error.message}.` : "The gateway does not answer.";
  tell(why + since);
}

function trouble({ draining, journal, accounts, cluster }) {
  const lines = [];
  if (draining) lines.push("The gateway is shutting down: new events are refused.");
  if (journal) lines.push(`New events are refused: ${journal}.`);
  for (const account of accounts.filter((account) => !account.up)) {
    lines.push(`Account ${account.account} in ${account.region} cannot send: ${account.reason}`);
  }
  for (const { account, region } of (cluster?.accounts ?? []).filter(({ owner }) => owner === null)) {
    lines.push(`Nobody owns account ${account} in ${region} at present.`);
  }
  if (cluster && !cluster.whole) lines.push("Not every owner tells its figures: those above are of the others.");
  tell(lines.join(" "));
}

function tell(text) {
  byId("trouble").hidden = text === "";
  set(byId("trouble"), text);
}

function header({ version, mode, queued, delivered, channels, dead_letters, accounts, cluster }) {
  byId("cluster-link").hidden = !cluster;
  set(byId("version"), version);
  const banner = byId("mode");
  banner.hidden = false;
  banner.className = `mode ${mode}`;
  set(banner, mode === "local"
    ? "LOCAL MODE: the emulator in this process. Nothing reaches AWS or a viewer."
    : "AWS: every payload reaches real viewers.");
  const [out] = rates.of("all", [delivered]);
  figures([
    ["Channels", number(channels)],
    ["Queued", number(queued)],
    ["Delivered", `${rate(out)}/s`],
    ["Dead letters", number(dead_letters)],
    ...accountFigures(accounts),
  ]);
}

function accountFigures(accounts) {
  if (accounts.length > ACCOUNTS_SHOWN) {
    const down = accounts.filter((account) => !account.up).length;
    return [["Accounts", `${number(accounts.length)}${down ? `, ${down} down` : ""}`]];
  }
  return accounts.map(({ account, region, up, tokens }) => [
    `${account} ${region}`,
    up ? `${tokens.available}/${tokens.limit} tokens` : "down",
  ]);
}

function figures(pairs) {
  const list = byId("figures");
  while (list.children.length > pairs.length) list.lastElementChild.remove();
  pairs.forEach(([name, value], at) => {
    const pair = list.children[at] ?? list.appendChild(h("div", {}, h("dt"), h("dd")));
    set(pair.firstElementChild, name);
    set(pair.lastElementChild, value);
  });
}

addEventListener("hashchange", () => {
  show();
  byId("main").focus({ preventScroll: true });
  scrollTo(0, 0);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(timer);
    view.stop?.();
  } else {
    view.start?.();
    look();
  }
});
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
byId("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("unlock-key").value.trim());
  byId("unlock-key").value = "";
  // Streams begin anew too, with the key.
  show();
});
byId("forget").addEventListener("click", () => {
  useKey(null);
  location.reload();
});
// For those who want another look at once; nothing else on the page uses it.
addEventListener("looknow", look);
show();
