// What makes the pages quicker to use. Everything works without it.
"use strict";

// Copy buttons: without this script they would do nothing, so they are hidden until now.
function showCopyButtons(within) {
  if (!navigator.clipboard) return;
  for (const button of within.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      const before = button.innerHTML;
      button.textContent = "Copied";
      setTimeout(() => { button.innerHTML = before; }, 1500);
    });
  }
}

// Tabs: the links work by themselves; here they switch at once, and the address follows.
function makeTabsQuick() {
  const tabs = [...document.querySelectorAll('[role="tab"]')];
  function choose(chosen) {
    for (const tab of tabs) {
      const on = tab === chosen;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !on;
    }
    history.replaceState(null, "", chosen.href);
    for (const field of document.querySelectorAll('input[name="tab"]')) field.value = chosen.dataset.tab;
  }
  for (const tab of tabs) {
    tab.addEventListener("click", (event) => { event.preventDefault(); choose(tab); });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
      choose(next);
      next.focus();
    });
    tab.tabIndex = tab.getAttribute("aria-selected") === "true" ? 0 : -1;
  }
}

// The two ARNs: asked about while they are being typed. The rules are the server's, and are not written down twice.
function checkKeysAsTyped() {
  const form = document.getElementById("keys");
  if (!form) return;
  history.replaceState(null, "", form.dataset.address + location.hash);  // what was sent is in the address, too
  const fields = { s3: form.elements.s3_key_arn, rds: form.elements.rds_key_arn };
  let timer, asked = 0;
  async function check() {
    const number = ++asked;
    const query = new URLSearchParams(new FormData(form));
    query.delete("form_token");
    const answer = await fetch(`${form.dataset.rules}?${query}`);
    if (!answer.ok || number !== asked) return;
    const told = await answer.json();
    const payload = Object.values(fields).some((field) => field.value.trim().startsWith("{"));
    if (payload && told.s3_key_arn.startsWith("arn:")) {
      fields.s3.value = told.s3_key_arn;
      fields.rds.value = told.rds_key_arn;
    }
    for (const [key, field] of Object.entries(fields)) {
      const own = told.findings.filter((one) => one.key === key).map((one) => one.message);
      document.getElementById(`${field.id}-fault`).textContent = own.join(" ");
      if (own.length) field.setAttribute("aria-invalid", "true"); else field.removeAttribute("aria-invalid");
    }
    document.getElementById("both-fault").textContent =
      told.findings.filter((one) => !one.key).map((one) => one.message).join(" ");
    const address = new URL(location.href);
    for (const [key, field] of Object.entries(fields)) {
      if (field.value) address.searchParams.set(`${key}_key_arn`, field.value);
      else address.searchParams.delete(`${key}_key_arn`);
    }
    history.replaceState(null, "", address);
  }
  for (const field of Object.values(fields)) {
    field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(check, 250); });
  }
}

// Progress: the server says that something has changed, and the live part of the page is asked for again.
function followProgress() {
  const live = document.getElementById("live");
  if (!live || live.querySelector("#state").dataset.final === "true") return;
  const source = new EventSource(live.dataset.changes);
  source.addEventListener("change", async () => {
    const answer = await fetch(location.pathname, { headers: { "X-Part": "live" } });
    if (answer.redirected) {  // the visit has ended
      source.close();
      location.reload();
      return;
    }
    if (!answer.ok) return;
    live.innerHTML = await answer.text();
    showCopyButtons(live);
    if (live.querySelector("#state").dataset.final === "true") source.close();
  });
}

showCopyButtons(document);
makeTabsQuick();
checkKeysAsTyped();
followProgress();
