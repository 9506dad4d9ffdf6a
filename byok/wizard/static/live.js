// Loads parts of a live page, and shows a warning if the server cannot be reached.
"use strict";

const live = document.getElementById("live");
let sessionEnded = false;

// Requests a part of the page. Returns the part's HTML, or null if the server returned no HTML to show.
async function load(part) {
  let answer;
  try {
    answer = await fetch(live.dataset.page, { headers: { "X-Part": part }, redirect: "manual", cache: "no-store" });
  } catch {
    setConnected(false);
    return null;
  }
  if (answer.type === "opaqueredirect") {  // to the sign-in page; this page keeps what the user has typed
    sessionEnded = true;
    setConnected(true);
    showSessionEnded();
    return null;
  }
  if (answer.status === 404) location.reload();  // the reloaded page says what was not found
  setConnected(answer.ok);
  return answer.ok ? answer.text() : null;
}

// Replaces an element's content, but keeps the focus, the text that the user has typed, and the details that are open.
function replaceContent(element, html) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const typed = [...element.querySelectorAll("input[id]")].filter((one) => one.value !== one.defaultValue);
  const opened = [...element.querySelectorAll("details[id]")].filter((one) => one.open);
  element.innerHTML = html;
  for (const one of opened) document.getElementById(one.id)?.setAttribute("open", "");
  for (const one of typed) {
    const field = document.getElementById(one.id);
    if (field) field.value = one.value;
  }
  const again = focused?.id && document.getElementById(focused.id);
  if (again) {
    again.focus({ preventScroll: true });
    if (typeof focused.selectionStart === "number") again.setSelectionRange(focused.selectionStart, focused.selectionEnd);
  }
  showCopyButtons(element);
}

// Calls a function when the user returns to this page, at most once in two seconds.
function whenUserReturns(act) {
  let last = Date.now();
  const returned = () => {
    if (document.hidden || sessionEnded || Date.now() - last < 2_000) return;
    last = Date.now();
    act();
  };
  document.addEventListener("visibilitychange", returned);
  addEventListener("focus", returned);
  addEventListener("pageshow", (event) => { if (event.persisted) returned(); });
}
