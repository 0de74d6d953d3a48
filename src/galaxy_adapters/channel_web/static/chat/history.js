// The messages of the conversation that is open: in order, each once, and where the eye is.

import { dayOf, dayText, duration, h } from "./dom.js";
import { draftElement, enhance, messageElement, pendingElement } from "./message.js";

const NEAR_BOTTOM = 90;
const LOAD_WITHIN = "900px";

/** What is known of one conversation. */
export class Thread {
  messages = new Map();
  drafts = new Map();
  hasMore = true;
  isLoaded = false;

  /** Take a message; false when a newer state of it is here already. */
  take(message) {
    const known = this.messages.get(message.id);
    if (known && known.number >= message.number) return false;
    this.messages.set(message.id, { ...message, heardAt: Date.now(), day: dayOf(message.at) });
    return true;
  }

  sorted() {
    return [...this.messages.values()].sort((one, other) => Number(one.id) - Number(other.id));
  }

  /** Ids of the orders that wait or run. */
  running() {
    const cards = [...this.messages.values()].filter((message) => message.status && !message.status.is_over);
    return new Set(cards.map((message) => message.order_id));
  }

  oldest() {
    return this.sorted()[0]?.id;
  }
}

export class HistoryView {
  #thread = null;
  #elements = new Map();
  #drafts = new Map();
  #isAtBottom = true;
  #news = 0;
  #jumpText = "";

