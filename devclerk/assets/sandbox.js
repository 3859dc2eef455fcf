// A small frontend: the real client, and a session that imitates Clerk's.
import { createApiClient, createUserEndpoints } from "/client.js";

const at = (id) => document.getElementById(id);
const api = document.body.dataset.api;

let user = null; // the user who is signed in
let token = null; // of the session. Clerk's is renewed before it expires, this one only on request

function log(text, kind = "") {
  const line = document.createElement("li");
  line.textContent = `${new Date().toISOString().slice(11, 23)}  ${text}`;
  line.className = kind;
  at("log").append(line);
  line.scrollIntoView({ block: "nearest" });
}

function notice(text) {
  at("notice").textContent = text;
  at("notice").hidden = !text;
}

async function control(path, body) {
  const options = body && { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`/_dev/${path}`, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

const ours = (action, body = {}) => control(`people/${encodeURIComponent(user.id)}/${action}`, body);

// As getToken of Clerk's session: with skipCache a fresh token, otherwise the stored one.
async function getToken({ skipCache = false } = {}) {
  if (!user) {
    log("getToken: no user is signed in");
    return null;
  }
  if (token && !skipCache) {
    log("getToken: the stored token");
    return token;
  }
  try {
    token = (await ours("token", { azp: location.origin })).token;
    log(skipCache ? "getToken, skipCache: a fresh token" : "getToken: a first token");
  } catch {
    token = null; // as after the end of a session
    log("getToken: Clerk has no such user any more", "bad");
  }
  return token;
}

async function watchedFetch(request) {
  const path = `${request.method} ${new URL(request.url).pathname}`;
  try {
    const response = await fetch(request);
    const trouble = response.ok ? "" : ` ${(await response.clone().json()).errors[0].code}`;
    const wait = response.headers.get("Retry-After");
    log(`${path}: ${response.status}${trouble}${wait ? `, Retry-After ${wait}` : ""}`, response.ok ? "good" : "bad");
    return response;
  } catch (error) {
    log(`${path}: ${error.message}`, "bad");
    throw error;
  }
}

function signedOut() {
  log("onSignedOut: the client found no other token", "bad");
  forget("Signed out: there was no token, or none but the refused one.");
}

function forget(text) {
  user = token = null;
  at("state").textContent = text;
  fill("row", { "no user yet": "" });
  fill("claims", { "nothing yet": "" });
}

function fill(id, values) {
  const lines = Object.entries(values).flatMap(([name, value]) => {
    const [key, cell] = [document.createElement("dt"), document.createElement("dd")];
    key.textContent = name;
    cell.textContent = value === null ? "null" : String(value);
    return [key, cell];
  });
  at(id).replaceChildren(...lines);
}

async function show(id, call) {
  try {
    fill(id, await call());
  } catch (error) {
    const code = error.code ? ` ${error.status} ${error.code}` : "";
    log(`the call failed: ${error.name}${code}: ${error.message}`, "bad");
    fill(id, { failed: `${error.name}${code}` });
  }
}

// A change in Clerk, its webhook, and the row as it is then.
async function change(action, body, me) {
  const { svix_id: id, type, sent } = await ours(action, body);
  log(`Clerk: ${type}${sent ? "" : ", and no webhook"}`);
  for (let tries = 0; sent && tries < 300; tries += 1) {
    const { attempts } = await control(`deliveries/${id}`);
    if (attempts.length) {
      const [{ status, answer }] = attempts;
      log(`webhook ${type}: ${status} ${answer}`, status === 200 ? "good" : "bad");
      break;
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  await me();
}

function wire() {
  const options = { baseUrl: api, getToken, fetch: watchedFetch, onSignedOut: signedOut };
  const users = createUserEndpoints(createApiClient(options));
  const me = () => show("row", () => users.me());
  const session = () => show("claims", () => users.session());
  const trouble = (text, path, body) => async () => {
    await control(path, body);
    log(`Clerk: ${text}`);
  };
  const rotate = async () => {
    await trouble("a new signing key; the old one has left the set", "rotate", {})();
    token = null;
  };
  const expire = async () => {
    token = (await ours("token", { azp: location.origin, fault: "expired" })).token;
    log("the token of the session ended an hour ago");
  };
  const actions = {
    me,
    session,
    five: () => Promise.all([me(), session(), me(), session(), me()]),
    expire,
    rotate,
    down: trouble("the address of the keys answers 503", "keys", { state: "down" }),
    up: trouble("the address of the keys answers again", "keys", { state: "up" }),
    delete: () => change("delete", {}, me),
    "sign-out": () => forget("Signed out."),
    clear: () => at("log").replaceChildren(),
  };
  for (const [id, act] of Object.entries(actions)) at(id).addEventListener("click", () => guarded(act));
  submit("sign-in", () => signIn(me));
  submit("rename", () => change("update", { first_name: at("first").value, last_name: at("last").value }, me));
}

const submit = (id, act) =>
  at(id).addEventListener("submit", (event) => {
    event.preventDefault();
    guarded(act);
  });

async function guarded(act) {
  notice("");
  try {
    await act();
  } catch (error) {
    notice(user ? error.message : "Sign in first.");
  }
}

async function signIn(me) {
  const { people: users } = await control("people");
  user = users.find(({ id }) => id === at("who").value);
  token = null;
  at("state").textContent = `Signed in as ${user.handle}, ${user.id}.`;
  at("first").value = user.first_name ?? "";
  at("last").value = user.last_name ?? "";
  log(`signed in as ${user.handle}`);
  await me();
}

async function start() {
  at("here").textContent = location.origin;
  if (!api) return notice("No API is running: start both with `make run`.");
  const { people: users } = await control("people");
  at("who").append(...users.map(({ id, handle }) => new Option(handle, id)));
  wire();
  at("desk").hidden = false;
}

start().catch((error) => notice(error.message));
