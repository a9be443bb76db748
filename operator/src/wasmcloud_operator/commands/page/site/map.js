// The map: lattices with their pools of hosts and their applications.

import { $, badge, h, sync } from "./dom.js";
import { graph } from "./graph.js";

const OPEN_GRAPHS = 12;

export function drawMap(model, filter, choose) {
  const hosts = Map.groupBy(model.of("host"), (row) => row.pool);
  const pools = Map.groupBy(model.of("pool"), (row) => row.lattice);
  const applications = Map.groupBy(model.of("application"), (row) => row.lattice);
  const lattices = model.of("lattice");
  const named = new Set(lattices.map((row) => row.name));
  const lost = [...applications.keys()].filter((name) => !named.has(name));
  const all = [...lattices, ...lost.map((name) => ({ id: `lattice/${name}`, kind: "lattice", name, nats: "?", wadm: "?" }))];
  const shown = all
    .map((row) => section(row, pools.get(row.name) ?? [], hosts, applications.get(row.name) ?? [], filter))
    .filter((one) => filter.empty || one.pools.length || one.applications.length);
  sync($("lattices"), shown, (one, old) => drawLattice(one, old, choose));
  $("nothing").hidden = shown.length > 0;
  $("nothing").textContent = all.length ? "Nothing matches the filter." : "No host config and no application is here yet.";
}

// What a lattice shows under the filter: a pool also for the sake of one of its hosts.
function section(row, pools, hostsOf, applications, filter) {
  const shown = pools
    .map((pool) => {
      const own = hostsOf.get(pool.id) ?? [];
      const whole = filter.lets(pool);
      const hosts = whole ? own : own.filter((host) => filter.lets(host));
      return { id: pool.id, pool, hosts, whole, parts: [pool, ...hosts] };
    })
    .filter((one) => one.whole || one.hosts.length);
  return { id: row.id, row, pools: shown, applications: applications.filter((one) => filter.lets(one)) };
}

function drawLattice({ row, pools, applications }, old, choose) {
  const node = old ?? h("section", { class: "lattice", "data-id": row.id }, h("header", {}), h("div", { class: "columns pools" }), h("h4", {}, "Applications"), h("div", { class: "columns applications" }));
  const [head, poolList, title, list] = node.children;
  head.replaceChildren(
    h("h3", {}, row.name || "no lattice"),
    badge(row.nats === "?" ? null : row.nats === "up", `NATS ${row.nats}`),
    badge(row.wadm === "?" ? null : row.wadm === "up", `wadm ${row.wadm}`));
  sync(poolList, pools, (one, before) => drawPool(one, before, choose));
  title.hidden = !applications.length;
  const open = applications.length <= OPEN_GRAPHS;
  const cards = applications.map((one) => ({ id: one.id, one, parts: [one, open] }));
  sync(list, cards, ({ one: application }, before) => drawApplication(application, before, open, choose));
  return node;
}

function drawPool({ id, pool, hosts }, old, choose) {
  const node = old ?? h("article", { class: "pool", "data-id": id }, h("button", { type: "button", class: "open", onclick: () => choose(id) }), h("p", { class: "state quiet" }), h("div", { class: "hosts", role: "group" }));
  const [head, state, tiles] = node.children;
  head.replaceChildren(h("span", { class: "name" }, `${pool.namespace}/${pool.name}`), badge(pool.fine, pool.state));
  state.textContent = `${pool.hosts} hosts, version ${pool.version}`;
  tiles.setAttribute("aria-label", `Hosts of ${pool.name}`);
  sync(tiles, hosts, (host, before) => drawHost(host, before, choose));
  rove(tiles);
  return node;
}

function drawHost(host, old, choose) {
  const node = old ?? h("button", { type: "button", onclick: () => choose(host.id), "data-id": host.id });
  node.className = `host ${host.fine ? "good" : "bad"}${node.classList.contains("lit") ? " lit" : ""}`;
  const running = host.components + host.providers;
  node.textContent = host.fine ? String(running) : "✗";
  node.setAttribute("aria-label", `host ${host.name}, ${host.state}, runs ${running}`);
  node.title = `${host.name}\npod ${host.pod}\nnode ${host.node ?? ""}\n${host.state}`;
  return node;
}

// One stop of the Tab key for all hosts of a pool; arrows move between them.
function rove(tiles) {
  const current = [...tiles.children].find((tile) => tile === document.activeElement || tile.tabIndex === 0 && tile.dataset.stop);
  for (const tile of tiles.children) {
    tile.tabIndex = -1;
    delete tile.dataset.stop;
  }
  const stop = current ?? tiles.firstElementChild;
  if (stop) {
    stop.tabIndex = 0;
    stop.dataset.stop = "true";
  }
}

export function moveBetweenHosts(event) {
  const tiles = event.target.closest?.(".hosts");
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!tiles || !step) return false;
  const all = [...tiles.children];
  all[(all.indexOf(event.target) + step + all.length) % all.length].focus();
  rove(tiles);
  event.preventDefault();
  return true;
}

function drawApplication(row, old, open, choose) {
  const scaled = row.scalers.length
    ? `${row.scalers.filter((one) => one.status === "deployed").length} of ${row.scalers.length} scalers deployed` : "no scalers";
  const urls = row.services.map((one) => h("li", {}, `${one.name}: ${(one.urls ?? []).join(" ")} (${one.readyEndpoints ?? 0} ready)`));
  const node = old ?? h("article", { class: "application", "data-id": row.id }, h("button", { type: "button", class: "open", onclick: () => choose(row.id) }));
  const [head, ...rest] = node.children;
  head.replaceChildren(h("span", { class: "name" }, `${row.namespace}/${row.name}`), badge(row.fine, row.phase));
  for (const part of rest) part.remove();
  node.append(h("p", { class: "state quiet" }, row.fine ? scaled : `${scaled}; ${row.message}`));
  if (urls.length) node.append(h("ul", { class: "links state" }, ...urls));
  if (open && row.components.length) node.append(graph(row));
  return node;
}

// Marks what is chosen, and the hosts that run it.
export function mark(chosen, lit) {
  for (const node of document.querySelectorAll(".chosen, .lit")) node.classList.remove("chosen", "lit");
  for (const node of document.querySelectorAll("[data-id]")) {
    if (node.dataset.id === chosen) node.classList.add("chosen");
    if (lit.has(node.dataset.id)) node.classList.add("lit");
  }
}