  constructor({ acts, outbox, edit, loadEarlier }) {
    this.box = document.getElementById("messages");
    this.list = document.getElementById("list");
    this.drafts = document.getElementById("drafts");
    this.live = document.getElementById("live");
    this.tail = document.getElementById("tail");
    this.jump = document.getElementById("jump");
    this.top = document.getElementById("earlier");
    this.acts = acts;
    this.outbox = outbox;
    this.edit = edit;
    this.loadEarlier = loadEarlier;
    this.box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.jump.addEventListener("click", () => { this.toBottom(true); this.box.focus(); });
    new IntersectionObserver((found) => found.some((each) => each.isIntersecting) && this.loadEarlier(), { root: this.box, rootMargin: LOAD_WITHIN }).observe(this.top);
    const keep = new ResizeObserver(() => this.#isAtBottom && this.toBottom());
    for (const part of [this.list, this.drafts, this.live, this.tail, this.box]) keep.observe(part);
    setInterval(() => this.#tick(), 1000);
  }

  /** Show another conversation. */
  open(thread) {
    this.#thread = thread;
    this.#elements.clear();
    this.#drafts.clear();
    for (const part of [this.list, this.drafts, this.live, this.tail]) part.replaceChildren();
    this.box.classList.toggle("loading", !thread.isLoaded);
    this.render();
    this.toBottom();
  }

  /** Put everything that is known of it in place; earlier messages do not move what is read. */
  render() {
    const thread = this.#thread;
    this.box.classList.toggle("loading", !thread.isLoaded);
    this.top.hidden = !thread.hasMore || !thread.isLoaded;
    const anchor = this.#isAtBottom ? null : this.#anchor();
    let before = null;
    const next = { list: this.list.firstElementChild, live: this.live.firstElementChild };
    const running = thread.running();
    for (const message of thread.sorted()) {
      const isLive = belongsBelow(message, running);
      const part = isLive ? "live" : "list";
      let element = this.#elements.get(message.id);
      if (!element) {
        element = messageElement(message, this.acts);
        this.#elements.set(message.id, element);
      }
      for (const name of ["list", "live"]) if (element === next[name]) next[name] = element.nextElementSibling;
      if (element.parentElement !== this[part] || element.nextElementSibling !== next[part]) {
        this[part].insertBefore(element, next[part]);
      }
      if (isLive) continue;
      this.#mark(element, message, before);
      before = message;
    }
    this.renderPending();
    this.renderDrafts();
    if (anchor) this.box.scrollTop += anchor.element.getBoundingClientRect().top - anchor.top;
    else if (this.#isAtBottom) this.toBottom();
    document.body.classList.toggle("is-empty", this.isEmpty);
  }

  get isEmpty() {
    return this.#thread.isLoaded && !this.#thread.messages.size && !this.tail.childElementCount;
  }

  /** A message is new, or has changed. */
  update(message, { isNew }) {
    const old = this.#elements.get(message.id);
    if (!old) {
      if (isNew && !this.#isAtBottom && message.kind !== "person") this.#news += 1;
      this.render();
      this.#showJump();
      return;
    }
    const current = this.#thread.messages.get(message.id);
    const element = messageElement(current, this.acts);
    this.#elements.set(message.id, element);
    for (const name of ["first-of-day", "follows", "followed"]) element.classList.toggle(name, old.classList.contains(name));
    if (old.dataset.day) element.dataset.day = old.dataset.day;
    this.#replace(old, element);
    const isLive = belongsBelow(current, this.#thread.running());
    if (isLive !== (element.parentElement === this.live)) this.render();
    else if (this.#isAtBottom) this.toBottom();
  }

  renderPending() {
    const wanted = this.outbox.of(this.#thread.slug).filter((entry) => !this.#has(entry.key));
    const shown = [...this.tail.querySelectorAll(".pending")];
    for (const element of shown) {
      const entry = wanted.find((each) => each.key === element.dataset.key);
      if (!entry) element.remove();
    }
    for (const entry of wanted) {
      const old = shown.find((element) => element.dataset.key === entry.key);
      const progress = old?.querySelector("progress");
      if (progress && entry.state === "sending" && entry.progress !== undefined) {
        progress.value = entry.progress;
        continue;
      }
      const state = `${entry.state} ${entry.sentence ?? ""} ${entry.progress !== undefined}`;
      if (old?.dataset.state === state) continue;
      const element = pendingElement(entry, this.outbox, this.edit);
      element.dataset.state = state;
      if (old) this.#replace(old, element);
      else this.tail.append(element);
    }
    document.body.classList.toggle("is-empty", this.isEmpty);
  }

  /** Live text: growing, and not told to screen readers before it is whole. */
  renderDrafts() {
    const { drafts } = this.#thread;
    for (const [id, element] of this.#drafts) {
      if (!drafts.has(id)) {
        element.remove();
        this.#drafts.delete(id);
      }
    }
    for (const [id, html] of drafts) {
      let element = this.#drafts.get(id);
      if (!element) {
        element = draftElement();
        this.#drafts.set(id, element);
        this.drafts.append(element);
      }
      const prose = element.querySelector(".prose");
      if (prose.draft !== html) {
        prose.draft = html;
        grow(prose, html);
      }
    }
    if (this.#isAtBottom) this.toBottom();
  }

  toBottom(isSmooth = false) {
    this.#isAtBottom = true;
    this.#news = 0;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.box.scrollTo({ top: this.box.scrollHeight, behavior: isSmooth && !calm ? "smooth" : "instant" });
    this.#showJump();
  }

  /** Bring a message to the eye. */
  show(id) {
    const element = this.#elements.get(id);
    if (!element) return;
    element.scrollIntoView({ block: "center" });
    element.focus();
    element.classList.add("pointed");
    setTimeout(() => element.classList.remove("pointed"), 1600);
  }

  /** Draw all cards anew. */
  redraw() {
    for (const message of this.#thread.messages.values()) if (message.status) this.update(message, { isNew: false });
  }

  refresh(id) {
    const message = this.#thread.messages.get(id);
    if (message) this.update(message, { isNew: false });
  }

  #has(key) {
    for (const message of this.#thread.messages.values()) if (message.key?.endsWith(key)) return true;
    return false;
  }

  #mark(element, message, before) {
    const isFirst = before?.day !== message.day;
    element.classList.toggle("first-of-day", isFirst);
    if (isFirst) element.dataset.day = dayText(message.at);
    const follows = !isFirst && before.kind === "person" && message.kind === "person";
    element.classList.toggle("follows", follows);
    if (before) this.#elements.get(before.id).classList.toggle("followed", follows);
  }

  /** Change an element and keep focus, and what was unfolded, where they were. */
  #replace(old, element) {
    const focused = old.contains(document.activeElement) ? document.activeElement.closest("[data-keep]")?.dataset.keep : null;
    for (const details of old.querySelectorAll("details[open]")) {
      element.querySelector(`details[data-keep="${CSS.escape(details.dataset.keep)}"]`)?.setAttribute("open", "");
    }
    old.replaceWith(element);
    if (focused === null || focused === undefined) return;
    const target = element.querySelector(`[data-keep="${CSS.escape(focused)}"]`);
    if (target && !target.disabled) target.focus({ preventScroll: true });
    else if (element.id) element.focus({ preventScroll: true });
  }

  #anchor() {
    const edge = this.box.getBoundingClientRect().top;
    for (const element of this.list.children) {
      const box = element.getBoundingClientRect();
      if (box.bottom > edge) return { element, top: box.top };
    }
    return null;
  }

  #scrolled() {
    const rest = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight;
    this.#isAtBottom = rest < NEAR_BOTTOM;
    if (this.#isAtBottom) this.#news = 0;
    this.#showJump();
  }

  #showJump() {
    const text = this.#news ? `${this.#news} new` : "Newest";
    if (this.jump.hidden === this.#isAtBottom && this.#jumpText === text) return;
    this.#jumpText = text;
    this.jump.hidden = this.#isAtBottom;
    this.jump.querySelector(".number").textContent = text;
  }

  #tick() {
    for (const element of this.live.querySelectorAll(".ticks")) {
      element.textContent = duration((Date.now() - Number(element.dataset.since)) / 1000);
    }
  }
}

/** What goes on now, and what it asks, stands below the live text, beside the composer. */
function belongsBelow(message, running) {
  if (!running.has(message.order_id)) return false;
  return message.status ? !message.status.is_over : message.buttons.length > 0;
}

/** Replace only the blocks that differ: a long text that grows is not made anew each time. */
function grow(prose, html) {
  const fresh = h("template");
  fresh.innerHTML = html;
  const blocks = [...fresh.content.children];
  const sources = blocks.map((block) => block.outerHTML);
  let same = 0;
  while (same < sources.length && prose.sources?.[same] === sources[same]) same += 1;
  for (const element of [...prose.children].slice(same)) element.remove();
  prose.append(...blocks.slice(same));
  prose.sources = sources;
  enhance(prose);
}
