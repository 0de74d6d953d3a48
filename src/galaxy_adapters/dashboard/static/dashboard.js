// Pieces of the page are replaced as they change; without this script a reload does the same.

const board = document.querySelector("[data-events]");
const light = document.querySelector("[data-live]");
const held = new Map(); // pieces that somebody is using: put in place when they let go

function say(isOn) {
  if (!light) return;
  light.hidden = false;
  light.className = `live ${isOn ? "on" : "off"}`;
  light.textContent = isOn ? "live" : "no connection";
}

function isInUse(element) {
  if (element.contains(document.activeElement)) return true;
  const selection = document.getSelection();
  return selection && !selection.isCollapsed && element.contains(selection.anchorNode);
}

function put(id, html) {
  const element = document.getElementById(id);
  if (!element) return;
  const open = new Set([...element.querySelectorAll("details[open]")].map((each) => each.id));
  const scrolled = [...element.querySelectorAll(".log, .payload, .scroll")].map((each) => each.scrollTop);
  element.innerHTML = html;
  for (const each of element.querySelectorAll("details")) each.open = open.has(each.id);
  element.querySelectorAll(".log, .payload, .scroll").forEach((each, n) => { each.scrollTop = scrolled[n] ?? 0; });
  tick();
}

function show(id, html) {
  const element = document.getElementById(id);
  if (element && isInUse(element)) held.set(id, html);
  else { held.delete(id); put(id, html); }
}

function release() {
  for (const [id, html] of held) {
    const element = document.getElementById(id);
    if (!element || !isInUse(element)) { held.delete(id); put(id, html); }
  }
}

// ---- times go on between two events

function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const units = [[Math.floor(whole / 86400), "d"], [Math.floor(whole / 3600) % 24, "h"], [Math.floor(whole / 60) % 60, "min"], [whole % 60, "s"]];
  const first = units.findIndex(([number]) => number);
  const shown = units.slice(first < 0 ? 3 : first, (first < 0 ? 3 : first) + 2).filter(([number]) => number);
  return shown.map(([number, unit]) => `${number} ${unit}`).join(" ") || "0 s";
}

function ago(seconds) {
  const far = Math.abs(seconds);
  if (far < 10) return "just now";
  const [unit, word] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([each]) => far >= each);
  const number = Math.floor(far / unit);
  return seconds > 0 ? `${number} ${word} ago` : `in ${number} ${word}`;
}

let skew = 0; // of the clocks here and there, as far as the page tells

function tick() {
  if (document.hidden) return;
  const now = Date.now() / 1000 + skew;
  for (const time of document.querySelectorAll("time[data-since], time[data-ago]")) {
    const passed = now - Date.parse(time.dateTime) / 1000;
    const text = "since" in time.dataset ? span(passed) : ago(passed);
    if (time.textContent !== text) time.textContent = text;
  }
}

// ---- the stream

let wait = 1000;
let source = null;
let timer = 0;

// A browser has six connections to a server, for all its tabs: those that nobody sees let go.
function hush() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

function listen() {
  hush();
  if (document.hidden) return;
  const mine = new EventSource(board.dataset.events);
  source = mine;
  mine.onopen = () => { wait = 1000; say(true); };
  mine.addEventListener("piece", (event) => {
    const { id, html } = JSON.parse(event.data);
    show(id, html);
  });
  mine.onerror = () => {
    say(false);
    if (mine.readyState !== EventSource.CLOSED || source !== mine) return; // it tries again by itself
    timer = setTimeout(listen, wait);
    wait = Math.min(wait * 2, 30000);
  };
}

if (board) {
  const served = board.dataset.now;
  if (served) skew = Date.parse(served) / 1000 - Date.now() / 1000;
  listen();
  setInterval(tick, 1000);
  document.addEventListener("focusout", () => setTimeout(release, 0));
  document.addEventListener("selectionchange", () => { if (held.size) release(); });
  document.addEventListener("visibilitychange", () => { tick(); if (document.hidden) hush(); else listen(); });
  addEventListener("pagehide", hush);
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
}
