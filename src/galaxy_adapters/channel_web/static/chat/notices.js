// What is said beside the conversation: toasts, the banner, words for screen readers.

import { button, h } from "./dom.js";

const TOAST_FOR = 5000;
const BANNER_AFTER = 1500;

const toasts = document.getElementById("toasts");
const alerts = document.getElementById("alerts");
const spoken = document.getElementById("spoken");
const banner = document.getElementById("banner");

/** Say something for a moment; with `isAlert` until it is closed. */
export function toast(text, { isAlert = false, action } = {}) {
  const close = () => element.remove();
  const element = h("div", { class: isAlert ? "toast alert" : "toast" }, h("span", { dir: "auto" }, text));
  if (action) element.append(button(action.label, { class: "text", onclick: () => { close(); action.run(); } }));
  element.append(button("Close", { shape: "close", is_bare: true, class: "ghost", onclick: close }));
  const place = isAlert ? alerts : toasts;
  while (place.childElementCount >= 3) place.firstElementChild.remove();
  place.append(element);
  if (!isAlert) setTimeout(close, action ? 2 * TOAST_FOR : TOAST_FOR);
}

/** For screen readers: whole sentences, never a text that is still growing. */
export function speak(sentence) {
  spoken.textContent = "";
  setTimeout(() => { spoken.textContent = sentence; }, 50);
}

let timer = null;
let isLoggedOut = false;

/** Tell of a lost connection, once it has lasted long enough to be worth a word. */
export function showConnection(isConnected) {
  clearTimeout(timer);
  if (isLoggedOut && !isConnected) return;
  isLoggedOut = false;
  if (isConnected) {
    if (!banner.hidden) speak("Connected again.");
    banner.hidden = true;
    return;
  }
  const show = () => {
    banner.querySelector("span").textContent = navigator.onLine
      ? "Reconnecting … what you write is kept and sent as soon as the server answers."
      : "You are offline. What you write is kept and sent when you are back.";
    banner.hidden = false;
  };
  timer = setTimeout(show, BANNER_AFTER);
}

/** The session is over: nothing works before the person has logged in. */
export function showLoggedOut() {
  clearTimeout(timer);
  isLoggedOut = true;
  const text = "You are logged out; what you wrote is kept. ";
  banner.replaceChildren(h("span", {}, text, h("a", { href: location.pathname }, "Log in again")));
  banner.hidden = false;
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS browsers have no clipboard object.
    const area = h("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  speak("Copied.");
}
