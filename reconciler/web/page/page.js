// The page: which view is shown, what it has to have read, and how it hears that something has changed.

import { Notices, Refusal, post, read, session, signIn, signOut, whoAmI, may } from "./api.js";
import { h, morph, name } from "./dom.js";
import { adjust, atClock, short, tick } from "./words.js";
import * as fleet from "./fleet.js";
import * as services from "./services.js";
import * as rollouts from "./rollouts.js";
import * as timeline from "./timeline.js";
import * as plan from "./plan.js";

const VIEWS = { fleet, services, rollouts, timeline, plan };
const ALWAYS = ["/v1/status", "/v1/rollouts", "/v1/plan"]; // what the tabs say
const CHANGES = {
  hello: null, // everything
  pass: ["/v1/status", "/v1/plan", "/v1/timeline"],
  rollout: ["/v1/rollouts", "/v1/timeline"],
  proxy: ["/v1/status"],
  discovery: ["/v1/status", "/v1/traffic"],
};
const RETRY = 2000;
const PATIENCE = 60000;

const $ = (id) => document.getElementById(id);
const documents = {};
const stale = new Set();
const reading = new Map();
const place = { view: "fleet", argument: "", filter: "", pages: [], commits: {}, problem: null };
let goneSince = null;
let said = "";
let patience = 0;
let arrived = 0;

// Where we are

function route() {
  const [, called = "fleet", ...rest] = decodeHash().split("/");
  const view = VIEWS[called] || called === "sign-in" ? called : "fleet";
  const moved = view !== place.view || rest.join("/") !== place.argument;
  Object.assign(place, { view, argument: rest.join("/"), problem: null });
  if (view === "timeline" && place.argument) openCommit(place.argument);
  return moved;
}

