// Services and who calls them: a graph to look at, and the same as a table.

import { h, name, s, table } from "./dom.js";
import { num, perSecond, percent, plural, shortHost, shortKey } from "./words.js";

export const title = "Services";
export const needs = ["/v1/traffic"];
export const often = 2000;

const WIDTH = 200, HEAD = 46, ROW = 26, GAP_X = 112, GAP_Y = 22, MARGIN = 14;
const TONES = 6;

export function view({ documents }) {
  const traffic = documents["/v1/traffic"];
  if (!traffic) return [];
  const edges = traffic.edges.map((edge) => ({ ...edge, source: `${edge.from.kind} ${edge.from.name}`, target: `service ${edge.to}` }));
  return [
    h("h1", null, "Services"),
    h("p", { class: "lead" }, traffic.measured && edges.length
      ? "Requests per second are measured at the callers’ Envoys while this is open, over the last ten seconds."
      : edges.length ? "Measuring begins: rates are there in a moment." : "Nobody has called a service yet."),
    traffic.silent.length ? h("details", { class: "box" }, h("summary", null, `${plural(traffic.silent.length, "caller")} can’t be asked`),
      h("ul", null, traffic.silent.slice(0, 50).map((item) => h("li", null, name(shortKey(item.proxy), { class: "strong" }), " ", h("bdi", { class: "error" }, item.words))))) : null,
    edges.length ? graph(traffic, edges) : null,
    legend(edges),
    calls(edges),
    services(traffic),
    leftOut(traffic.left_out),
  ];
}

/** The number of a subset's tone: the same in every edge of a service, by the order of names. */
function tones(edges, target) {
  const names = [...new Set(edges.filter((edge) => edge.to === target).flatMap((edge) => edge.subsets.map((item) => item.subset)))].sort();
  return new Map(names.filter((subset) => subset).map((subset, index) => [subset, index % TONES]));
}

const toneOf = (map, subset) => (subset ? `tone-${map.get(subset)}` : "tone-all");
const subsetWords = (subset) => subset || "all";

/** What routes mean a subset to have, where they say: of each route that names it. */
function meant(edge, subset) {
  const shares = edge.routes.filter((route) => route.shares.some((share) => share.subset)).map((route) => ({ route: route.route, percent: route.shares.find((share) => share.subset === subset)?.percent ?? 0 }));
  return shares.length ? shares : null;
}

const meantWords = (edge, subset) => {
  const shares = meant(edge, subset);
  if (!shares) return "–";
  const values = [...new Set(shares.map((item) => item.percent))];
  return values.length === 1 ? percent(values[0]) : shares.map((item) => `${item.route}: ${percent(item.percent)}`).join(", ");
};

function layout(traffic, edges) {
  const nodes = new Map();
  const add = (id, kind, label) => nodes.has(id) || nodes.set(id, { id, kind, label, level: 0, rows: [] });
  for (const edge of edges) {
    add(edge.source, edge.from.kind, edge.from.kind === "service" ? shortHost(edge.from.name) : shortKey(edge.from.name));
    add(edge.target, "service", shortHost(edge.to));
  }
  for (const service of traffic.services) {
    const node = nodes.get(`service ${service.host}`);
    if (node) Object.assign(node, { healthy: service.healthy, instances: service.instances });
  }
  const circles = closing(nodes, edges);
  const side = circles.size ? 36 : 0; // room for the bend of a way back
  const forward = edges.filter((edge) => !circles.has(edge));
  for (let round = 0; round < Math.min(nodes.size, 12); round += 1) { // the longest way from a caller that nobody calls
    let moved = false;
    for (const edge of forward) {
      const [from, to] = [nodes.get(edge.source), nodes.get(edge.target)];
      if (to.level < from.level + 1 && from.level < 11) [to.level, moved] = [from.level + 1, true];
    }
    if (!moved) break;
  }
  for (const node of nodes.values()) node.rows = subsetsOf(node, edges);
  const levels = [];
  for (const node of [...nodes.values()].sort((a, b) => a.label.localeCompare(b.label))) (levels[node.level] ??= []).push(node);
  const columns = levels.filter(Boolean);
  const heightOf = (node) => HEAD + (node.rows.length ? node.rows.length * ROW + 6 : 0);
  const total = Math.max(...columns.map((column) => column.reduce((sum, node) => sum + heightOf(node) + GAP_Y, -GAP_Y)));
  columns.forEach((column, index) => {
    let y = MARGIN + (total - column.reduce((sum, node) => sum + heightOf(node) + GAP_Y, -GAP_Y)) / 2;
    for (const node of column) {
      Object.assign(node, { x: MARGIN + side + index * (WIDTH + GAP_X), y, height: heightOf(node) });
      y += node.height + GAP_Y;
    }
  });
  return { nodes, width: 2 * (MARGIN + side) + columns.length * WIDTH + (columns.length - 1) * GAP_X, height: total + 2 * MARGIN + (circles.size ? GAP_Y : 0) };
}

