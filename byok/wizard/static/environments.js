// Keeps the list of environments up to date while at least one environment is changing.
"use strict";

const LIST_INTERVAL = 5_000;

const isChanging = () => document.getElementById("rows")?.dataset.changing === "true";

async function refreshRows() {
  const phases = () => [...live.querySelectorAll("tbody tr")].map((row) => [row.id, row.dataset.phase]);
  const before = new Map(phases());
  const html = await load("rows");
  if (html === null) return;
  replaceContent(live, html);
  const changed = phases().filter(([id, phase]) => before.has(id) && before.get(id) !== phase);
  if (changed.length) announce(changed.map(([id, phase]) => `${id.slice("row-".length)}: ${phase}`).join(", "));
}

async function pollRows() {
  if (!document.hidden && isChanging()) await refreshRows();
  if (!sessionEnded) setTimeout(pollRows, LIST_INTERVAL);
}

setTimeout(pollRows, LIST_INTERVAL);
whenUserReturns(refreshRows);
