// Makes the steps of the wizard faster to use. Every step also works without this script.
"use strict";

const LONGEST_FILE = 1_000_000;  // in bytes; longer files are only uploaded

let stepTitle = document.title;

// Switches tabs without a page load, and updates the address. Without this function, tabs work as plain links.
function makeTabsQuick(within) {
  const tabs = [...within.querySelectorAll('[role="tab"]')];
  function choose(chosen) {
    for (const tab of tabs) {
      const on = tab === chosen;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !on;
    }
    keepInAddress({ tab: chosen.dataset.tab });
    for (const field of document.querySelectorAll('input[name="tab"]')) field.value = chosen.dataset.tab;
  }
  for (const tab of tabs) {
    tab.addEventListener("click", (event) => { event.preventDefault(); choose(tab); });
    tab.addEventListener("keydown", (event) => {
      const at = tabs.indexOf(tab), last = tabs.length - 1;
      const after = at === last ? 0 : at + 1, before = at === 0 ? last : at - 1;
      const to = { ArrowRight: after, ArrowDown: after, ArrowLeft: before, ArrowUp: before, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = tabs[to];
      choose(next);
      next.focus();
    });
    tab.tabIndex = tab.getAttribute("aria-selected") === "true" ? 0 : -1;
  }
}

// Keeps the entries in the address, so that a reload shows them again. A changed entry also removes the key check from
// the address, because the check's result applies to the earlier entries.
function keepInAddress(entries) {
  const address = new URL(location.href);
  for (const [name, value] of Object.entries(entries)) address.searchParams.set(name, value);
  if (!("tab" in entries)) address.searchParams.delete("check");
  address.searchParams.delete("next");
  history.replaceState(null, "", address);
}

// Keeps long texts, which do not fit in an address, in the session storage while the user signs in again.
function keepTexts(form) {
  for (const field of form.elements) {
    if ("keep" in field.dataset) sessionStorage.setItem(`byok-${field.id}`, field.value);
  }
}

function restoreTexts(within) {
  for (const field of within.querySelectorAll("[data-keep]")) {
    const kept = sessionStorage.getItem(`byok-${field.id}`);
    sessionStorage.removeItem(`byok-${field.id}`);
    if (!kept || field.value) continue;
    field.value = kept;
    field.closest("details")?.setAttribute("open", "");
  }
}

// Shows the text of a chosen file in the text field, so that the text is kept if the session has ended. The user can edit
// the text, and then the file itself is no longer submitted.
function readChosenFile(within) {
  for (const input of within.querySelectorAll("[data-read-into]")) {
    const field = document.getElementById(input.dataset.readInto);
    input.addEventListener("change", async () => {
      const file = input.files[0];
      if (file && file.size < LONGEST_FILE) field.value = await file.text();
    });
    field.addEventListener("input", () => { input.value = ""; });
  }
}

// Requests a page or a part of a page. If the session has ended, opens the sign-in page, which returns the user to the
// same entries.
async function request(address, options, form) {
  const answer = await fetch(address, options);
  if (answer.type === "opaqueredirect") {  // a check is being followed: the page stays, and says that the session ended
    showSessionEnded();
    return null;
  }
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") {
    if (form) keepTexts(form);
    location.assign(answer.url);
    return null;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const isOurs = page.querySelector(".page") || page.getElementById(options.headers?.["X-Part"]);
  if (!isOurs) throw new Error("the response is not from byok");  // but, for example, from a proxy
  for (const one of page.querySelectorAll("[autofocus]")) {  // the browser applies autofocus only once per page
    one.removeAttribute("autofocus");
    one.dataset.first = "";
  }
  // The response to a submitted form has an address of its own only if the server redirected the browser.
  const url = answer.redirected || options.method !== "post" ? answer.url : location.href;
  return { url, redirected: answer.redirected, page };
}

// Shows the server's response: only the form's part if the page is the same, otherwise the whole page.
// Returns whether the browser loads another page.
function show(answer, id) {
  const part = id && answer.page.getElementById(id);
  const place = id && document.getElementById(id);
  if (part && place && new URL(answer.url).pathname === location.pathname) {
    place.replaceWith(part);
    showCopyButtons(part);
    if (answer.redirected) history.replaceState(null, "", answer.url);
    prepare(part);
    focusAnswer(part);
    return false;
  }
  if (!new URL(answer.url).pathname.startsWith("/new")) {  // an environment's page has its own script
    location.assign(answer.url);
    return true;
  }
  if (new URL(answer.url).pathname === location.pathname) history.replaceState(null, "", answer.url);
  else history.pushState(null, "", answer.url);
  showPage(answer.page);
  scrollTo(0, 0);
  focusAnswer(document.body);
  return false;
}

function showPage(page) {
  shownPath = location.pathname;
  document.title = stepTitle = page.title;
  document.querySelector(".page").replaceWith(page.querySelector(".page"));
  showCopyButtons(document);
  foldHelp();
  prepare(document.querySelector(".page"));
}

// Moves the focus to the element that the server marked: the first fault or the result. Scrolls so that the element and
// its message are visible.
function focusAnswer(within) {
  const first = within.querySelector("[data-first]") || within.querySelector("h1");
  if (!first) return;
  first.focus({ preventScroll: true });
  if (first.tagName === "H1") return;
  (first.closest("#keys, #policy-report, #diagnosis, .card") || first).scrollIntoView({ block: "start" });
  const told = first.closest(".field")?.querySelector(".answer h3, .fault:not(:empty)") || first;
  told.scrollIntoView({ block: "nearest" });
}

// Submits a form without a page load. If the server cannot be reached, the form keeps its entries.
function submitQuickly(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter;
    if (form.dataset.busy || button?.getAttribute("aria-busy") === "true") return;
    const fields = new FormData(form, button);
    const setIdle = setBusy(form, button);
    document.getElementById("unreachable")?.remove();
    const part = button?.dataset.part || form.dataset.part;
    const multipart = button?.formEnctype.startsWith("multipart");
    const headers = part ? { "X-Part": part } : {};
    let leaves = false;
    try {
      const answer = form.method === "get"
        ? await request(`${form.getAttribute("action")}?${new URLSearchParams(fields)}`, { headers }, form)
        : await request(form.getAttribute("action"), { method: "post", headers, body: multipart ? fields : new URLSearchParams(fields) }, form);
      leaves = answer ? show(answer, part) : true;
      if (button?.value === "choose") document.querySelector("[data-choice] :checked")?.focus();
    } catch {
      (button?.parentElement || form).insertAdjacentHTML("beforebegin", '<p class="fault" id="unreachable" role="alert">The server cannot be reached. Your entries are kept. Try again in a moment.</p>');
    }
    if (leaves) addEventListener("pageshow", setIdle, { once: true });
    else setIdle();
  });
}

