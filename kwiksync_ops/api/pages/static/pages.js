// What pages do beside showing: call the REST routes, keep live parts fresh, say what happened.

const said = document.getElementById("said");
const banner = document.getElementById("connection");
const ENDED = "Your session has ended.";

function say(text, isFault = false) {
  const line = document.createElement("p");
  line.textContent = text;
  line.className = isFault ? "fault" : "";
  if (isFault) line.setAttribute("role", "alert");
  said.replaceChildren(line);
  if (!isFault) setTimeout(() => line.remove(), 8000);
}

function tell(text, link) {
  banner.replaceChildren(text, " ");
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link;
    anchor.textContent = "Log in again";
    banner.append(anchor);
  }
  banner.hidden = text === "";
}

// Calls

async function call(method, url, body) {
  const headers = { [document.body.dataset.header]: "1", Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Error("The server can't be reached. Nothing was changed; try again when the connection is back.");
  }
  if (answer.status === 401) tell(ENDED, document.body.dataset.login);
  const told = answer.headers.get("Content-Type")?.includes("json") ? await answer.json() : null;
  if (!answer.ok) throw new Error(told ? `${told.message} ${told.detail}` : `The server answered ${answer.status}.`);
  return told;
}

function confirmed(question, detail, yes) {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-title").textContent = question;
  document.getElementById("confirm-text").textContent = detail ?? "";
  document.getElementById("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

// `{a.b}` of what is to be said, from the answer.
const filled = (text, told) =>
  text.replace(/\{([\w.]+)\}/g, (_, path) => path.split(".").reduce((value, name) => value?.[name], told) ?? "");

async function run(element, body) {
  const { call: method, url, confirm, detail, done, after } = element.dataset;
  if (confirm && !(await confirmed(confirm, detail, element.dataset.yes ?? "Go on"))) return;
  const buttons = element.matches("form") ? [...element.querySelectorAll("button")] : [element];
  for (const button of buttons) button.disabled = true;
  try {
    const told = await call(method, url, body);
    const text = done ? filled(done, told) : "";
    if (told?.ok === false) say(text, true);
    else if (after === "secret") showOnce(told.key);
    else if (after === "reload") goWith(text, location.href, told?.outcome === "rejected");
    else if (after.startsWith("/")) goWith(text, after);
    else if (text) say(text);
    document.dispatchEvent(new CustomEvent("kwiksync-called", { detail: { element, told } }));
  } catch (error) {
    say(error.message, true);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

function showOnce(text) {
  const dialog = document.getElementById("secret");
  document.getElementById("secret-text").textContent = text;
  dialog.addEventListener("close", () => location.reload(), { once: true });
  dialog.showModal();
}

function goWith(text, address, isBad = false) {
  sessionStorage.setItem("kwiksync.said", text);
  if (isBad) sessionStorage.setItem("kwiksync.bad", "yes");
  if (address === location.href) location.reload();
  else location.assign(address);
}

const TYPED = {
  number: (field) => field.valueAsNumber,
  checkbox: (field) => field.checked,
};

// `value` for a form of one field named so, else an object by name.
function values(form) {
  const fields = [...form.elements].filter((field) => field.name && !field.disabled);
  const named = fields.map((field) => [field.name, TYPED[field.type]?.(field) ?? field.value]);
  return Object.fromEntries(named);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-call]");
  if (button) run(button, button.dataset.body ? JSON.parse(button.dataset.body) : undefined);
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) document.getElementById(opener.dataset.dialog).showModal();
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.call) return;
  event.preventDefault();
  run(form, values(form));
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

// Live parts: asked for again and again, until the answer says that it is the last

const WAITS_MS = [2000, 4000, 8000, 15000, 30000];

function live(element, refresh) {
  let failures = 0;
  let timer = 0;
  let isDone = false;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(turn, Math.max(Number(element.dataset.every ?? 2000), failures ? WAITS_MS[Math.min(failures, 4)] : 0));
  };
  async function turn() {
    if (document.hidden || !element.isConnected || isDone) return;
    try {
      const answer = await fetch(element.dataset.live, { headers: { Accept: "text/html" } });
      if (answer.status === 401) return tell(ENDED, document.body.dataset.login);
      if (answer.status === 403) return tell("You have no access to this any more.");
      if (!answer.ok) throw new Error();
      refresh(await answer.text(), answer);
      isDone = answer.headers.has("X-Done");
      if (failures) tell("");
      failures = 0;
    } catch {
      failures += 1;
      tell("The connection is lost. What you see may be old; it is tried again.");
    }
    later();
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : turn()));
  document.addEventListener("kwiksync-called", () => turn());
  later();
}

// Replaced as a whole; who has the focus in it keeps it.
function replace(element, html) {
  if (html === element.dataset.shown) return;
  element.dataset.shown = html;
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...element.querySelectorAll("details[open][id]")].map((details) => details.id);
  element.innerHTML = html;
  if (focused) document.getElementById(focused)?.focus();
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
}

// Rows after the last that was seen; the newest on top, 200 at most.
function prepend(element, html, answer) {
  const last = answer.headers.get("X-Last");
  if (last) {
    const url = new URL(element.dataset.live, location.href);
    url.searchParams.set("after", last);
    element.dataset.live = url.href;
  }
  const template = document.createElement("template");
  template.innerHTML = html;
  const fresh = [...template.content.children].filter((row) => !document.getElementById(row.id));
  element.prepend(...fresh);
  while (element.children.length > 200) element.lastElementChild.remove();
}

for (const element of document.querySelectorAll("[data-live]")) {
  live(element, (html, answer) => (element.dataset.log === undefined ? replace(element, html) : prepend(element, html, answer)));
}

addEventListener("offline", () => tell("The connection is lost. What you see may be old; it is tried again."));
addEventListener("online", () => tell(""));

// Airflow's own pages open in its window, not in the frame that we stand in.
document.addEventListener("click", (event) => {
  const anchor = event.target.closest("a[data-airflow]");
  if (!anchor || parent === window) return;
  event.preventDefault();
  const outside = parent.document.createElement("a");
  outside.href = anchor.href;
  parent.document.body.append(outside);
  outside.click();
  outside.remove();
});

// Display

for (const select of document.querySelectorAll("[data-display]")) {
  const name = `kwiksync.${select.dataset.display}`;
  select.value = localStorage.getItem(name) ?? select.options[0].value;
  select.addEventListener("change", () => {
    localStorage.setItem(name, select.value);
    dispatchEvent(new Event("kwiksync-display"));
  });
}

const kept = sessionStorage.getItem("kwiksync.said");
const bad = sessionStorage.getItem("kwiksync.bad") !== null;
sessionStorage.removeItem("kwiksync.said");
sessionStorage.removeItem("kwiksync.bad");
if (kept) say(kept, bad);