const decodeHash = () => location.hash.replace(/^#/, "") || "/fleet";

function wanted() {
  const looked = place.view === "rollouts" ? rollouts.chosen(documents, place) : null;
  return [...new Set([...ALWAYS, ...(VIEWS[place.view]?.needs ?? []), ...(looked && !looked.missing ? [rollouts.pathOf(looked)] : [])])];
}

// What is read

async function refresh(paths = wanted(), { again = false } = {}) {
  if (!may("read")) return;
  const due = paths.filter((path) => again || stale.has(path) || !(path in documents));
  await Promise.all(due.map(fetchOne));
  const more = wanted().filter((path) => !(path in documents) && !due.includes(path)); // a rollout is named by the list
  if (more.length) await Promise.all(more.map(fetchOne));
}

function fetchOne(path) {
  const current = reading.get(path);
  if (current) return stale.has(path) ? current.then(() => (stale.has(path) && !reading.has(path) ? fetchOne(path) : undefined)) : current;
  stale.delete(path);
  const task = read(path).then((document) => {
    documents[path] = document;
    if (path === "/v1/status") adjust(document.now);
    if (path === "/v1/rollouts") announcePhases();
    place.problem = null;
    back();
  }).catch((error) => failed(path, error)).finally(() => {
    reading.delete(path);
    paint();
  });
  reading.set(path, task);
  return task;
}

async function failed(path, error) {
  stale.add(path);
  if (!(error instanceof Refusal)) return gone();
  if (error.status === 401 || error.status === 403) {
    const could = may("read");
    await whoAmI().catch(gone);
    if (could && !may("read")) notices.close();
    return undefined;
  }
  if (error.status !== 503 || !documents[path]) place.problem = { path, error };
  return back();
}

function gone() {
  if (goneSince === null) {
    goneSince = Date.now();
    announce("The connection to the daemon is lost.");
  }
  notices.close();
  paint();
}

function back() {
  if (goneSince === null) return;
  goneSince = null;
  announce("Connected to the daemon again.");
  notices.open();
}

const notices = new Notices({
  kinds: Object.keys(CHANGES),
  heard(kind) {
    const prefixes = kind === "hello" && performance.now() - arrived < RETRY ? [] : CHANGES[kind]; // what is being read is new enough
    for (const path of Object.keys(documents)) if (!prefixes || prefixes.some((prefix) => path.startsWith(prefix))) stale.add(path);
    if (kind === "hello") {
      patience = 0;
      back();
    }
    refresh();
  },
  lost: () => reconnect(),
});

/** After a lost connection: ask who we are, which a restarted daemon may have forgotten, then for everything. */
async function reconnect() {
  try {
    await whoAmI();
    back();
    await refresh(undefined, { again: true });
    setTimeout(() => {
      notices.open();
      paint();
    }, patience); // a daemon that answers and refuses the stream has too many watchers: it is asked less and less often
    patience = Math.min(PATIENCE, Math.max(1000, 2 * patience));
  } catch {
    gone();
  }
  paint();
}

// What is shown

function paint() {
  const view = VIEWS[place.view];
  const shown = place.view === "sign-in" || !may("read") ? signInView() : body(view);
  const main = $("main");
  morph(main, shown);
  main.classList.toggle("stale", goneSince !== null);
  main.setAttribute("aria-busy", String(reading.size > 0 && !shown.length));
  document.title = `${view?.title ?? "Sign in"} - envoy-reconciler`;
  morph($("tabs"), tabs());
  morph($("where"), where());
  morph($("who"), who());
  link();
  morph($("banner"), banner());
  morph($("foot"), foot());
  tick(document);
}

function body(view) {
  const width = $("main").clientWidth - 34;
  const content = view.view({ documents, place, width });
  const problem = place.problem && wanted().includes(place.problem.path) ? problemBox(place.problem.error) : null;
  if (problem) return [problem, ...content];
  return content.length ? content : [h("p", { class: "empty" }, "reading …")];
}

function problemBox(error) {
  return h("section", { class: "box alert", "aria-label": "A problem" },
    h("p", { class: "error" }, h("bdi", null, error.message)), error.errors[0]?.hint ? h("p", { class: "hint" }, h("bdi", null, error.errors[0].hint)) : null);
}

function tabs() {
  const status = documents["/v1/status"];
  const trouble = status?.proxies.filter((proxy) => fleet.standing(proxy)[0] === "bad").length;
  const walking = rollouts.active(documents["/v1/rollouts"]);
  const waits = ["refused", "unusable", "waiting"].includes(documents["/v1/plan"]?.state);
  const badges = { fleet: trouble ? [trouble, "in trouble", "bad"] : null, rollouts: walking ? [walking, "going on", "run"] : null, plan: waits ? ["!", "something waits", "warn"] : null };
  return Object.entries(VIEWS).map(([id, view]) => h("li", { data: { key: id } },
    h("a", { href: `#/${id}`, "aria-current": place.view === id ? "page" : null }, view.title,
      badges[id] ? [" ", h("span", { class: `badge ${badges[id][2]}` }, String(badges[id][0]), h("span", { class: "unseen" }, ` ${badges[id][1]}`))] : null)));
}

function where() {
  const status = documents["/v1/status"];
  return status ? [name(status.repository.replace(/^.*\/(?=[^/]+$)/, ""), { title: status.repository }), " at ", name(status.ref, { class: "mono" }), " ", h("span", { class: "mono soft" }, short(status.pass?.head))] : [];
}

function who() {
  if (!session.known) return [];
  if (session.name) return [name(session.name, { class: "strong" }), " ", h("span", { class: "soft" }, `(${session.roles.join(", ")})`), " ", session.csrf ? h("button", { type: "button", class: "button small", data: { do: "sign-out" } }, "Sign out") : null];
  return session.tokens ? [h("a", { href: "#/sign-in" }, "Sign in")] : [];
}

function link() {
  const [state, words] = goneSince !== null ? ["gone", "not connected"] : notices.source ? ["live", "live"] : ["waiting", !may("read") ? "signed out" : patience > RETRY ? "read now and then" : "connecting"];
  $("link").dataset.state = state;
  if ($("link").textContent !== words) $("link").textContent = words;
}

function banner() {
  const status = documents["/v1/status"];
  const held = may("read") ? ["suspended", "frozen"].map((what) => status?.held?.[what]).filter(Boolean) : [];
  const holding = held.map((words) => h("p", { class: "banner" }, h("strong", null, "Held: "), h("bdi", null, words)));
  if (goneSince !== null) return [h("p", { class: "banner" }, h("strong", null, `Not connected since ${atClock(goneSince)}.`), " What is shown was true then. Trying again every few seconds."), ...holding];
  return [status && !status.ready ? h("p", { class: "banner" }, h("bdi", null, status.reason)) : null, ...holding];
}

function foot() {
  const status = documents["/v1/status"];
  return status ? [`envoy-reconciler ${status.version}. Everything here comes from Git and from the proxies themselves; `, h("code", null, "reconcile status"), " says it on a terminal."] : [];
}

function signInView() {
  if (session.known && !session.tokens) {
    return [
      h("h1", null, "Sign in"),
      h("p", { class: "lead" }, "Nobody can sign in here: this daemon has no file of tokens, so everybody who reaches it may look, and nobody may do more."),
      h("p", { class: "box" }, "Make a token with ", h("code", null, "reconcile token create"), ", and start the daemon with its file: ", h("code", null, "--http-tokens FILE"), "."),
    ];
  }
  return [
    h("h1", null, "Sign in"),
    h("p", { class: "lead" }, may("read") ? "You may look without a token. With one that has the role operate, you may also promote, pause and abort rollouts." : "This daemon wants to know who asks. Sign in with a token that has the role read."),
    h("form", { id: "sign-in", class: "box form" },
      h("label", { for: "token" }, "Token"),
      h("input", { id: "token", name: "token", type: "password", autocomplete: "current-password", required: true, spellcheck: "false", "aria-describedby": "token-hint" }),
      h("p", { id: "token-hint", class: "hint" }, h("code", null, "reconcile token create"), " makes one. It is sent once, and a cookie that this page can’t read stands for it until you sign out."),
      h("button", { type: "submit", class: "button main" }, "Sign in"),
      place.refusal ? h("p", { class: "error", role: "alert" }, h("bdi", null, place.refusal)) : null),
  ];
}

/** Say something to whoever does not see the page. */
function announce(words) {
  if (words === said && $("live").textContent === words) return;
  said = words;
  $("live").textContent = words;
}

/** Tell of phases that have changed since they were read last. */
const phases = new Map();
function announcePhases() {
  for (const item of documents["/v1/rollouts"]?.rollouts ?? []) {
    const key = `${item.namespace}/${item.name}`;
    const now = `${item.name}: ${item.phase}, step ${Math.min(item.step + 1, item.steps)} of ${item.steps}, ${item.weight}%`;
    if (phases.has(key) && phases.get(key) !== now) announce(now);
    phases.set(key, now);
  }
}

// What people do

async function openCommit(commit) {
  if (place.commits[commit] && !place.commits[commit].failed) return;
  try {
    place.commits[commit] = await read(`/v1/commits/${encodeURIComponent(commit)}`);
  } catch (error) {
    if (!(error instanceof Refusal)) return gone();
    place.commits[commit] = { failed: error.message };
  }
  return paint();
}

async function older(cursor) {
  const page = await read(`/v1/timeline?limit=30&before=${encodeURIComponent(cursor)}`);
  place.pages = [...place.pages, page];
  announce(`${page.entries.length} older entries are shown.`);
  paint();
}

function confirmation(verb) {
  const looked = rollouts.chosen(documents, place);
  const rollout = looked && documents[rollouts.pathOf(looked)]?.rollout;
  if (!rollout) return;
  const [first, second] = rollouts.consequence(verb, rollout);
  const dialog = $("dialog");
  dialog.replaceChildren(
    h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, `${rollouts.verbName(verb)} `, name(rollout.name), "?"),
      h("p", null, h("bdi", null, first)), h("p", { class: "soft" }, h("bdi", null, second)),
      h("p", { id: "dialog-error", class: "error", role: "alert" }),
      h("div", { class: "buttons" },
        h("button", { type: "submit", class: "button", value: "cancel" }, "Cancel"),
        h("button", { type: "button", class: `button ${verb === "abort" ? "danger" : "main"}`, data: { do: "confirm", verb, path: `${rollouts.pathOf(rollout)}/${verb}` } }, rollouts.verbName(verb)))));
  dialog.showModal();
}

