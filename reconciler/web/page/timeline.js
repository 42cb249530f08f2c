// The timeline: what people and rollouts wrote on the policy branch, and what was seen live on the record branch, in one order of time.

import { h, name } from "./dom.js";
import { atClock, chip, onDay, plural, short } from "./words.js";

export const title = "Timeline";
export const needs = ["/v1/timeline?limit=30"];

const KINDS = { step: ["run", "rollout"], change: ["idle", "change"], receipt: ["ok", "live"], evidence: ["idle", "evidence"], other: ["idle", "record"] };

export function view({ documents, place }) {
  const first = documents["/v1/timeline?limit=30"];
  if (!first) return [];
  const seen = new Set();
  const entries = [first, ...(place.pages ?? [])].flatMap((page) => page.entries).filter((entry) => !seen.has(entry.commit) && seen.add(entry.commit));
  const next = (place.pages?.length ? place.pages.at(-1) : first).next;
  const open = place.argument;
  const listed = entries.some((entry) => entry.commit === open);
  return [
    h("h1", null, "Timeline"),
    h("p", { class: "lead" }, "The policy branch says what should be; the record branch says what was seen live."),
    open && !listed ? alone(open, place) : null,
    days(entries).map(([day, found]) => h("section", { class: "day", "aria-label": day, data: { key: day } },
      h("h2", null, day),
      h("ol", { class: "rail" }, found.map((entry) => item(entry, open, place))))),
    entries.length ? null : h("p", { class: "empty" }, "Nothing has been committed yet."),
    next ? h("p", null, h("button", { type: "button", class: "button", data: { do: "older", next } }, "Older")) : h("p", { class: "hint" }, "This is where it began."),
  ];
}

function days(entries) {
  const found = new Map();
  for (const entry of entries) {
    const day = onDay(entry.at);
    if (!found.has(day)) found.set(day, []);
    found.get(day).push(entry);
  }
  return [...found];
}

function item(entry, open, place) {
  const shown = entry.commit === open;
  return h("li", { class: `entry ${entry.branch}`, data: { key: entry.commit } },
    h("h3", null, h("button", { type: "button", class: "subject", "aria-expanded": String(shown), data: { do: "commit", commit: entry.commit } }, name(entry.subject || "(no subject)"))),
    about(entry),
    shown ? detail(place.commits?.[entry.commit]) : null);
}

function about(entry) {
  const proxies = entry.trailers.Proxies;
  return h("p", { class: "about" }, chip(...(KINDS[entry.kind] ?? KINDS.other)),
    entry.branch === "policy" ? h("span", null, "by ", name(entry.by)) : proxies && entry.kind === "receipt" ? h("span", null, `${proxies} proxies`) : null,
    h("span", { class: "mono" }, short(entry.commit)), h("time", { datetime: entry.at }, atClock(entry.at)));
}

function alone(commit, place) {
  const document = place.commits?.[commit];
  return h("section", { class: "box", "aria-label": "One commit" },
    document && !document.failed ? [h("h2", null, name(document.subject)), about(document)] : h("h2", { class: "mono" }, short(commit)),
    detail(document));
}

function detail(document) {
  if (!document) return h("p", { class: "hint" }, "reading …");
  if (document.failed) return h("p", { class: "error" }, h("bdi", null, document.failed));
  return h("div", { class: "commit" },
    document.body ? h("pre", { class: "body", tabindex: "0", "aria-label": "Message" }, h("bdi", null, document.body), document.cut ? "\n…" : null) : null,
    document.files.length ? document.files.map(file) : h("p", { class: "hint" }, "It changed nothing that is shown here."),
    document.more ? h("p", { class: "hint" }, `and ${plural(document.more, "file")} more`) : null);
}

function file(item) {
  return h("section", { class: "file", "aria-label": item.path, data: { key: item.path } },
    h("p", { class: "path" }, h("span", { class: "soft" }, item.action), " ", name(item.path, { class: "mono" })),
    item.text ? h("pre", { class: "diff", tabindex: "0", "aria-label": `Changes of ${item.path}` }, item.text.split("\n").filter((line, index, lines) => line || index < lines.length - 1).map((line) =>
      h("span", { class: `line ${line.startsWith("@@") ? "hunk" : line[0] === "+" ? "added" : line[0] === "-" ? "removed" : ""}` }, h("bdi", null, line), "\n"))) : h("p", { class: "hint" }, "too large, or no text"));
}