/** The edges that close a circle, as they are met from callers that nobody calls; without them the rest has an order. */
function closing(nodes, edges) {
  const out = new Map([...nodes.keys()].map((id) => [id, edges.filter((edge) => edge.source === id)]));
  const called = new Set(edges.filter((edge) => edge.source !== edge.target).map((edge) => edge.target));
  const found = new Set();
  const done = new Set();
  for (const root of [...nodes.keys()].sort((a, b) => called.has(a) - called.has(b) || a.localeCompare(b))) {
    const way = [[root, 0]];
    const open = new Set(done.has(root) ? [] : [root]);
    while (open.size && way.length) {
      const step = way.at(-1);
      const edge = out.get(step[0])[step[1]++];
      if (!edge) {
        way.pop();
        open.delete(step[0]);
        done.add(step[0]);
      } else if (open.has(edge.target)) found.add(edge);
      else if (!done.has(edge.target)) {
        open.add(edge.target);
        way.push([edge.target, 0]);
      }
    }
  }
  return found;
}

/** What all callers together send to each subset of a service, where it has any. */
function subsetsOf(node, edges) {
  const into = edges.filter((edge) => edge.target === node.id);
  const map = tones(edges, into[0]?.to);
  if (!map.size) return [];
  const all = into.reduce((sum, edge) => sum + (edge.requests ?? 0), 0);
  return [...map.keys()].map((subset) => {
    const found = into.flatMap((edge) => edge.subsets.filter((item) => item.subset === subset));
    const requests = found.some((item) => item.requests !== null) ? found.reduce((sum, item) => sum + (item.requests ?? 0), 0) : null;
    const wants = [...new Set(into.flatMap((edge) => (meant(edge, subset) ?? []).map((item) => item.percent)))];
    return { subset, tone: toneOf(map, subset), requests, share: requests !== null && all ? (100 * requests) / all : null, meant: wants.length === 1 ? wants[0] : null };
  });
}

