// What pages of records do beside showing: save a form with what is wrong beside each field, search on by themselves.

const HEADERS = { [document.body.dataset.header]: "1", Accept: "application/json" };

async function answerOf(method, url, body, more = {}) {
  const headers = { ...HEADERS, ...more, "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(url, { method, headers, body: JSON.stringify(body) });
  } catch {
    throw { message: "The server can't be reached.", detail: "Try again when the connection is back; nothing is done twice." };
  }
  const told = answer.headers.get("Content-Type")?.includes("json") ? await answer.json() : {};
  if (answer.ok) return told;
  if (answer.status === 401) told.link = { href: document.body.dataset.login, text: "Log in again" };
  if (answer.status === 409) told.link = { href: location.href, text: "Look at it again" };
  throw { message: `The server answered ${answer.status}.`, detail: "", ...told };
}

function tellFault(element, { message, detail, link }) {
  element.replaceChildren(`${message} ${detail} `);
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link.href;
    anchor.textContent = link.text;
    element.append(anchor);
  }
  element.hidden = false;
  element.focus();
}

function go(text, address) {
  sessionStorage.setItem("kwiksync.said", text);
  if (address === location.pathname) location.reload();
  else location.assign(address);
}

// The form of a record, that is there or is to be made

const form = document.getElementById("edit");
const SYS_ID = /^[0-9a-f]{32}$/;
const named = new Map();
const sysIdOf = (input) => named.get(input.id)?.get(input.value.trim()) ?? input.value.trim();
const valueOf = (field) => {
  if (field.type === "checkbox") return field.checked;
  if (field.dataset.find) return sysIdOf(field);
  return field.type === "datetime-local" && field.value ? `${field.value}Z` : field.value;
};
const fieldsOf = (element) => [...element.elements].filter((field) => field.name);

function mark(field, text) {
  const fault = document.getElementById(`${field.id}-fault`);
  if (!fault) return false;
  fault.textContent = text;
  fault.hidden = !text;
  field.removeAttribute("aria-invalid");
  if (text) field.setAttribute("aria-invalid", "true");
  return true;
}

// `quantity is no number; due_date is no day` stands beside quantity and due_date, each with the code of the error;
// what names no field stays on top.
function showFaults(told) {
  const left = told.message.split("; ").filter((part) => {
    const field = form.elements[part.split(" ")[0]];
    return !(field && mark(field, `${told.code} ${part.slice(part.indexOf(" ") + 1)}`));
  });
  const first = form.querySelector("[aria-invalid]");
  tellFault(document.getElementById("edit-fault"), { ...told, message: `${told.code ?? ""} ${left.length ? left.join("; ") : "Some fields can't be saved so."}`.trim() });
  first?.focus();
}

async function save(values) {
  await answerOf("PATCH", form.dataset.url, values, { "If-Match": `"${form.dataset.seen}"` });
  go("It is saved.", form.dataset.then);
}

// The same values again, after an answer that was lost, make no second record.
const keys = new Map();

async function make(values) {
  const text = JSON.stringify(values);
  if (!keys.has(text)) keys.set(text, crypto.getRandomValues(new Uint32Array(4)).join("-"));
  const { result } = await answerOf("POST", form.dataset.url, values, { "Idempotency-Key": keys.get(text) });
  go("It is made.", `${form.dataset.then}/${result.sys_id}`);
}

for (const input of document.querySelectorAll("[data-find]")) named.set(input.id, new Map([[input.value.trim(), input.dataset.sysId]]));