// Shows the progress of each key's check. Stops if the user changes an ARN, because the check applies to the old ARN.
async function followCheck(part) {
  if (!part || !part.dataset.check) return;
  let answer = null;
  try {
    answer = await request(part.dataset.check, { headers: { "X-Part": "keys" }, redirect: "manual" }, part.querySelector("form"));
  } catch {  // the network is briefly unavailable
    setConnected(false);
    await new Promise((resolve) => { setTimeout(resolve, 2000); });
    if (part.isConnected) followCheck(part);
    return;
  }
  setConnected(true);
  const found = answer && answer.page.getElementById("keys");
  if (!found || !part.isConnected || part.dataset.edited) return;
  const isHere = part.contains(document.activeElement) || document.activeElement === document.body;
  const states = [...part.querySelectorAll(".key-states, .key-state")];
  const now = [...found.querySelectorAll(".key-states, .key-state")];
  if (found.dataset.check && states.length === now.length) {  // only the states have changed: keep the focus
    states.forEach((one, at) => { if (one.innerHTML !== now[at].innerHTML) one.innerHTML = now[at].innerHTML; });
    setTimeout(() => followCheck(part), 300);
    return;
  }
  part.replaceWith(found);
  showCopyButtons(found);
  prepare(found);
  const words = found.querySelector("#answer h3")?.textContent;
  if (words) {  // so that a background tab shows the result
    announce(words);
    document.title = `${words} · ${stepTitle}`;
  }
  if (isHere) focusAnswer(found);  // a user who is elsewhere on the page is not interrupted
}

// Shows the result of a running key check on the review page as soon as the check has ended.
async function updateReview(part) {
  if (!part?.dataset.check) return;
  await new Promise((resolve) => { setTimeout(resolve, 2000); });
  if (!part.isConnected) return;
  const answer = await request(part.dataset.check, { redirect: "manual" }).catch(() => undefined);
  if (answer === null) return;  // the session has ended
  setConnected(answer !== undefined);
  const found = answer?.page.getElementById("review-check");
  if (!found || found.dataset.check) {
    updateReview(part);
    return;
  }
  delete part.dataset.check;
  for (const one of [part, document.getElementById("review-values")]) {
    one.replaceChildren(...answer.page.getElementById(one.id).childNodes);
  }
  announce(part.querySelector("h2")?.textContent || "Both keys are verified");
  prepare(part);
}

