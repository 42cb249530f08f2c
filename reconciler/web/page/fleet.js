// The fleet: each proxy, what it runs, how sure that is, and what went wrong last.

import { h, name, table } from "./dom.js";
import { ago, chip, lasting, messages, plural, short, shortKey } from "./words.js";

export const title = "Fleet";
export const needs = ["/v1/status"];

const STATES = {
  applied: ["ok", "in sync"], drifted: ["warn", "drifted"], skipped: ["warn", "skipped"], late: ["warn", "late"],
  rejected: ["bad", "rejected"], unreachable: ["bad", "unreachable"], failed: ["bad", "failed"],
};
const WORST = { bad: 0, warn: 1, idle: 2, ok: 3 };

/** Tone and word for one proxy; refusals that streams know of count whatever the last pass said. */
export function standing(proxy) {
  if (proxy.connection?.held?.length) return ["bad", "refuses"];
  if (proxy.outcome === "applied" && proxy.pending) return ["warn", "pending"];
  return STATES[proxy.outcome] ?? ["idle", "not seen yet"];
}

export function view({ documents, place }) {
  const status = documents["/v1/status"];
  if (!status) return [];
  const proxies = [...status.proxies].map((proxy) => ({ ...proxy, state: standing(proxy) }))
    .sort((a, b) => WORST[a.state[0]] - WORST[b.state[0]] || a.proxy.localeCompare(b.proxy));
  const wanted = (place.filter ?? "").toLowerCase();
  const shown = proxies.filter((proxy) => `${proxy.proxy} ${proxy.state[1]}`.toLowerCase().includes(wanted));
  return [
    h("h1", null, "Fleet"),
    summary(status, proxies),
    messages(status.pass?.errors, "What the last pass ran into"),
    h("div", { class: "bar" },
      h("label", { for: "filter" }, "Filter"),
      h("input", { id: "filter", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "name or state", data: { input: "filter" } }),
      h("span", { class: "hint" }, shown.length === proxies.length ? plural(proxies.length, "proxy", "proxies") : `${shown.length} of ${plural(proxies.length, "proxy", "proxies")}`)),
    proxies.length ? table({
      caption: "Proxies, those in trouble first", hidden: true, id: "proxies",
      columns: [{ title: "Proxy" }, { title: "State" }, { title: "Revision" }, { title: "Proven" }, { title: "Connection" }, { title: "Drift", class: "num" }, { title: "Last error", class: "wide" }],
      rows: shown.map((proxy) => row(proxy, status)),
    }) : h("p", { class: "empty" }, "No proxy belongs to this fleet yet: write a Proxy document, or start one with the bootstrap that ", h("code", null, "reconcile bootstrap"), " prints."),
    registries(status.registries),
  ];
}

function summary(status, proxies) {
  const good = proxies.filter((proxy) => proxy.state[0] === "ok").length;
  const counts = new Map();
  for (const proxy of proxies) counts.set(proxy.state[0], (counts.get(proxy.state[0]) ?? 0) + 1);
  const pass = status.pass;
  return h("section", { class: "facts", "aria-label": "At a glance" },
    h("div", { class: "fact" }, h("p", { class: "big" }, `${good}/${proxies.length}`), h("p", null, "proxies as Git says"),
      proxies.length ? h("div", { class: "stack", "aria-hidden": "true" },
        h("progress", { class: "share", max: proxies.length, value: good })) : null),
    h("div", { class: "fact" }, h("p", { class: "big mono" }, pass ? short(pass.applied) || "–" : "–"),
      h("p", null, pass && pass.head !== pass.applied ? ["carried out; the head is ", h("span", { class: "mono" }, short(pass.head) || "gone")] : ["carried out, the head of ", name(status.ref, { class: "mono" })])),
    h("div", { class: "fact" }, h("p", { class: "big" }, pass ? ago(pass.ended) : "–"),
      h("p", null, pass ? `last pass: ${pass.reasons.join(", ")}` : status.reason || "no pass has ended yet")),
    h("div", { class: "fact" }, h("p", { class: "big" }, String(counts.get("bad") ?? 0)), h("p", null, "in trouble")));
}

function row(proxy, status) {
  const held = proxy.connection?.held ?? [];
  const error = held.length ? `${held[0].type} ${held[0].name}: ${held[0].words}${held.length > 1 ? ` (and ${held.length - 1} more)` : ""}` : proxy.detail;
  const current = status.pass && proxy.revision === status.pass.head;
  return {
    key: proxy.proxy,
    cells: [
      name(shortKey(proxy.proxy), { class: "strong" }),
      chip(...proxy.state),
      proxy.revision ? h("a", { href: `#/timeline/${proxy.revision}`, class: "mono" }, short(proxy.revision), h("span", { class: "unseen" }, current ? ", the head" : ", not the head")) : "–",
      proxy.verified_at ? [`${proxy.proof ?? ""} `, h("span", { class: "soft" }, ago(proxy.verified_at))] : "–",
      connection(proxy),
      proxy.pending ? h("span", { class: "warn-text" }, plural(proxy.pending, "change")) : h("span", { class: "none" }, "none"),
      error ? h("bdi", { class: "error clip" }, error) : h("span", { class: "soft none" }, "none"),
    ],
  };
}

function connection(proxy) {
  const link = proxy.connection;
  if (!link) return h("span", { class: "soft" }, proxy.admin ? "not by ADS" : "–");
  if (!link.connected) return [chip("bad", "ADS gone"), " ", link.since ? h("span", { class: "soft" }, ago(link.since)) : null];
  return [`ADS ${link.variant ?? ""} `, link.since ? h("span", { class: "soft" }, lasting(link.since)) : null];
}

function registries(list) {
  if (!list?.length) return null;
  return h("section", { "aria-labelledby": "registries" },
    h("h2", { id: "registries" }, "Registries"),
    table({
      caption: "What lists services beside Git", hidden: true,
      columns: [{ title: "Registry" }, { title: "Kind" }, { title: "State" }, { title: "Services", class: "num" }, { title: "Instances", class: "num" }, { title: "Problem", class: "wide" }],
      rows: list.map((item) => ({
        key: item.registry,
        cells: [name(item.registry, { class: "strong" }), item.kind, chip(item.state === "live" ? "ok" : "warn", item.state), String(item.services), String(item.instances), item.problem ? h("bdi", { class: "error clip" }, item.problem.message) : "none"],
      })),
    }));
}
