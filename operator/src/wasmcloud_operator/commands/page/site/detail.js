// The side: what is known of the chosen object, why it is not fine, and what changed lately.

import { $, badge, h, sync } from "./dom.js";

const WORDS = { pool: "WasmCloudHostConfig", host: "Host", application: "Application" };

let drawn = [];

export function drawDetail(row, causes) {
  const body = $("detail-body");
  if (!row || (drawn[0] === row && drawn[1] === causes)) return;
  drawn = [row, causes];
  $("detail-title").textContent = `${WORDS[row.kind]} ${row.name}`;
  body.replaceChildren(badge(row.fine, row.phase ?? row.state), facts(row), ...why(row, causes), ...lists(row));
}

function facts(row) {
  const pairs = {
    pool: () => ({ Namespace: row.namespace, Lattice: row.lattice, Hosts: row.hosts, Version: row.version, Message: row.message }),
    host: () => ({ Namespace: row.namespace, Pod: row.pod, Node: row.node, Address: row.address, Host: row.host, Version: row.version }),
    application: () => ({ Namespace: row.namespace, Lattice: row.lattice, Version: row.version, Message: row.message, Placements: row.placementCount }),
  }[row.kind]();
  pairs.Labels = Object.entries(row.labels ?? {}).map(([key, value]) => `${key}=${value}`).join(", ");
  const shown = Object.entries(pairs).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return h("dl", {}, ...shown.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]));
}

function lists(row) {
  if (row.kind === "host") return table("Runs", ["Application", "Components", "Providers"], row.applications.map((one) => [one.name, one.components, one.providers]));
  if (row.kind === "application") {
    const pods = row.placements.map((one) => [one.component, one.pod ?? one.host, one.instances]);
    const more = row.placementCount - row.placements.length;
    if (more > 0) pods.push([`and ${more} more`, "", ""]);
    return [
      ...table("Scalers, in wadm's words", ["Scaler", "Of", "State"], row.scalers.map((one) => [one.kind, one.name, one.message || one.status])),
      ...table("Runs on", ["Component", "Pod or host", "Instances"], pods),
      ...table("Services", ["Service", "Ready", "Address"], row.services.map((one) => [one.name, one.readyEndpoints ?? 0, (one.urls ?? []).join(" ")])),
    ];
  }
  return [];
}

function table(title, head, rows) {
  if (!rows.length) return [];
  return [h("h3", {}, title), h("table", {},
    h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((text) => h("td", {}, String(text ?? "")))))))];
}

function why(row, causes) {
  if (row.kind === "host" || row.fine) return row.kind === "host" && !row.fine ? [h("p", {}, row.state)] : [];
  if (causes === undefined) return [h("h3", {}, "Why"), h("p", { class: "quiet" }, "looking …")];
  if (typeof causes === "string") return [h("h3", {}, "Why"), h("p", {}, causes)];
  return [h("h3", {}, "Why"), h("ol", { class: "causes" }, ...causes.map((cause) => h("li", {},
    h("strong", {}, cause.subject), cause.field ? ` (${cause.field})` : "", `: ${cause.text}`,
    cause.command ? h("pre", {}, cause.command) : null)))];
}

export function drawRecent(entries, now, choose) {
  const items = entries.map((entry) => ({ id: `${entry.at} ${entry.of} ${entry.text}`, entry, parts: [] }));
  sync($("recent"), items, ({ entry }) => h("li", {}, h("time", { datetime: entry.at, class: "quiet" }), " ",
    h("button", { type: "button", onclick: () => choose(entry.of) }, entry.of), ` ${entry.text}`));
  for (const time of $("recent").querySelectorAll("time")) time.textContent = ago(time.dateTime, now);
}

export function forget() {
  drawn = [];
}

function ago(at, now) {
  const seconds = Math.max(0, Math.round((now - Date.parse(at)) / 1000));
  return seconds < 60 ? `${seconds} s ago` : `${Math.floor(seconds / 60)} min ago`;
}
