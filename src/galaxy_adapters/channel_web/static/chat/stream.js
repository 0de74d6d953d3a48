// What happens, as it happens: server-sent events, and coming back after a break.
//
// Numbered events are what is on the server's disk; the page asks for those behind the last number
// that it saw, so a break, a restart of the server or a sleeping laptop loses and repeats nothing.

import { api } from "./api.js";

const NAMES = ["message", "conversation", "draft", "typing", "press_answered", "reset"];
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
const HIDDEN_FOR = 30_000;
const SLEPT_FOR = 60_000;

export class Stream {
  #source = null;
  #timer = null;
  #pause = FIRST_PAUSE;
  #hiddenTimer = null;
  #hiddenAt = 0;
  #giveBack = null;
  #after = 0;

  /** `onEvent(name, data)`; `onState(isConnected)`; `onFail()` when the server refuses. */
  constructor({ onEvent, onState, onFail }) {
    this.onEvent = onEvent;
    this.onState = onState;
    this.onFail = onFail;
    window.addEventListener("online", () => this.reconnect());
    window.addEventListener("offline", () => this.onState(false));
    window.addEventListener("pagehide", () => this.#close());
    window.addEventListener("pageshow", (event) => event.persisted && this.reconnect());
    document.addEventListener("visibilitychange", () => this.#visibilityChanged());
  }

  /** Listen behind this number; what was heard before is dropped. */
  start(after) {
    this.#after = after;
    this.reconnect();
  }

  reconnect() {
    clearTimeout(this.#timer);
    this.#close();
    const source = new EventSource(api.eventsUrl(this.#after));
    this.#source = source;
    source.onopen = () => {
      this.#pause = FIRST_PAUSE;
      this.onState(true);
    };
    source.onerror = () => {
      // The browser's own way of coming back gives up after a refusal; ours does not.
      if (this.#source !== source) return;
      this.#close();
      this.onState(false);
      this.onFail();
      this.#timer = setTimeout(() => this.reconnect(), this.#pause * (0.75 + Math.random() / 2));
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    };
    for (const name of NAMES) {
      source.addEventListener(name, (event) => {
        if (this.#source !== source) return;
        const number = Number(event.lastEventId);
        if (number > this.#after) this.#after = number;
        this.onEvent(name, JSON.parse(event.data));
      });
    }
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }

  // A browser has six connections for one server: hidden tabs hand theirs back, all but one, which
  // goes on to count what is new in the tab's title.
  #visibilityChanged() {
    if (document.hidden) {
      this.#hiddenAt = Date.now();
      this.#hiddenTimer = setTimeout(() => this.#rest(), HIDDEN_FOR);
      return;
    }
    clearTimeout(this.#hiddenTimer);
    this.#giveBack?.();
    this.#giveBack = null;
    if (!this.#source || Date.now() - this.#hiddenAt > SLEPT_FOR) this.reconnect();
  }

  #rest() {
    if (!navigator.locks) return;
    navigator.locks.request("galaxy-hidden-stream", { ifAvailable: true }, (lock) => {
      if (!document.hidden) return undefined;
      if (lock) return new Promise((resolve) => { this.#giveBack = resolve; });
      clearTimeout(this.#timer);
      this.#close();
      return undefined;
    });
  }
}
