// Rollouts: where each stands, its curve over time, the evidence, what comes next, and what people may ask of it.

import { h, name, s, table } from "./dom.js";
import { ago, atClock, chip, messages, num, now, percent, plural, short, span, until } from "./words.js";
import { may } from "./api.js";

export const title = "Rollouts";
export const needs = ["/v1/rollouts"];

const PHASES = { Pending: "idle", Progressing: "run", Paused: "warn", Succeeded: "ok", Aborted: "bad" };
const ENDED = new Set(["Succeeded", "Aborted"]);

export const pathOf = (rollout) => `/v1/rollouts/${encodeURIComponent(rollout.namespace)}/${encodeURIComponent(rollout.name)}`;
const keyOf = (rollout) => `${rollout.namespace}/${rollout.name}`;
const label = (rollout) => (rollout.namespace === "default" ? rollout.name : keyOf(rollout));
const hrefOf = (rollout) => `#/rollouts/${encodeURIComponent(rollout.namespace)}/${encodeURIComponent(rollout.name)}`;

/** Which one is looked at: the one that is named, else the first that goes on, else the first. */
export function chosen(documents, place) {
  const rollouts = documents["/v1/rollouts"]?.rollouts ?? [];
  if (place.argument) {
    const [namespace, called] = place.argument.split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
    return rollouts.find((item) => item.namespace === namespace && item.name === called) ?? { namespace, name: called ?? "", missing: true };
  }
  return rollouts.find((item) => !ENDED.has(item.phase)) ?? rollouts[0] ?? null;
}

export const active = (document) => document?.rollouts.filter((item) => !ENDED.has(item.phase) && item.phase !== "Pending").length ?? 0;

export function view({ documents, place, width }) {
  const list = documents["/v1/rollouts"];
  if (!list) return [];
  const looked = chosen(documents, place);
  const document = looked && documents[pathOf(looked)];
  return [
    h("h1", null, "Rollouts"),
    messages(list.errors, "The branch"),
    list.rollouts.length ? table({
      caption: "All rollouts", hidden: true, id: "rollouts",
      columns: [{ title: "Rollout" }, { title: "Phase" }, { title: "Step" }, { title: "Canary", class: "num" }, { title: "What comes next", class: "wide" }],
      rows: list.rollouts.map((item) => ({
        key: keyOf(item), attributes: { class: looked && keyOf(looked) === keyOf(item) ? "looked" : null },
        cells: [
          h("a", { href: hrefOf(item), "aria-current": looked && keyOf(looked) === keyOf(item) ? "true" : null }, name(label(item), { class: "strong" })),
          chip(PHASES[item.phase] ?? "idle", item.phase), `${Math.min(item.step + 1, item.steps)}/${item.steps}`, percent(item.weight), nextWords(item),
        ],
      })),
    }) : h("p", { class: "empty" }, "No rollout is on this branch. A ", h("code", null, "Rollout"), " document walks a canary from its first percent to all traffic."),
    looked?.missing ? h("p", { class: "box error" }, "There is no rollout ", name(keyOf(looked), { class: "strong" }), ".") : null,
    document ? one(document.rollout, width) : null,
  ];
}

function nextWords(item) {
  const due = item.next.due && Date.parse(item.next.due) > now() - 2000;
  return [h("bdi", null, item.next.words), due ? [", ", until(item.next.due)] : null];
}

