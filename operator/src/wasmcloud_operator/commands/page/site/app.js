// Wires the page: the stream of rows, the filter, the keyboard, the theme.

import { $, h } from "./dom.js";
import { drawDetail, drawRecent, forget } from "./detail.js";
import { drawMap, mark, moveBetweenHosts } from "./map.js";
import { Filter, Model } from "./model.js";

const model = new Model();
const filter = { search: "", namespace: "", labels: "", troubled: false };
let chosen = "";
let shown;
let causes;
let due = false;

function draw() {
  due = false;
  drawCluster();
  drawNamespaces();
  drawMap(model, new Filter(filter), choose);
  drawRecent(model.get("recent")?.entries ?? [], Date.now(), choose);
  drawChosen();
}

function drawSoon() {
  if (!due) {
    due = true;
    requestAnimationFrame(draw);
  }
}

function drawCluster() {
  const cluster = model.get("cluster");
  const problems = cluster?.problems ?? [];
  $("cluster").textContent = cluster?.host ?? "";
  const text = problems.length ? `What is shown may be out of date:\n${problems.join("\n")}` : "";
  if ($("problems").textContent !== text) $("problems").textContent = text;
  $("problems").hidden = !problems.length;
}

function drawNamespaces() {
  const names = ["", ...model.namespaces()];
  const select = $("namespace");
  if (names.join() === [...select.options].map((option) => option.value).join()) return;
  select.replaceChildren(...names.map((name) => h("option", { value: name }, name || "all")));
  select.value = names.includes(filter.namespace) ? filter.namespace : "";
  filter.namespace = select.value;
}

function drawChosen() {
  const row = model.get(chosen);
  if (row && row !== shown) {
    shown = row;
    explain(row);
  }
  drawDetail(row, causes);
  const lit = row?.kind === "application" ? row.placements.map((one) => `host/${one.namespace}/${one.pod}`) : [];
  mark(chosen, new Set(lit));
}

async function explain(row) {
  if (row.fine || row.kind === "host") return;
  const id = row.id;
  try {
    const answer = await fetch(`why/${row.kind}/${encodeURIComponent(row.namespace)}/${encodeURIComponent(row.name)}`);
    const found = answer.ok ? (await answer.json()).causes : await answer.text();
    if (chosen === id) causes = found;
  } catch {
    if (chosen === id) causes = "kubectl wasmcloud ui does not answer: is it still running?";
  }
  drawSoon();
}

function choose(id) {
  if (chosen !== id) [chosen, shown, causes] = [id, undefined, undefined];
  if (!model.get(id)) return;
  draw();
  $("detail").focus({ preventScroll: true });
}

function close() {
  const last = chosen;
  [chosen, shown, causes] = ["", undefined, undefined];
  forget();
  $("detail-title").textContent = "Details";
  $("detail-body").replaceChildren(h("p", { class: "quiet" }, "Nothing is chosen."));
  draw();
  const opener = [...document.querySelectorAll("[data-id]")].find((node) => node.dataset.id === last);
  (opener?.querySelector?.(".open") ?? opener)?.focus();
}

for (const name of ["search", "namespace", "labels", "troubled"]) {
  $(name).addEventListener("input", (event) => {
    filter[name] = event.target.type === "checkbox" ? event.target.checked : event.target.value;
    drawSoon();
  });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input, select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("search").focus();
  } else if (event.key === "Escape") {
    close();
  } else {
    moveBetweenHosts(event);
  }
});

function theme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").textContent = name === "dark" ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", `Change to ${name === "dark" ? "light" : "dark"} colours`);
}

const dark = matchMedia("(prefers-color-scheme: dark)");
theme(dark.matches ? "dark" : "light");
dark.addEventListener("change", () => theme(dark.matches ? "dark" : "light"));
$("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));

function connection(kind, text) {
  $("connection").className = `badge ${kind}`;
  $("connection").textContent = text;
}

const stream = new EventSource("events");
stream.addEventListener("open", () => connection("good", "✓ live"));
stream.addEventListener("error", () => connection("bad", "✗ kubectl wasmcloud ui does not answer; trying again"));
stream.addEventListener("message", (event) => {
  model.take(JSON.parse(event.data));
  drawSoon();
});
setInterval(() => drawRecent(model.get("recent")?.entries ?? [], Date.now(), choose), 10_000);