function graph(traffic, edges) {
  const { nodes, width, height } = layout(traffic, edges);
  const busiest = Math.max(1, ...edges.map((edge) => edge.requests ?? 0));
  return h("div", { class: "scroll box", tabindex: "0", role: "region", "aria-label": "Graph of calls; the table below says the same", data: { key: "graph" } },
    s("svg", { class: "graph", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", focusable: "false" },
      edges.map((edge) => curve(edge, nodes.get(edge.source), nodes.get(edge.target), busiest)),
      [...nodes.values()].map(box)));
}

function curve(edge, from, to, busiest) {
  const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEAD / 2, to.x, to.y + HEAD / 2];
  const bend = Math.max(40, Math.abs(x2 - x1) / 2);
  const low = Math.max(from.y + from.height, to.y + to.height) + GAP_Y; // a way back goes round below
  const path = x2 < x1
    ? `M${x1} ${y1}C${x1 + 46} ${y1} ${x1 + 46} ${low} ${x1 - 20} ${low}L${x2 + 20} ${low}C${x2 - 46} ${low} ${x2 - 46} ${y2} ${x2} ${y2}`
    : `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  const busy = (edge.requests ?? 0) > 0;
  const thick = busy ? 1.2 + 2 * (Math.log1p(edge.requests) / Math.log1p(busiest)) : 1;
  const label = `${perSecond(edge.requests)}/s`;
  const [cx, cy] = [x2 - Math.min(34 + label.length * 2, GAP_X / 2), y2 + (y1 - y2) * 0.06];
  return s("g", { class: `edge${busy ? " busy" : ""}${edge.errors > 0 ? " failing" : ""}`, "data-key": `${edge.source} ${edge.target}` },
    s("path", { d: path, "stroke-width": thick.toFixed(2), fill: "none" }),
    s("path", { d: `M${x2 - 7} ${y2 - 4.5}L${x2} ${y2}L${x2 - 7} ${y2 + 4.5}`, fill: "none", "stroke-width": 1.5 }),
    edge.requests === null || x2 < x1 ? null : s("text", { x: cx, y: cy - 7, "text-anchor": "middle", class: "rate" }, label));
}

const cut = (text, most) => ([...text].length > most ? `${[...text].slice(0, most - 1).join("")}…` : text);

function box(node) {
  const { x, y } = node;
  return s("g", { class: `node ${node.kind}`, "data-key": node.id },
    s("rect", { x, y, width: WIDTH, height: node.height, rx: 8 }),
    s("text", { x: x + 12, y: y + 20, class: "node-name", direction: "ltr" }, s("title", null, node.label), cut(node.label, 25)),
    s("text", { x: x + 12, y: y + 36, class: "node-more" }, node.kind === "proxy" ? "gateway or lone proxy" : node.instances === undefined ? "service" : `${node.healthy}/${node.instances} healthy`),
    node.rows.map((row, index) => subsetRow(row, x, y + HEAD + index * ROW)));
}

function subsetRow(row, x, y) {
  const inner = WIDTH - 24;
  const share = row.share ?? row.meant ?? 0;
  return s("g", { class: row.tone },
    s("text", { x: x + 12, y: y + 11, class: "subset-name" }, cut(row.subset, 12)),
    s("text", { x: x + WIDTH - 12, y: y + 11, "text-anchor": "end", class: "subset-rate" }, `${row.meant === null ? "" : `${percent(row.meant)} meant, `}${row.requests === null ? "" : `${perSecond(row.requests)}/s`}`),
    s("rect", { x: x + 12, y: y + 15, width: inner, height: 4, rx: 2, class: "track" }),
    share > 0 ? s("rect", { x: x + 12, y: y + 15, width: Math.max(2, (inner * share) / 100).toFixed(1), height: 4, rx: 2, class: "fill" }) : null,
    row.meant !== null && row.meant > 0 ? s("rect", { x: (x + 12 + (inner * row.meant) / 100 - 1).toFixed(1), y: y + 13, width: 2, height: 8, class: "mark" }) : null);
}

function legend(edges) {
  if (!edges.some((edge) => edge.subsets.some((item) => item.subset))) return null;
  return h("p", { class: "hint" }, "In a box: the share of each subset as it is measured (bar) and as policies mean it (tick).");
}

function calls(edges) {
  if (!edges.length) return null;
  const rows = edges.flatMap((edge) => (edge.subsets.length ? edge.subsets : [{ subset: "", total: edge.total, requests: edge.requests, errors: edge.errors, percent: null }]).map((item) => ({ edge, item })));
  rows.sort((a, b) => (b.edge.requests ?? 0) - (a.edge.requests ?? 0) || a.edge.to.localeCompare(b.edge.to) || a.item.subset.localeCompare(b.item.subset));
  return h("section", { "aria-labelledby": "calls" }, h("h2", { id: "calls" }, "Calls"), table({
    caption: "Who calls whom, by subset", hidden: true, id: "calls-table",
    columns: [{ title: "From" }, { title: "To" }, { title: "Subset" }, { title: "Meant", class: "num" }, { title: "Measured", class: "num" }, { title: "Requests/s", class: "num" }, { title: "Errors/s", class: "num" }, { title: "Since start", class: "num" }],
    rows: rows.map(({ edge, item }) => ({
      key: `${edge.source} ${edge.target} ${item.subset}`,
      cells: [
        name(edge.from.kind === "service" ? shortHost(edge.from.name) : shortKey(edge.from.name), { class: "strong" }),
        name(shortHost(edge.to), { title: edge.to }),
        h("span", { class: `dot ${toneOf(tones(edges, edge.to), item.subset)}` }, name(subsetWords(item.subset))),
        meantWords(edge, item.subset), percent(item.percent), perSecond(item.requests),
        item.errors > 0 ? h("span", { class: "bad-text" }, perSecond(item.errors)) : perSecond(item.requests === null ? null : 0), num(item.total),
      ],
    })),
  }));
}

function services(traffic) {
  return h("section", { "aria-labelledby": "all-services" }, h("h2", { id: "all-services" }, "All services"),
    traffic.services.length ? table({
      caption: "Services and their instances", hidden: true, id: "services-table",
      columns: [{ title: "Service" }, { title: "Host", class: "wide" }, { title: "Ports" }, { title: "Healthy", class: "num" }, { title: "Where" }],
      rows: traffic.services.map((item) => ({
        key: item.host,
        cells: [name(shortHost(item.host), { class: "strong" }), name(item.host, { class: "mono soft" }), item.ports.join(", "), `${item.healthy}/${item.instances}`, item.location === "MESH_EXTERNAL" ? "outside" : "in the mesh"],
      })),
    }) : h("p", { class: "empty" }, "No document declares a service, and no registry lists one."));
}

function leftOut(left) {
  const parts = [left.services ? plural(left.services, "service") : "", left.edges ? plural(left.edges, "call") : "", left.proxies ? plural(left.proxies, "caller") : ""].filter(Boolean);
  return parts.length ? h("p", { class: "hint" }, `Not shown, since there are too many: ${parts.join(", ")}. `, h("code", null, "reconcile services"), " has all of them.") : null;
}