if (form) {
  const before = new Map(fieldsOf(form).map((field) => [field.name, valueOf(field)]));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    document.getElementById("edit-fault").hidden = true;
    for (const field of fieldsOf(form)) mark(field, field.validity.badInput ? "is no value of its kind" : "");
    if (form.querySelector("[aria-invalid]")) return form.querySelector("[aria-invalid]").focus();
    const isNew = form.dataset.new !== undefined;
    const untouched = (field) => (isNew && field.type !== "checkbox" ? "" : before.get(field.name));
    const changed = fieldsOf(form).filter((field) => valueOf(field) !== untouched(field));
    if (!changed.length && isNew) return tellFault(document.getElementById("edit-fault"), { message: "Nothing is filled in yet.", detail: "Fill in a field at least." });
    if (!changed.length) return go("Nothing was changed.", form.dataset.then);
    const button = form.querySelector("button.primary");
    button.disabled = true;
    try {
      const values = Object.fromEntries(changed.map((field) => [field.name, valueOf(field)]));
      await (isNew ? make(values) : save(values));
    } catch (told) {
      showFaults(told);
    } finally {
      button.disabled = false;
    }
  });
}

// A record to refer to, shown by its name and found by its name or number

for (const input of document.querySelectorAll("[data-find]")) {
  let timer = 0;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => suggest(input), 250);
  });
}

async function suggest(input) {
  const text = input.value.trim();
  const note = document.getElementById(`${input.id}-note`);
  const known = named.get(input.id);
  if (!text || known.has(text)) return void (note.textContent = text ? "chosen" : "none");
  if (SYS_ID.test(text)) return void (note.textContent = "by its sys_id");
  if (text.length < 2) return;
  const answer = await fetch(`${input.dataset.find}?${new URLSearchParams({ q: text, limit: 20, sort: "-sys_id" })}`, { headers: HEADERS }).catch(() => null);
  if (!answer?.ok) return;
  const { result } = await answer.json();
  const labels = result.map((row) => {
    const called = [row.number ?? row.asset_tag, row.name ?? row.short_description].filter(Boolean).join(" ").replace(/\s+/g, " ").trim() || row.external_id;
    const isAnother = known.has(called) && known.get(called) !== row.sys_id;
    const label = isAnother ? `${called} (${row.external_id ?? row.sys_id})` : called;
    for (const name of [label, row.number ?? row.asset_tag]) if (name && !known.has(name)) known.set(name, row.sys_id);
    return label;
  });
  input.list.replaceChildren(...labels.map((label) => new Option(label, label)));
  if (known.has(input.value.trim())) note.textContent = "chosen";
  else note.textContent = result.length ? `${result.length === 20 ? "20 or more" : result.length} found: choose one` : "none found";
}

// A search that found nothing yet goes on by itself, as long as one looks

async function searchOn() {
  const onward = document.querySelector("#found [data-search-on]");
  if (!onward || document.querySelector("#found tbody, #found .bins") || document.hidden) return;
  const answer = await fetch(onward.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("found");
  document.getElementById("found").replaceWith(page);
  history.replaceState(null, "", onward.href);
  setTimeout(searchOn, 100);
}

setTimeout(searchOn, 100);

// A conflict, decided field by field

const decision = document.getElementById("decision");

decision?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fault = document.getElementById("decision-fault");
  fault.hidden = true;
  const rows = [...decision.querySelectorAll("[data-conflict]")];
  const chosen = rows.map((row) => [row, row.querySelector("input[type=radio]:checked")]).filter(([, radio]) => radio);
  if (!chosen.length) return tellFault(fault, { message: "Nothing is chosen yet.", detail: "Say for a field which value is to stand." });
  let done = 0;
  try {
    for (const [row, radio] of chosen) {
      const body = radio.value === "value" ? { value: row.querySelector("[data-own]").value } : { use: radio.value };
      await answerOf("POST", row.dataset.conflict, body);
      done += 1;
    }
    go(`${done} ${done === 1 ? "field is" : "fields are"} decided.`, decision.dataset.then);
  } catch (told) {
    if (done) told = { ...told, message: `${done} decided, and then: ${told.message}` };
    tellFault(fault, told);
  }
});

for (const own of document.querySelectorAll("[data-own]")) {
  own.addEventListener("input", () => (own.closest("[data-conflict]").querySelector("input[value=value]").checked = true));
}