// Checks both ARNs while the user types. The rules are on the server, so that they are implemented only once.
function checkKeysAsTyped(form) {
  if (!form) return;
  const fields = { s3: form.elements.s3_key_arn, rds: form.elements.rds_key_arn };
  let timer, asked = 0;
  async function check() {
    const number = ++asked;
    const query = new URLSearchParams(new FormData(form));
    query.delete("form_token");
    const answer = await fetch(`${form.dataset.rules}?${query}`).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return;
    const told = await answer.json();
    if (number !== asked || !form.isConnected) return;  // the user has typed more, or a response has replaced the form
    const payload = Object.values(fields).some((field) => field.value.trim().startsWith("{"));
    if (payload && told.s3_key_arn.startsWith("arn:")) {
      fields.s3.value = told.s3_key_arn;
      fields.rds.value = told.rds_key_arn;
      keep();
    }
    for (const [key, field] of Object.entries(fields)) {
      const own = told.findings.filter((one) => one.key === key).map((one) => one.message);
      const fault = document.getElementById(`${field.id}-fault`);
      fault.textContent = own.join(" ");
      if (own.length && field === document.activeElement) fault.scrollIntoView({ block: "nearest" });
      if (own.length) field.setAttribute("aria-invalid", "true"); else field.removeAttribute("aria-invalid");
    }
    document.getElementById("both-fault").textContent =
      told.findings.filter((one) => !one.key).map((one) => one.message).join(" ");
    if (!told.findings.length && fields.s3.value && fields.rds.value) foldKit();
  }
  function keep() {
    keepInAddress({ s3_key_arn: fields.s3.value, rds_key_arn: fields.rds.value });
  }
  for (const field of Object.values(fields)) {
    field.addEventListener("input", () => {
      forgetAnswers(form);
      keep();
      clearTimeout(timer);
      timer = setTimeout(check, 250);
    });
  }
}

// Removes the results of earlier checks as soon as the user changes an ARN.
function forgetAnswers(form) {
  form.closest("#keys").dataset.edited = "true";
  form.elements.check.value = "";
  const validate = form.querySelector('[value="validate"]');
  const next = form.querySelector('#answer [value="next"]');
  if (next) {  // after a change, the user must validate the keys again
    validate.after(next);
    validate.classList.remove("quiet");
    next.classList.add("quiet");
  }
  for (const one of form.querySelectorAll("#answer, #both-answer, .answer")) one.remove();
  for (const one of [form.elements.s3_key_arn, form.elements.rds_key_arn]) {
    one.setAttribute("aria-describedby", `${one.id}-fault ${one.id}-help`);
  }
  validate.removeAttribute("aria-busy");
  validate.removeAttribute("aria-disabled");
  validate.textContent = "Validate keys";
}

// Collapses the kit, which is no longer needed once both ARNs are entered. The page is scrolled back by the height that
// the kit loses, so that the user's field stays in the same place.
function foldKit() {
  const kit = document.getElementById("kms");
  if (!kit || !kit.open) return;
  const anchor = document.getElementById("keys");
  const before = anchor.getBoundingClientRect().top;
  kit.open = false;
  scrollBy(0, anchor.getBoundingClientRect().top - before);
}

// Applies the choice of the keys immediately. The button is only for browsers without scripts.
function chooseQuickly(choice) {
  if (!choice) return;
  const button = choice.querySelector("button");
  button.parentElement.hidden = true;
  choice.addEventListener("change", () => button.form.requestSubmit(button));
}

// Removes a field's error message as soon as the user changes the entry, because the message applies to the old entry.
function forgetFaults(form) {
  form.addEventListener("input", ({ target }) => {
    if (!target.hasAttribute("aria-invalid") || form.id === "keys-form") return;
    target.removeAttribute("aria-invalid");
    target.closest(".field").querySelector(".fault").textContent = "";
  });
}

function prepare(within) {
  makeTabsQuick(within);
  restoreTexts(within);
  readChosenFile(within);
  for (const form of within.querySelectorAll("form[data-part], form[data-page]")) {
    submitQuickly(form);
    forgetFaults(form);
  }
  for (const form of within.querySelectorAll("[data-keep-address]")) {
    form.addEventListener("input", () => keepInAddress(Object.fromEntries(new FormData(form))));
  }
  chooseQuickly(within.querySelector("[data-choice]"));
  checkKeysAsTyped(within.querySelector("#keys-form"));
  followCheck(within.id === "keys" ? within : within.querySelector("#keys"));
  updateReview(within.querySelector("#review-check"));
}

// Loads a page only if the step has changed. A link to a place on the same page also causes this event.
let shownPath = location.pathname;
addEventListener("popstate", async () => {
  if (location.pathname === shownPath) return;
  const answer = await request(location.href, {}).catch(() => null);
  if (answer) showPage(answer.page); else location.reload();
});
prepare(document.querySelector(".page"));