async function carryOut(button) {
  const { verb, path } = button.dataset;
  button.disabled = true;
  try {
    const done = await post(path);
    if (done?.errors?.length && !done.commit) throw new Refusal(200, done.errors); // Git said no, and the daemon says why
    $("dialog").close();
    announce(`${rollouts.verbName(verb)}: asked for. The next pass acts on it.`);
    stale.add("/v1/rollouts");
    await refresh(undefined, { again: true });
  } catch (error) {
    $("dialog-error").replaceChildren(h("bdi", null, error instanceof Refusal ? [error.message, error.errors[0]?.hint].filter(Boolean).join("; ") : "The daemon can’t be reached, and nobody knows whether it heard this. Look before you ask again."));
    button.disabled = false;
  }
}

const DEEDS = {
  older: (button) => older(button.dataset.next),
  commit: (button) => { location.hash = place.argument === button.dataset.commit ? "#/timeline" : `#/timeline/${button.dataset.commit}`; },
  ask: (button) => confirmation(button.dataset.verb),
  confirm: carryOut,
  "sign-out": async () => {
    await signOut();
    notices.close();
    await arrive();
  },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-do]");
  const deed = button && DEEDS[button.dataset.do];
  if (deed) Promise.resolve(deed(button)).catch((error) => (error instanceof Refusal ? announce(error.message) : gone()));
});