function one(rollout, width) {
  return h("article", { class: "rollout", "aria-labelledby": "rollout-name", data: { key: `rollout ${keyOf(rollout)}` } },
    h("header", { class: "rollout-head" },
      h("div", null,
        h("h2", { id: "rollout-name" }, name(label(rollout)), " ", h("span", { class: "soft" }, name(rollout.stable), " → ", name(rollout.canary))),
        h("p", null, chip(PHASES[rollout.phase] ?? "idle", rollout.phase), ` step ${Math.min(rollout.step + 1, rollout.steps)} of ${rollout.steps}`,
          rollout.reason ? [": ", h("bdi", null, rollout.reason)] : null)),
      h("p", { class: "weight" }, h("span", { class: "big" }, percent(rollout.weight)), " ", h("span", { class: "soft" }, "of traffic to ", name(rollout.canary)))),
    h("section", { class: "box next", "aria-label": "Next" },
      h("p", null, h("strong", null, "Next: "), nextWords(rollout)),
      rollout.waiting ? h("p", { class: "soft" }, "It ", h("bdi", null, rollout.waiting), ".") : null,
      h("p", { class: "soft" }, rollout.verified ? ["This step is verified on every proxy, ", ago(rollout.verified_at), "."] : ENDED.has(rollout.phase) || rollout.phase === "Pending" ? null : "This step is not verified on every proxy yet."),
      buttons(rollout)),
    h("section", { "aria-labelledby": "curve" }, h("h3", { id: "curve" }, "Curve"), curve(rollout, width)),
    h("div", { class: "columns" },
      h("section", { "aria-labelledby": "steps" }, h("h3", { id: "steps" }, "Steps"), steps(rollout)),
      h("section", { class: "grow", "aria-labelledby": "evidence" }, h("h3", { id: "evidence" }, "Evidence"), evidence(rollout))),
    h("section", { "aria-labelledby": "commits" }, h("h3", { id: "commits" }, "What happened"), commits(rollout)));
}

/** Verbs that fit where it stands; the daemon decides again. */
export function verbs(rollout) {
  if (rollout.phase === "Aborted") return ["retry"];
  if (rollout.phase === "Paused") return ["resume", "abort"];
  return rollout.phase === "Progressing" ? ["promote", "pause", "abort"] : [];
}

const VERBS = { promote: "Promote", pause: "Pause", resume: "Resume", abort: "Abort", retry: "Retry" };

function buttons(rollout) {
  const fit = verbs(rollout);
  if (!may("operate") || !fit.length) return null;
  return h("div", { class: "buttons", role: "group", "aria-label": `What you may ask of ${rollout.name}` }, fit.map((verb) =>
    h("button", { type: "button", class: `button${verb === "abort" ? " danger" : rollout.next.verb === verb || (verb === "promote" && !rollout.next.verb) ? " main" : ""}`, data: { do: "ask", verb, key: verb } }, VERBS[verb])));
}

/** What will happen, in words, before anybody is asked whether they want it. */
export function consequence(verb, rollout) {
  const steps = rollout.plan ?? [];
  const at = steps[rollout.step]?.words ?? "";
  const following = steps[rollout.step + 1]?.words;
  const here = `step ${Math.min(rollout.step + 1, rollout.steps)} of ${rollout.steps}`;
  switch (verb) {
    case "promote": return [`${rollout.name} goes on from ${here}${at ? ` (${at})` : ""} ${following ? `to the next: ${following}` : "to its end"}, whatever this step still waits for.`, "A commit on the policy branch says so, by you."];
    case "pause": return [`${rollout.name} stays at ${percent(rollout.weight)} for ${rollout.canary}, at ${here}, until somebody resumes it.`, "Analyses that run in the background can still abort it."];
    case "resume": return [`${rollout.name} goes on at ${here}, from ${percent(rollout.weight)} for ${rollout.canary}.`, "The commit says that you have looked at why it was paused."];
    case "abort": return [`All traffic goes back to ${rollout.stable} at once: ${rollout.canary} gets 0% instead of ${percent(rollout.weight)}.`, "The run ends. Retry begins another one."];
    default: return [`Another run of ${rollout.stable} to ${rollout.canary} begins at the first step${steps[0] ? ` (${steps[0].words})` : ""}.`, "A commit on the policy branch says so, by you."];
  }
}

export const verbName = (verb) => VERBS[verb];

function steps(rollout) {
  const states = { done: ["ok", "done"], current: ["run", "now"], "to-come": ["idle", "to come"] };
  return h("ol", { class: "steps" }, rollout.plan.map((step) => h("li", { class: step.state, "aria-current": step.state === "current" ? "step" : null },
    h("bdi", null, step.words), " ", chip(...(states[step.state] ?? states["to-come"])))));
}

