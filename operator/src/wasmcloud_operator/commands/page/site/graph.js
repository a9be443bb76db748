// An application as a graph: Services, then its components and providers in the order of their links, left to right.

import { svg } from "./dom.js";

const WIDE = 150, HIGH = 40, ACROSS = 200, DOWN = 52;

export function graph(application) {
  const nodes = nodesOf(application);
  const edges = edgesOf(application, nodes);
  place(nodes, edges);
  const width = Math.max(...nodes.map((node) => node.x)) + WIDE + 2;
  const height = Math.max(...nodes.map((node) => node.y)) + HIGH + 2;
  const marker = `arrow-${application.id.replace(/[^\w-]/g, "-")}`;
  return svg("svg", { class: "graph", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spoken(application) },
    svg("defs", {}, svg("marker", { id: marker, viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
      svg("path", { d: "M0 0L8 4L0 8z" }))),
    ...edges.map((edge) => line(edge, marker)),
    ...nodes.map(box));
}

function nodesOf(application) {
  const components = application.components.map((one) => ({
    id: `c/${one.name}`, kind: one.type === "capability" ? "provider" : "component", title: one.name,
    text: one.shared ? `of ${one.shared}` : running(application, one.name),
  }));
  const services = application.services.map((one) => ({
    id: `s/${one.namespace}/${one.name}`, kind: one.readyEndpoints ? "service" : "service empty", title: one.name,
    text: `${one.readyEndpoints} ready · ${one.urls?.[0] ?? "no address"}`,
  }));
  return [...services, ...components];
}

function running(application, name) {
  const there = application.placements.filter((one) => one.component === name);
  if (!there.length) return "runs nowhere";
  const instances = there.reduce((sum, one) => sum + one.instances, 0);
  const more = application.placementCount > application.placements.length ? "+" : "";
  return `${instances}${more} on ${there.length}${more} host${there.length === 1 ? "" : "s"}`;
}

function edgesOf(application, nodes) {
  const known = new Map(nodes.map((node) => [node.id, node]));
  const links = application.links.map((link) => [`c/${link.from}`, `c/${link.to}`, link.label]);
  const servers = application.components.filter((one) => one.type === "capability" && application.links.some((link) => link.from === one.name));
  const services = application.services.map((one) => {
    const server = servers.length === 1 ? servers[0] : servers.find((each) => one.name.endsWith(each.name));
    return server ? [`s/${one.namespace}/${one.name}`, `c/${server.name}`, "HTTP"] : null;
  });
  return [...services.filter(Boolean), ...links]
    .map(([from, to, label]) => ({ from: known.get(from), to: known.get(to), label }))
    .filter((edge) => edge.from && edge.to && edge.from !== edge.to);
}

// Each node stands right of what leads to it; links in a circle end after as many steps as there are nodes.
function place(nodes, edges) {
  for (const node of nodes) node.level = 0;
  for (let round = 0; round < nodes.length; round += 1) {
    let moved = false;
    for (const { from, to } of edges) {
      if (to.level <= from.level && from.level + 1 < nodes.length) {
        to.level = from.level + 1;
        moved = true;
      }
    }
    if (!moved) break;
  }
  const rows = new Map();
  for (const node of nodes) {
    const row = rows.get(node.level) ?? 0;
    rows.set(node.level, row + 1);
    node.x = 1 + node.level * ACROSS;
    node.y = 1 + row * DOWN;
  }
}

function box(node) {
  return svg("g", { class: node.kind, transform: `translate(${node.x} ${node.y})` },
    svg("title", {}, `${node.title}: ${node.text}`),
    svg("rect", { width: WIDE, height: HIGH, rx: 6 }),
    svg("text", { x: 8, y: 16 }, short(node.title, 20)),
    svg("text", { x: 8, y: 32, class: "small" }, short(node.text, 24)));
}

function line({ from, to, label }, marker) {
  const [x1, y1, x2, y2] = [from.x + WIDE, from.y + HIGH / 2, to.x, to.y + HIGH / 2];
  const bend = Math.max(20, Math.abs(x2 - x1) / 2);
  return svg("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, "marker-end": `url(#${marker})` },
    svg("title", {}, `${from.title} → ${to.title}: ${label}`));
}

function short(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

function spoken(application) {
  const links = application.links.map((link) => `${link.from} to ${link.to}`).join(", ");
  return `Links of ${application.name}: ${links || "none"}`;
}
