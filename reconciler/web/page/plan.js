// The plan: what the newest pass found to do, what of it waits, and for whom.

import { h, name, table } from "./dom.js";
import { ago, chip, messages, plural, short, shortKey } from "./words.js";

export const title = "Plan";
export const needs = ["/v1/plan"];

const STATES = {
  unusable: ["bad", "The head can’t be used", "Drift is put right towards what was applied last; nothing else moves until somebody mends the branch."],
  refused: ["bad", "A guard refuses this plan", "Nothing of it was sent. Acknowledge it on purpose, or change the policies."],
  waiting: ["warn", "Some proxies don’t have it yet", "The daemon tries again by itself; a proxy that refuses waits for another commit."],
  done: ["ok", "Carried out", "The newest pass brought all of this to the fleet, and saw it live."],
  nothing: ["ok", "Nothing to do", "Every proxy has what Git says."],
};

export function view({ documents }) {
  const plan = documents["/v1/plan"];
  if (!plan) return [];
  const [tone, headline, words] = STATES[plan.state] ?? ["idle", plan.state, ""];
  return [
    h("h1", null, "Plan"),
    h("section", { class: `box state ${tone}`, "aria-label": "How it stands" },
      h("p", { class: "headline" }, chip(tone, headline)),
      h("p", null, words),
      h("p", { class: "soft" }, "Pass of ", ago(plan.at), " for ", plan.head ? h("a", { href: `#/timeline/${plan.head}`, class: "mono" }, short(plan.head)) : "no commit",
        plan.applied && plan.applied !== plan.head ? [", carrying out ", h("a", { href: `#/timeline/${plan.applied}`, class: "mono" }, short(plan.applied))] : null,
        plan.digest && plan.proxies.length ? [", digest ", h("span", { class: "mono" }, short(plan.digest))] : null, ".")),
    messages(plan.refused, "Refused by guards"),
    acknowledge(plan),
    messages(plan.errors, "Errors"),
    changes(plan),
    messages(plan.warnings, "Warnings"),
  ];
}

function acknowledge(plan) {
  if (!plan.acknowledge.length) return null;
  return h("section", { class: "box", "aria-labelledby": "acknowledge" },
    h("h2", { id: "acknowledge" }, "To acknowledge on purpose"),
    h("p", null, "Write this as the last lines of a commit’s message, on ", h("strong", null, "any commit"), " up to the head:"),
    h("pre", { tabindex: "0", "aria-label": "Trailers" }, plan.acknowledge.map((item) => `${item.trailer}\n`).join("")),
    h("p", null, "or, for this one time, on the machine of the daemon:"),
    h("pre", { tabindex: "0", "aria-label": "Command" }, `reconcile ${plan.acknowledge.map((item) => `--allow ${item.code}`).join(" ")}\n`));
}

/** Equal changes of several proxies are one entry. */
function grouped(plan) {
  const groups = new Map();
  for (const proxy of plan.proxies) {
    for (const change of proxy.changes) {
      const key = JSON.stringify([change.type, change.name, change.action, change.cause, change.fields]);
      if (!groups.has(key)) groups.set(key, { change, proxies: [] });
      groups.get(key).proxies.push(proxy.proxy);
    }
  }
  return [...groups.values()];
}

function changes(plan) {
  const groups = grouped(plan);
  const away = plan.proxies.filter((proxy) => !proxy.reachable);
  const more = plan.proxies.reduce((sum, proxy) => sum + proxy.more, 0);
  if (!groups.length && !away.length) return null;
  const summary = plan.summary;
  return h("section", { "aria-labelledby": "changes" }, h("h2", { id: "changes" }, "Changes"),
    summary ? h("p", { class: "lead" }, `${plural(summary.create, "create")}, ${plural(summary.update, "update")}, ${plural(summary.delete, "delete")}; ${summary.unchanged} unchanged${summary.unreachable ? `; ${plural(summary.unreachable, "proxy", "proxies")} can’t be asked` : ""}.`) : null,
    away.length ? h("p", null, "Can’t be asked: ", away.map((proxy, index) => [index ? ", " : "", name(shortKey(proxy.proxy), { class: "strong" })])) : null,
    groups.map(({ change, proxies }, index) => group(change, proxies, plan.proxies, index)),
    more ? h("p", { class: "hint" }, `and ${plural(more, "change")} more; `, h("code", null, "reconcile --dry-run"), " has all of them.") : null);
}

const SIGN = { create: "+", update: "~", delete: "−" };

function group(change, proxies, all, index) {
  const failed = proxies.map((key) => all.find((proxy) => proxy.proxy === key)?.outcome).filter((outcome) => outcome && outcome.kind !== "applied");
  return h("details", { class: "change box", open: index < 3, data: { key: `${change.action} ${change.type} ${change.name} ${proxies[0]}` } },
    h("summary", null,
      h("span", { class: `mark-${change.action} mono`, "aria-hidden": "true" }, SIGN[change.action] ?? "?"), h("span", { class: "unseen" }, `${change.action} `), " ",
      h("span", { class: "soft" }, change.type), " ", name(change.name, { class: "mono strong" }), " ",
      h("span", { class: "soft" }, `on ${plural(proxies.length, "proxy", "proxies")}, ${change.cause}`)),
    h("p", { class: "soft" }, proxies.map((key, at) => [at ? ", " : "", name(shortKey(key))])),
    failed.length ? h("p", { class: "error" }, h("bdi", null, failed[0].detail || failed[0].kind)) : null,
    change.fields.length ? table({
      caption: `Fields of ${change.name}`, hidden: true,
      columns: [{ title: "Field", class: "wide" }, { title: "Live" }, { title: "Wanted" }],
      rows: change.fields.map((field) => ({ key: field.path, cells: [name(field.path, { class: "mono" }), value(field.old, "old"), value(field.new, "new")] })),
    }) : null,
    change.more ? h("p", { class: "hint" }, `and ${plural(change.more, "field")} more`) : null);
}

const value = (content, side) => (content === null ? h("span", { class: "soft" }, "absent") : h("bdi", { class: `mono ${side}` }, typeof content === "string" ? content : JSON.stringify(content)));
