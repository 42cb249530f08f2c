// How values are written: times, numbers, names of hosts and commits, and what states are called.

import { h } from "./dom.js";

export const short = (commit) => (commit ? commit.slice(0, 8) : "");

/** `reviews` for `reviews.default.svc.cluster.local`, with the namespace where it is not `default`; other hosts as they are. */
export function shortHost(host) {
  const parts = host.split(".");
  if (parts.length < 4 || parts[2] !== "svc") return host;
  return parts[1] === "default" ? parts[0] : `${parts[0]}.${parts[1]}`;
}

/** `productpage-v1` for `default/productpage-v1`. */
export const shortKey = (key) => (key.startsWith("default/") ? key.slice(8) : key);

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const rate = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
export const num = (value) => (value === null || value === undefined ? "–" : number.format(value));
export const perSecond = (value) => (value === null || value === undefined ? "–" : value > 0 && value < 0.05 ? "<0.1" : rate.format(value));
export const percent = (value) => (value === null || value === undefined ? "–" : `${number.format(value >= 10 ? Math.round(value * 10) / 10 : value)}%`);
export const plural = (count, one, many = `${one}s`) => `${number.format(count)} ${count === 1 ? one : many}`;

/** Seconds in their two largest units: `2d 3h`, `4m 12s`, `0s`. */
export function span(seconds) {
  let left = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]) {
    const amount = Math.floor(left / size);
    left -= amount * size;
    if (amount) parts.push(`${amount}${unit}`);
    else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0s";
}

/** How far the daemon's clock is ahead of this machine's, in milliseconds. */
let ahead = 0;
export const adjust = (now) => { ahead = Date.parse(now) - Date.now(); };
export const now = () => Date.now() + ahead;

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric" });
export const atClock = (at) => clock.format(new Date(at));
export const onDay = (at) => day.format(new Date(at));

/** A time that says how long ago it was, and goes on saying so. */
export function ago(at) {
  if (!at) return "never";
  return h("time", { datetime: at, title: `${onDay(at)} ${atClock(at)}`, data: { ago: at } }, agoText(at));
}

/** How long something has been so, and goes on being so. */
export function lasting(at) {
  return h("time", { datetime: at, title: `since ${onDay(at)} ${atClock(at)}`, data: { lasting: at } }, lastingText(at));
}

/** A time to come, counted down. */
export function until(at) {
  return h("time", { datetime: at, title: `${onDay(at)} ${atClock(at)}`, data: { until: at } }, untilText(at));
}

const agoText = (at) => {
  const seconds = (now() - Date.parse(at)) / 1000;
  return seconds < 1.5 ? "just now" : `${span(seconds)} ago`;
};
const lastingText = (at) => `for ${span((now() - Date.parse(at)) / 1000)}`;
const untilText = (at) => {
  const seconds = (Date.parse(at) - now()) / 1000;
  return seconds > 0 ? `in ${span(seconds)}` : "now";
};

/** Bring all relative times up to date. */
export function tick(root) {
  for (const element of root.querySelectorAll("time[data-ago]")) write(element, agoText(element.dataset.ago));
  for (const element of root.querySelectorAll("time[data-lasting]")) write(element, lastingText(element.dataset.lasting));
  for (const element of root.querySelectorAll("time[data-until]")) write(element, untilText(element.dataset.until));
}

function write(element, text) {
  if (element.firstChild?.data !== text) element.replaceChildren(document.createTextNode(text));
}

/** A state as a chip: a sign and a word, so that colour says nothing by itself. */
export const chip = (tone, text) =>
  h("span", { class: `chip ${tone}${text.length > 24 ? " long" : ""}` }, h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[tone]), h("bdi", null, text));
const SIGNS = { ok: "✓", warn: "!", bad: "✕", idle: "·", run: "▸" };

/** Messages in the one form that all of them have. */
export function messages(list, title) {
  if (!list?.length) return null;
  return h("section", { class: `box alert${list.some((item) => item.severity !== "warning") ? "" : " mild"}`, "aria-label": title },
    h("h2", null, title),
    h("ul", { class: "plain" }, list.slice(0, 50).map((item) => h("li", { class: "message" },
      chip(item.severity === "warning" ? "warn" : "bad", item.code), " ",
      item.file ? h("bdi", { class: "mono" }, [item.file, item.line, item.column].filter((part) => part !== undefined).join(":")) : null, " ",
      h("bdi", null, item.message), item.hint ? h("p", { class: "hint" }, h("bdi", null, item.hint)) : null))),
    list.length > 50 ? h("p", { class: "hint" }, `and ${list.length - 50} more`) : null);
}
