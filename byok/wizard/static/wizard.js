// Makes the steps faster to use. Every step also works without this script.
"use strict";

// Tabs also work as plain links. This function switches tabs without a page load, and updates the address.
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

// Checks both ARNs while the user types. The server applies the rules, so that the rules are implemented only once.
function checkKeysAsTyped() {
  const form = document.getElementById("keys");
  if (!form) return;
  history.replaceState(null, "", form.dataset.address + location.hash);  // keep the submitted values in the address
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

makeTabsQuick();
checkKeysAsTyped();
