// The daemon's API: reading documents, asking for things as whoever is signed in, and hearing what has changed.

/** What the daemon said no with. */
export class Refusal extends Error {
  constructor(status, errors) {
    super(errors?.[0]?.message ?? `the daemon answered ${status}`);
    this.status = status;
    this.errors = errors ?? [];
  }
}

/** Who asks. `known` is false where the daemon has no sessions: then everybody reads, and nobody does more. `tokens`: whether anybody can sign in. */
export const session = { known: false, name: "", roles: [], csrf: "", tokens: false };

async function call(method, path, body) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-Reconcile-CSRF"] = session.csrf;
  const reply = await fetch(path, {
    method, headers, credentials: "same-origin", cache: "no-store", redirect: "error",
    body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(method === "GET" ? 15000 : 60000),
  });
  if (reply.status === 204) return null;
  let document = null;
  try {
    document = await reply.json();
  } catch {
    throw new Refusal(reply.status, []);
  }
  if (!reply.ok) throw new Refusal(reply.status, document.errors);
  return document;
}

export const read = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);

/** Learn who we are. */
export async function whoAmI() {
  try {
    Object.assign(session, { known: true }, person(await read("/v1/session")));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 404) Object.assign(session, { known: false, name: "", roles: ["read"], csrf: "", tokens: false });
    else Object.assign(session, { known: true, name: "", roles: [], csrf: "", tokens: true });
  }
  return session;
}

export async function signIn(token) {
  Object.assign(session, { known: true }, person(await post("/v1/session", { token })));
}

export async function signOut() {
  await call("DELETE", "/v1/session");
  await whoAmI();
}

const person = (said) => ({ name: said.name ?? "", roles: said.roles ?? [], csrf: said.csrf ?? "", tokens: said.tokens ?? true });

export const may = (role) => session.roles.includes(role);

/** Notices of what changed, for as long as anybody looks: a hidden page lets go of its connection, of which a browser has few. */
export class Notices {
  constructor({ kinds, heard, lost }) {
    this.kinds = kinds;
    this.heard = heard;
    this.lost = lost;
    this.source = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
  }

  open() {
    if (this.source || document.hidden || !may("read")) return;
    const source = (this.source = new EventSource("/v1/events"));
    for (const kind of this.kinds) source.addEventListener(kind, () => this.heard(kind));
    source.onerror = () => {
      if (this.source !== source) return;
      this.close();
      this.lost();
    };
  }

  close() {
    this.source?.close();
    this.source = null;
  }
}
