// What the pages of mappings do beside their forms: send each submit without leaving the page, and check as one types.

const HEADERS = { [document.body.dataset.header]: "1", Accept: "text/html" };
const WAIT_MS = 400;
const typed = new Map();
let turn = 0;
let timer = 0;

const formOf = () => document.getElementById("draft");

function lost(text) {
  const banner = document.getElementById("lost");
  banner.textContent = text;
  banner.hidden = text === "";
  if (text) banner.scrollIntoView({ block: "nearest" });
}

// The page that answers, or null where there is none, or a later one was asked for meanwhile.
async function answered(body) {
  const mine = ++turn;
  const form = formOf();
  let answer;
  try {
    answer = await fetch(form.action, { method: "POST", headers: HEADERS, body });
  } catch {
    if (mine === turn) lost("The server can't be reached. Nothing was saved; what you typed stays here. Try again when the connection is back.");
    return null;
  }
  if (mine !== turn) return null;
  if (answer.redirected) {
    location.assign(answer.url);
    return null;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (answer.ok && page.getElementById("draft")) {
    lost("");
    return page;
  }
  const said = [...page.querySelectorAll("main h1, main p")].map((line) => line.textContent.trim());
  lost(`${said.slice(0, 3).join(" ") || `The server answered ${answer.status}.`} What you typed stays here.`);
  return null;
}

const bodyOf = (button) => {
  const body = new URLSearchParams(new FormData(formOf()));
  body.set("do", button?.value ?? "check");
  return body;
};

// All of the page; who pressed a button finds it again, or what it opened.
async function full(button) {
  clearTimeout(timer);
  const form = formOf();
  form.setAttribute("aria-busy", "true");
  typed.clear();
  const page = await answered(bodyOf(button));
  form.removeAttribute("aria-busy");
  if (!page) return;
  const open = [...document.querySelectorAll("details[open][id]")].map((details) => details.id);
  document.getElementById("main").replaceChildren(...page.getElementById("main").childNodes);
  for (const id of open) if (!id.startsWith("tried-")) document.getElementById(id)?.setAttribute("open", "");
  focusAfter(button);
  keepTyped();
}

// What was typed while the answer was under way.
function keepTyped() {
  const later = [...typed].filter(([id, value]) => "value" in (document.getElementById(id) ?? {}) && document.getElementById(id).value !== value);
  for (const [id, value] of later) document.getElementById(id).value = value;
  if (later.length) check();
}

const AFTER = { open: ".rule-form input", new: ".rule-form input", remove: "#new", close: "#new", suggestions: "#suggested-title", preview: "#tried-sum, #sample-fault", add: "#suggested-title", sample: "#tried-sum, #sample-fault", save: "[data-focus], #faults" };

function focusAfter(button) {
  const wanted = (button?.id && document.getElementById(button.id)) || null;
  const first = document.querySelector(AFTER[button?.value.split(":")[0]] ?? "none");
  const place = first && !first.matches("p:empty") ? first : wanted;
  if (!place) return;
  if (!place.matches("input, select, textarea, button, a, [tabindex]")) place.tabIndex = -1;
  place.focus({ preventScroll: false });
}

// What is wrong, and what follows from it; the inputs stay as they are.
async function check() {
  const page = await answered(bodyOf(null));
  if (!page) return;
  for (const old of document.querySelectorAll("[data-fresh][id]")) {
    const fresh = page.getElementById(old.id);
    if (fresh && fresh.innerHTML !== old.innerHTML && !old.contains(document.activeElement)) old.innerHTML = fresh.innerHTML;
  }
  for (const input of document.querySelectorAll(".rule-form [id]")) {
    if (page.getElementById(input.id)?.hasAttribute("aria-invalid")) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}

document.addEventListener("submit", (event) => {
  if (event.target !== formOf()) return;
  event.preventDefault();
  full(event.submitter);
});

document.addEventListener("input", (event) => {
  const form = formOf();
  if (form?.dataset.checks === undefined || !form.contains(event.target) || event.target.dataset.full !== undefined) return;
  if (event.target.id) typed.set(event.target.id, event.target.value);
  if (form.hasAttribute("aria-busy")) return;
  clearTimeout(timer);
  timer = setTimeout(check, WAIT_MS);
});

// Another transform has other inputs.
document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-full]")) full(event.target).then(() => document.getElementById(event.target.id)?.focus());
});
