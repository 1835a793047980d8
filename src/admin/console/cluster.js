// The nodes of a cluster, and which of them owns what.

import { h, number } from "/dom.js";

export function clusterView(overview) {
  const nodes = h("tbody");
  const accounts = h("tbody");
  const none = h("p", { class: "none" }, "This gateway is by itself: there is no [cluster].");
  const panels = h("div", { class: "columns even", hidden: true },
    panel("nodes-title", "Nodes that live", table("Node", "Version", nodes)),
    panel("owners-title", "Accounts and their owners", table("Account", "Epoch", accounts)));
  let drawn = "";

  async function look() {
    const cluster = overview()?.cluster;
    const now = JSON.stringify(cluster ?? null);
    if (now === drawn) return;
    drawn = now;
    none.hidden = Boolean(cluster);
    panels.hidden = !cluster;
    if (!cluster) return;
    nodes.replaceChildren(...cluster.nodes.map(({ name, address, version, is_this }) =>
      row(name, `${address}${is_this ? ", which tells this" : ""}`, version)));
    accounts.replaceChildren(...cluster.accounts.map(({ account, region, owner, epoch }) =>
      row(`${account} ${region}`, owner === null ? "nobody, at present" : `owned by ${owner}`,
        epoch === null ? "–" : number(epoch))));
  }

  const node = h("div", {},
    h("h1", { class: "page-title" }, "Cluster"),
    h("p", { class: "note" }, "As this node last saw it in the database. The epoch counts how often an account was taken. "
      + "Figures, channels and dead letters are those of all owners; refusals are this node's own."),
    none, panels);
  return { node, look };
}

function panel(id, title, content) {
  return h("section", { class: "panel", "aria-labelledby": id }, h("div", { class: "head" }, h("h2", { id }, title)), content);
}

function table(name, value, body) {
  return h("table", { class: "reasons" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "name" }, name), h("th", { scope: "col" }, value))), body);
}

function row(name, about, value) {
  return h("tr", {},
    h("th", { scope: "row", class: "name" }, h("code", {}, name), h("small", {}, about)), h("td", {}, value));
}
