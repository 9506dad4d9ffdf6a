// Keeps the page of an environment current. Without this script, the page reloads itself.
"use strict";

const PATIENCE = 4_000;  // a connection that is back within this time was never shown as lost
const RECONNECT = 5_000;
const HEALTH_INTERVAL = 60_000;

const live = document.getElementById("live");
const lost = document.querySelector("#connection-state > p");

const title = document.title;

const isFinal = () => document.getElementById("state").dataset.final === "true";

// Shows whether the server answers. A short interruption, such as the end of a stream, is not shown.
let patience = null;
function setConnected(connected) {
  if (connected) {
    clearTimeout(patience);
    patience = null;
    lost.hidden = true;
  } else if (patience === null) {
    patience = setTimeout(() => { lost.hidden = false; }, navigator.onLine ? PATIENCE : 0);
  }
}

// Requests a part of the page. Returns its HTML, or null if the server does not answer.
async function load(part) {
  let answer;
  try {
    answer = await fetch(live.dataset.page, { headers: { "X-Part": part } });
  } catch {
    setConnected(false);
    return null;
  }
  if (answer.redirected) location.assign(live.dataset.page);  // the session has expired
  if (answer.redirected || answer.status === 404) return null;
  setConnected(answer.ok);
  return answer.ok ? answer.text() : null;
}

// Replaces the live part, and keeps the focus and what the user has opened.
async function refresh() {
  const html = await load("live");
  if (html === null) return;
  const focused = document.activeElement?.id;
  const opened = [...live.querySelectorAll("details")].map((one) => one.open);
  live.innerHTML = html;
  [...live.querySelectorAll("details")].forEach((one, index) => { one.open ||= Boolean(opened[index]); });
  showCopyButtons(live);
  if (focused) document.getElementById(focused)?.focus();
  const words = document.getElementById("state").dataset.words;
  document.getElementById("announcement").textContent = words;
  document.title = `${words} · ${title}`;  // so that a tab in the background shows the outcome
}

// Progress: the server reports each change. The browser reconnects by itself unless the server refuses the connection.
function followProgress() {
  if (isFinal()) return;
  const source = new EventSource(live.dataset.changes);
  async function update() {
    await refresh();
    if (isFinal()) source.close();
  }
  source.addEventListener("change", update);
  source.addEventListener("open", () => setConnected(true));
  source.addEventListener("error", async () => {
    if (source.readyState !== EventSource.CLOSED) {
      setConnected(false);
      return;
    }
    await update();  // the server ends the stream if nothing more can change
    if (!isFinal()) setTimeout(followProgress, RECONNECT);
  });
}

// Health: reloads this part every minute, so that a page that stays open does not show an old state.
function followHealth() {
  setInterval(async () => {
    const shown = document.getElementById("health");
    if (!shown || document.hidden || shown.contains(document.activeElement)) return;
    const html = await load("health");
    if (html === null || shown.contains(document.activeElement)) return;
    shown.outerHTML = html;
    showCopyButtons(document.getElementById("health") || live);
  }, HEALTH_INTERVAL);
}

followProgress();
followHealth();
