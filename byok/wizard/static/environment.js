// Keeps the page of an environment current. Without this script, the page reloads itself.
"use strict";

// Progress: reloads the live part of the page when the server reports a change.
function followProgress() {
  const live = document.getElementById("live");
  if (!live || live.querySelector("#state").dataset.final === "true") return;
  const source = new EventSource(live.dataset.changes);
  source.addEventListener("change", async () => {
    const answer = await fetch(live.dataset.page, { headers: { "X-Part": "live" } });
    if (answer.redirected) {  // the session has expired
      source.close();
      location.assign(live.dataset.page);
      return;
    }
    if (!answer.ok) return;
    live.innerHTML = await answer.text();
    showCopyButtons(live);
    if (live.querySelector("#state").dataset.final === "true") source.close();
  });
}

// Health: reloads this part every minute, so that a page that stays open does not show an old state.
function followHealth() {
  const live = document.getElementById("live");
  if (!live) return;
  setInterval(async () => {
    const shown = document.getElementById("health");
    if (!shown || document.hidden || shown.contains(document.activeElement)) return;
    const answer = await fetch(live.dataset.page, { headers: { "X-Part": "health" } });
    if (answer.redirected) location.assign(live.dataset.page);  // the session has expired
    if (!answer.ok || answer.redirected || shown.contains(document.activeElement)) return;
    shown.outerHTML = await answer.text();
    showCopyButtons(document.getElementById("health") || live);
  }, 60_000);
}

followProgress();
followHealth();
