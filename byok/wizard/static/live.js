// Loads parts of a page that keeps itself current, and shows whether the server answers.
"use strict";

const PATIENCE = 4_000;  // a connection that is back within this time was never shown as lost

const live = document.getElementById("live");
let sessionEnded = false;

// Shows whether the server answers. A short interruption, such as the end of a stream, is not shown.
let patience = null;
function setConnected(connected) {
  const lost = document.getElementById("connection-lost");
  if (connected) {
    clearTimeout(patience);
    patience = null;
    lost.hidden = true;
  } else if (patience === null) {
    patience = setTimeout(() => { lost.hidden = false; }, navigator.onLine ? PATIENCE : 0);
  }
}

// Requests a part of the page. Returns its HTML, or null if there is nothing new to show.
async function load(part) {
  let answer;
  try {
    answer = await fetch(live.dataset.page, { headers: { "X-Part": part }, redirect: "manual", cache: "no-store" });
  } catch {
    setConnected(false);
    return null;
  }
  if (answer.type === "opaqueredirect") {  // to the sign-in page; what the user has typed stays on this page
    sessionEnded = true;
    setConnected(true);
    document.getElementById("session-ended").hidden = false;
    return null;
  }
  if (answer.status === 404) location.reload();  // the whole page says what is missing
  setConnected(answer.ok);
  return answer.ok ? answer.text() : null;
}

// Replaces an element's content, and keeps the focus, what the user has typed, and what the user has opened.
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

function announce(words) {
  const place = document.getElementById("announcement");
  if (place.textContent !== words) place.textContent = words;
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
