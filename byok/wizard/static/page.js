// Makes every page easier to use. Every page also works without this script.
"use strict";

// Copy buttons do nothing without this script, so they are hidden until it runs.
function showCopyButtons(within) {
  if (!navigator.clipboard) return;
  for (const button of within.querySelectorAll("button.copy")) {
    const label = button.innerHTML;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const copied = await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent)
        .then(() => "Copied", () => "Not copied");  // the browser may forbid it
      button.textContent = copied;
      setTimeout(() => { button.innerHTML = label; }, 1500);
    });
  }
}

// The help stands beside the step in a wide window, and is folded away below the step in a narrow one.
function foldHelp() {
  const help = document.querySelector(".help-panel > details");
  if (!help) return;
  const wide = matchMedia("(min-width: 68rem)");
  const fold = () => { help.open = wide.matches; };
  wide.addEventListener("change", fold);
  fold();
}

// A toast floats over the page for a while. Without this script, it stays at the top until the next page.
function floatToast() {
  const toast = document.querySelector(".toast");
  if (!toast) return;
  const address = new URL(location.href);
  address.searchParams.delete("done");  // a reload must not repeat the toast
  history.replaceState(null, "", address);
  toast.classList.add("toast--floating");
  setTimeout(() => toast.remove(), 10_000);
}

// A form that is being submitted says so, and cannot be submitted again. `aria-disabled` keeps the focus on the button.
function setBusy(form, button) {
  form.dataset.busy = "true";
  for (const one of form.elements) if (one.type === "submit") one.setAttribute("aria-disabled", "true");
  if (!button) return;
  button.setAttribute("aria-busy", "true");
  button.dataset.idle = button.innerHTML;
  if (button.dataset.busy) button.textContent = button.dataset.busy;
}

function setIdle(form) {
  delete form.dataset.busy;
  for (const one of form.elements) {
    if (one.type !== "submit") continue;
    one.removeAttribute("aria-disabled");
    one.removeAttribute("aria-busy");
    if (one.dataset.idle) one.innerHTML = one.dataset.idle;
    delete one.dataset.idle;
  }
}

// This listener runs after the listeners of the form itself, which submit some forms without a page load.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  const form = event.target;
  if (form.dataset.busy) {
    event.preventDefault();
    return;
  }
  setBusy(form, event.submitter);
  setTimeout(() => setIdle(form), 30_000);  // the user may have stopped the page load
});

// The back button can bring back a page as the user left it.
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.querySelectorAll("form[data-busy]")) setIdle(form);
});

showCopyButtons(document);
foldHelp();
floatToast();
