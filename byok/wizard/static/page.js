// Makes every page easier to use. Every page also works without this script.
"use strict";

// Tells users of screen readers what has changed. No script replaces the element that the words are in.
function announce(words) {
  const place = document.getElementById("announcement");
  if (place.textContent !== words) place.textContent = words;
}

// Copy buttons do nothing without this script, so they are hidden until it runs.
function showCopyButtons(within) {
  if (!navigator.clipboard) return;
  for (const button of within.querySelectorAll("button.copy")) {
    const label = button.innerHTML;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const copied = await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent)
        .then(() => "Copied", () => "Not copied");  // the browser can deny access to the clipboard
      button.textContent = copied;
      announce(copied);
      setTimeout(() => { button.innerHTML = label; }, 1500);
    });
  }
}

// The help is beside the step in a wide window. In a narrow window, the help is collapsed below the step.
function foldHelp() {
  const help = document.querySelector(".help-panel > details");
  if (!help) return;
  const wide = matchMedia("(min-width: 68rem)");
  const fold = () => { help.open = wide.matches; };
  wide.addEventListener("change", fold);
  fold();
}

// Lets the user choose the colour scheme. The server applies the choice to the pages that follow.
function offerThemes() {
  const choice = document.getElementById("theme");
  choice.parentElement.hidden = false;
  choice.addEventListener("change", () => {
    const theme = choice.value;
    document.getElementById("dark").media = { dark: "screen", light: "not all" }[theme] || "screen and (prefers-color-scheme: dark)";
    document.querySelector('meta[name="color-scheme"]').content = theme || "light dark";
    document.cookie = `byok_theme=${theme}; path=/; max-age=31536000; samesite=lax`;
  });
}

const PATIENCE = 4_000;  // an interruption that is shorter than this is not shown

// Shows or hides the connection warning. A short interruption, such as the end of a stream, is ignored.
let patience = null;
function setConnected(connected) {
  const lost = document.getElementById("connection-lost");
  if (!lost) return;
  if (connected) {
    clearTimeout(patience);
    patience = null;
    lost.hidden = true;
  } else if (patience === null) {
    patience = setTimeout(() => { lost.hidden = false; }, navigator.onLine ? PATIENCE : 0);
  }
}

// Says that the session has ended. The link leads back to this page.
function showSessionEnded() {
  const ended = document.getElementById("session-ended");
  ended.querySelector("a").href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
  ended.hidden = false;
}

// Makes the toast float over the page for 10 seconds. A toast with a link stays. Without this script, the toast stays at the top of the page.
function floatToast() {
  const toast = document.querySelector(".toast");
  if (!toast) return;
  const address = new URL(location.href);
  for (const name of ["done", "undo"]) address.searchParams.delete(name);  // a reload must not repeat the toast
  history.replaceState(null, "", address);
  toast.classList.add("toast--floating");
  setTimeout(() => announce(toast.textContent), 500);  // screen readers ignore what the page contains when it loads
  if (!toast.querySelector("a")) setTimeout(() => toast.remove(), 10_000);
}

// A link to collapsed details opens them.
document.addEventListener("click", ({ target }) => {
  const link = target.closest('a[href^="#"]');
  const details = link && document.getElementById(link.hash.slice(1));
  if (details?.tagName === "DETAILS") details.open = true;
});

// Marks a form as busy, so that the user cannot submit it twice. `aria-disabled` keeps the focus on the button.
// Returns a function that makes the form usable again, even if its buttons belong to another form by then.
function setBusy(form, button) {
  const buttons = [...form.elements].filter((one) => one.type === "submit");
  form.dataset.busy = "true";
  for (const one of buttons) one.setAttribute("aria-disabled", "true");
  const label = button?.innerHTML;
  if (button) {
    button.setAttribute("aria-busy", "true");
    if (button.dataset.busy) button.textContent = button.dataset.busy;
  }
  return () => {
    delete form.dataset.busy;
    for (const one of buttons) one.removeAttribute("aria-disabled");
    button?.removeAttribute("aria-busy");
    if (button) button.innerHTML = label;
  };
}

// This listener runs after the form's own listeners, which submit some forms without a page load.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  const form = event.target;
  if (form.dataset.busy) {
    event.preventDefault();
    return;
  }
  const setIdle = setBusy(form, event.submitter);
  setTimeout(setIdle, 30_000);  // in case the user stopped the page load
  addEventListener("pageshow", setIdle, { once: true });  // the back button can restore the page in its busy state
});

showCopyButtons(document);
foldHelp();
offerThemes();
floatToast();