function evidence(rollout) {
  const seen = rollout.evidence;
  if (!seen) return h("p", { class: "empty" }, "Nothing has been recorded of this run yet.");
  const metrics = rollout.analyses.flatMap((analysis) => analysis.metrics.map((metric) => ({ analysis, metric })));
  return [
    seen.aborted ? h("p", { class: "box error" }, "Aborted ", ago(seen.aborted.at), ": ", h("bdi", null, seen.aborted.reason)) : null,
    h("p", { class: "soft" }, "Receipt ", h("a", { href: `#/timeline/${seen.commit}`, class: "mono" }, short(seen.commit)), `, live on ${seen.applied}/${seen.proxies} proxies, `, ago(seen.at), "."),
    metrics.length ? table({
      caption: "Measured values", hidden: true, id: "metrics",
      columns: [{ title: "Metric" }, { title: "Value", class: "num" }, { title: "Has to be", class: "num" }, { title: "Outcome" }, { title: "Passed", class: "num" }, { title: "Failed", class: "num" }, { title: "Detail", class: "wide" }],
      rows: metrics.map(({ analysis, metric }) => ({
        key: `${analysis.id} ${metric.name}`,
        cells: [
          [name(metric.label || metric.name, { class: "strong", title: metric.name }), analysis.id === "background" ? h("span", { class: "soft" }, " all the while") : null],
          metric.value === null ? "–" : `${num(metric.value)} ${metric.unit}`, limit(metric), outcome(metric.outcome),
          num(metric.passed), [num(metric.failed), h("span", { class: "soft" }, ` of ${num(metric.failure_limit + 1)}`)], h("bdi", { class: "clip" }, metric.detail || metric.waiting || ""),
        ],
      })),
    }) : h("p", { class: "hint" }, "It runs without an analysis so far."),
  ];
}

const limit = (metric) => [metric.min === null ? "" : `≥ ${num(metric.min)}`, metric.max === null ? "" : `≤ ${num(metric.max)}`].filter(Boolean).join(", ") || "–";
const OUTCOMES = { pass: ["ok", "passes"], fail: ["bad", "fails"], inconclusive: ["warn", "inconclusive"], error: ["warn", "error"] };
const outcome = (value) => (value ? chip(...(OUTCOMES[value] ?? ["idle", value])) : "–");

function commits(rollout) {
  return h("ol", { class: "rail short" }, [...rollout.commits].reverse().slice(0, 40).map((item) =>
    h("li", { class: `entry ${item.branch === "record" ? "record" : "policy"}`, data: { key: item.commit } },
      h("p", null, h("a", { href: `#/timeline/${item.commit}` }, name(item.subject || short(item.commit)))),
      h("p", { class: "about" }, item.by ? h("span", null, "by ", name(item.by)) : null, h("span", { class: "mono" }, short(item.commit)), ago(item.at)))));
}

// The curve

const LEFT = 44, RIGHT = 14, TOP = 24, WEIGHT = 150, PANEL = 58, GAP = 32, BOTTOM = 22;

function curve(rollout, width) {
  const drawn = rollout.curve;
  if (!drawn?.weight.length) return h("p", { class: "empty" }, "It has not begun, so there is nothing to draw.");
  const wide = Math.max(280, Math.min(width, 1100));
  const start = Date.parse(drawn.start);
  const end = Math.max(Date.parse(drawn.end), start + 1000);
  const x = (at) => LEFT + ((wide - LEFT - RIGHT) * (Math.min(Math.max(Date.parse(at), start), end) - start)) / (end - start);
  const panels = [["success", "success, %", drawn.success], ["duration", `p${drawn.percentile}, ms`, drawn.duration]].filter(([, , pair]) => pair.canary.length || pair.stable.length);
  const height = TOP + WEIGHT + panels.length * (PANEL + GAP) + BOTTOM;
  const shown = h("div", { class: "curve box" }, s("svg", { width: wide, height, viewBox: `0 0 ${wide} ${height}`, role: "img", "aria-labelledby": "curve-words" },
    weightPanel(drawn, x, wide),
    panels.map(([kind, words, pair], index) => metricPanel(kind, words, pair, x, wide, TOP + WEIGHT + GAP + index * (PANEL + GAP))),
    drawn.moments.map((moment) => mark(moment, x(moment.at), height - BOTTOM, wide)),
    axis(start, end, x, height - BOTTOM)));
  const last = drawn.weight.at(-1)[1];
  return [shown,
    h("p", { id: "curve-words", class: "hint" }, `${percent(drawn.weight[0][1])} to ${percent(last)} in ${span((end - start) / 1000)}, ${plural(drawn.moments.length, "moment")} marked.`,
      panels.length ? [" ", h("span", { class: "dot tone-canary" }, name(rollout.canary)), " ", h("span", { class: "dot tone-stable" }, name(rollout.stable))] : null),
    h("details", null, h("summary", null, "As a table"), table({
      caption: "Moments of the run", hidden: true,
      columns: [{ title: "Time" }, { title: "Mark" }, { title: "What", class: "wide" }],
      rows: drawn.moments.map((moment) => ({ key: `${moment.at} ${moment.label}`, cells: [atClock(moment.at), moment.mark === "step" ? `step ${moment.label}` : moment.label, h("bdi", null, moment.words)] })),
    }))];
}