document.addEventListener("input", (event) => {
  const field = event.target.dataset?.input;
  if (field) {
    place[field] = event.target.value;
    paint();
  }
});

document.addEventListener("submit", async (event) => {
  if (event.target.id !== "sign-in") return;
  event.preventDefault();
  const field = $("token");
  try {
    await signIn(field.value);
    field.value = "";
    place.refusal = "";
    location.hash = "#/fleet";
    await arrive();
  } catch (error) {
    place.refusal = error instanceof Refusal ? error.message : "The daemon can’t be reached.";
    paint();
  }
});

window.addEventListener("hashchange", async () => {
  const before = place.view;
  if (!route()) return;
  if (place.view !== before) {
    place.pages = [];
    window.scrollTo(0, 0);
    $("main").focus({ preventScroll: true });
  }
  paint();
  await refresh();
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment is ours
  $("main").focus();
});

let resized = 0;
window.addEventListener("resize", () => {
  cancelAnimationFrame(resized);
  resized = requestAnimationFrame(paint);
});

// From now on

async function arrive() {
  for (const path of Object.keys(documents)) delete documents[path];
  paint();
  arrived = performance.now();
  notices.open(); // before anything is read, so that nothing changes unheard in between
  await refresh();
  paint();
}

setInterval(() => tick(document), 1000);
setInterval(() => {
  if (!document.hidden && goneSince !== null) reconnect();
}, RETRY);
setInterval(() => {
  const view = VIEWS[place.view];
  if (!document.hidden && goneSince === null && view?.often) refresh(view.needs, { again: true });
}, 2000);
setInterval(() => {
  if (!document.hidden && goneSince === null) refresh(undefined, { again: true }); // whatever no notice has told of
}, PATIENCE);

route();
try {
  await whoAmI();
  await arrive();
} catch {
  gone();
}
