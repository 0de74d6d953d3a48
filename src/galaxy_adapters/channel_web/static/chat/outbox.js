// What a person sent and the server has not confirmed: kept by the browser until it has.
//
// Each entry has a key of the page's making.  The server takes the same key once, so sending again
// after a break, after a reload or from another tab is one message.

import { api } from "./api.js";

const STORE = "sends";
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;

/** The browser's database, or memory where it gives none. */
class Shelf {
  #memory = new Map();
  #database;

  constructor() {
    this.#database = new Promise((resolve) => {
      try {
        const opening = indexedDB.open("galaxy-outbox", 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "key" });
        opening.onsuccess = () => resolve(opening.result);
        opening.onerror = () => resolve(null);
      } catch {
        resolve(null);
      }
    });
  }

  async #run(mode, deed) {
    const database = await this.#database;
    if (!database) return undefined;
    return new Promise((resolve) => {
      const transaction = database.transaction(STORE, mode);
      const request = deed(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => resolve(undefined);
    });
  }

  async put(entry) {
    const { progress, ...plain } = entry;
    this.#memory.set(entry.key, entry);
    await this.#run("readwrite", (store) => store.put(plain));
  }

  async remove(key) {
    this.#memory.delete(key);
    await this.#run("readwrite", (store) => store.delete(key));
  }

  async all() {
    const stored = (await this.#run("readonly", (store) => store.getAll())) ?? [...this.#memory.values()];
    return stored.sort((one, other) => one.at - other.at);
  }
}

export class Outbox {
  #shelf = new Shelf();
  #entries = new Map();
  #channel = "BroadcastChannel" in window ? new BroadcastChannel("galaxy-outbox") : null;
  #timer = null;
  #pause = FIRST_PAUSE;
  #isFlushing = false;
  #isWanted = false;
  #unstored = new Set();

  /** `onChange()`: entries differ; `onSent(message)`: the server has it on its disk; `onError(error)`. */
  constructor(person, { onChange, onSent, onError }) {
    this.person = person;
    this.onError = onError;
    this.onChange = onChange;
    this.onSent = onSent;
    this.#channel?.addEventListener("message", () => this.load());
    window.addEventListener("online", () => this.flush());
  }

  /** Read what earlier pages and other tabs left. */
  async load() {
    const stored = (await this.#shelf.all()).filter((entry) => entry.person === this.person);
    const mine = this.#entries;
    // The same objects: one of them may be on its way just now.
    const entries = new Map(stored.map((entry) => [entry.key, Object.assign(mine.get(entry.key) ?? {}, entry)]));
    for (const key of this.#unstored) entries.set(key, mine.get(key));
    this.#entries = entries;
    this.onChange();
  }

  of(conversation) {
    return [...this.#entries.values()].filter((entry) => entry.conversation === conversation);
  }

  async add(entry) {
    this.#entries.set(entry.key, { ...entry, person: this.person, state: "sending", at: Date.now() });
    this.#unstored.add(entry.key);
    this.onChange();
    await this.#shelf.put(this.#entries.get(entry.key));
    this.#unstored.delete(entry.key);
    await this.flush();
  }

  /** Try again what was refused, under the key that it has. */
  async retry(key) {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#set(entry, { state: "sending", sentence: "" });
    await this.#shelf.put(entry);
    await this.flush();
  }

  async discard(key) {
    this.#entries.delete(key);
    this.onChange();
    await this.#shelf.remove(key);
    this.#channel?.postMessage("changed");
  }

  /** Send all that waits, in order; one tab at a time. */
  async flush() {
    this.#isWanted = true;
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    clearTimeout(this.#timer);
    try {
      while (this.#isWanted) {
        this.#isWanted = false;
        const turn = () => this.#sendAll();
        await (navigator.locks ? navigator.locks.request("galaxy-outbox", turn) : turn());
      }
    } finally {
      this.#isFlushing = false;
    }
  }

  async #sendAll() {
    const stored = new Set((await this.#shelf.all()).map((entry) => entry.key));
    for (const entry of [...this.#entries.values()]) {
      // Another tab may have sent it meanwhile.
      if (entry.state === "failed" || !stored.has(entry.key)) continue;
      if (!(await this.#send(entry))) return;
    }
  }

  async #send(entry) {
    this.#set(entry, { state: "sending" });
    try {
      const { message } = await api.send(entry, (progress) => this.#set(entry, { progress }));
      this.#pause = FIRST_PAUSE;
      this.#entries.delete(entry.key);
      this.onSent(message);
      await this.#shelf.remove(entry.key);
      this.#channel?.postMessage("changed");
      return true;
    } catch (error) {
      if (!("isPassing" in error)) throw error;
      this.onError(error);
      if (!error.isPassing) {
        this.#set(entry, { state: "failed", sentence: error.message, progress: undefined });
        await this.#shelf.put(entry);
        return true;
      }
      this.#set(entry, { state: "waiting", sentence: error.message, progress: undefined });
      const pause = Math.max(this.#pause, error.retryAfter * 1000);
      this.#timer = setTimeout(() => this.flush(), pause);
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
      return false;
    }
  }

  #set(entry, changes) {
    Object.assign(entry, changes);
    this.onChange();
  }
}