function weightPanel(drawn, x, wide) {
  const y = (value) => TOP + WEIGHT - (WEIGHT * value) / 100;
  let line = "";
  for (const [at, value] of drawn.weight) line += line ? `H${x(at).toFixed(1)}V${y(value).toFixed(1)}` : `M${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
  line += `H${x(drawn.end).toFixed(1)}`;
  const area = `${line}V${y(0)}H${x(drawn.weight[0][0]).toFixed(1)}Z`;
  return s("g", null,
    [0, 25, 50, 75, 100].map((value) => s("g", null, s("line", { x1: LEFT, x2: wide - RIGHT, y1: y(value), y2: y(value), class: "grid" }),
      value % 50 ? null : s("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end", class: "tick" }, `${value}%`))),
    s("path", { d: area, class: "area" }), s("path", { d: line, class: "weight-line" }));
}

function metricPanel(kind, words, pair, x, wide, top) {
  const values = [...pair.canary, ...pair.stable].map(([, value]) => value).concat(pair.limit ?? []);
  const high = kind === "success" ? 100 : Math.max(1, ...values) * 1.1;
  const low = kind === "success" ? Math.min(99, ...values) - 0.5 : 0;
  const y = (value) => top + PANEL - (PANEL * (value - low)) / (high - low);
  const line = (points) => points.map(([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  return s("g", { class: kind },
    s("text", { x: LEFT + 8, y: top - 7, class: "tick panel" }, words),
    [low, high].map((value) => s("line", { x1: LEFT, x2: wide - RIGHT, y1: y(value), y2: y(value), class: "grid" })),
    s("text", { x: LEFT - 6, y: y(high) + 4, "text-anchor": "end", class: "tick" }, num(Math.round(high * 10) / 10)),
    s("text", { x: LEFT - 6, y: y(low) + 4, "text-anchor": "end", class: "tick" }, num(Math.round(low * 10) / 10)),
    pair.limit === null ? null : s("line", { x1: LEFT, x2: wide - RIGHT, y1: y(pair.limit), y2: y(pair.limit), class: "limit" }),
    s("path", { d: line(pair.stable), class: "stable-line" }), s("path", { d: line(pair.canary), class: "canary-line" }));
}

function mark(moment, x, bottom, most) {
  const wide = 12 + 6.6 * moment.label.length;
  const middle = Math.min(Math.max(x, wide / 2 + 2), most - wide / 2 - 2);
  return s("g", { class: `moment ${moment.mark}` }, s("title", null, moment.words),
    s("line", { x1: x, x2: x, y1: TOP - 4, y2: bottom }),
    s("rect", { x: middle - wide / 2, y: 4, width: wide, height: 16, rx: 8 }), s("text", { x: middle, y: 16, "text-anchor": "middle" }, moment.label));
}

function axis(start, end, x, y) {
  const seconds = (end - start) / 1000;
  const every = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800, 2419200].find((size) => seconds / size <= 6) ?? seconds;
  const ticks = [];
  for (let at = 0; at <= seconds; at += every) ticks.push(at);
  return s("g", null, ticks.map((at) => s("text", { x: x(new Date(start + at * 1000).toISOString()), y: y + 16, "text-anchor": at === 0 ? "start" : "middle", class: "tick" }, at === 0 ? "0" : span(at))));
}
