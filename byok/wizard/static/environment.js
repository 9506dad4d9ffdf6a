// Keeps an environment's page up to date. If scripts are disabled, the page reloads automatically instead.
"use strict";

const RECONNECT = 5_000;
const HEALTH_INTERVAL = 60_000;

const title = document.title;
let source = null;

const isFinal = () => document.getElementById("state").dataset.final === "true";

async function refresh() {
  const html = await load("live");
  if (html === null) return;
  replaceContent(live, html);
  const words = document.getElementById("state").dataset.words;
  announce(words);
  document.title = `${words} · ${title}`;  // so that a background tab shows the result
  if (isFinal()) {  // the help, the toast and the refusal are about the operation that has just ended
    for (const one of document.querySelectorAll(".help-panel, .toast, #refusal")) one.remove();
    document.querySelector(".with-help")?.classList.remove("with-help");
  }
}

// Progress: the server reports each change. The browser reconnects automatically unless the server rejects it.
function followProgress() {
  if (isFinal() || source !== null || sessionEnded) return;
  source = new EventSource(live.dataset.changes);
  source.addEventListener("change", async () => {
    await refresh();
    if (isFinal()) stopFollowing();
  });
  source.addEventListener("open", () => setConnected(true));
  source.addEventListener("error", async () => {
    if (source?.readyState !== EventSource.CLOSED) {
      setConnected(false);
      return;
    }
    stopFollowing();
    await refresh();  // the server closes the stream after the last change
    setTimeout(followProgress, RECONNECT);
  });
}

function stopFollowing() {
  source?.close();
  source = null;
}

// Reloads the environment, which may have changed in the meantime, for example because of a retry from another page.
async function catchUp() {
  const keeps = isFinal() && document.getElementById("refusal");  // a rejected retry: its reason and its ARNs stay
  if (!keeps) await refresh();
  followProgress();
}

// Health: a page that stays open must not show an outdated state. If the state has changed, the whole page is updated.
async function refreshHealth() {
  const shown = document.getElementById("health");
  if (!shown || document.hidden || sessionEnded) return;
  const html = await load("health");
  if (html === null) return;
  const loaded = document.createElement("template");
  loaded.innerHTML = html;
  const now = loaded.content.getElementById("health");
  if (now?.dataset.state !== shown.dataset.state) await catchUp();
  else if (!shown.contains(document.activeElement) && !shown.querySelector("details[open]")) {
    shown.replaceWith(now);
    showCopyButtons(now);
  }
}

// Keeps the elapsed times up to date between the changes that the server reports.
function countSeconds() {
  for (const one of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(1, Math.round((Date.now() - Date.parse(one.dataset.since)) / 1000));
    one.textContent = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }
}

followProgress();
setInterval(countSeconds, 1_000);
setInterval(refreshHealth, HEALTH_INTERVAL);
whenUserReturns(catchUp);
