// The list of conversations: what is new, which is open, and their names.

import { button, h, kept, shortTime, words } from "./dom.js";

const UNTITLED = "New conversation";

export class Rooms {
  #rooms = new Map();
  #read = kept.get("read");
  current = null;

  constructor({ onOpen }) {
    this.list = document.getElementById("rooms");
    this.onOpen = onOpen;
    this.list.addEventListener("keydown", (event) => this.#move(event));
    window.addEventListener("storage", (event) => {
      if (event.key !== "galaxy-read") return;
      this.#read = kept.get("read", {});
      this.render();
    });
  }

  get(id) {
    return this.#rooms.get(id);
  }

  /** An unused one, so that pressing "new" twice makes one. */
  unused() {
    return this.all().find((room) => room.title === UNTITLED && !room.last_text);
  }

  isUntitled(id) {
    return this.#rooms.get(id)?.title === UNTITLED;
  }

  all() {
    return [...this.#rooms.values()].sort((one, other) => other.last_at.localeCompare(one.last_at));
  }

  reset(rooms) {
    this.#rooms = new Map(rooms.map((room) => [room.id, room]));
    // On the first visit nothing is new.
    this.#read ??= Object.fromEntries(rooms.map((room) => [room.id, room.last_at]));
    this.render();
  }

  put(room) {
    const known = this.#rooms.get(room.id);
    if (known && known.last_at > room.last_at) room = { ...room, last_at: known.last_at, last_text: known.last_text };
    this.#rooms.set(room.id, room);
    this.render();
  }

  /** A message came: its conversation rises. */
  heard(message) {
    const room = this.#rooms.get(message.conversation);
    if (!room || message.at < room.last_at || message.status) return;
    const text = message.text || message.files?.[0]?.name || room.last_text;
    this.#rooms.set(room.id, { ...room, last_at: message.at, last_text: words(text, 120) });
    if (message.kind === "person") this.markRead(room.id);
    else this.render();
  }

  markRead(id) {
    const room = this.#rooms.get(id);
    if (!room) return;
    this.#read = { ...kept.get("read", this.#read ?? {}), [id]: room.last_at };
    kept.set("read", this.#read);
    this.render();
  }

  isUnread(room) {
    return Boolean(room.last_text) && room.last_at > (this.#read?.[room.id] ?? "");
  }

  render() {
    const focused = document.activeElement?.dataset?.room;
    const rooms = this.all();
    this.list.replaceChildren(...rooms.map((room) => this.#row(room)));
    if (focused) this.list.querySelector(`[data-room="${CSS.escape(focused)}"]`)?.focus();
    const unread = rooms.filter((room) => this.isUnread(room)).length;
    const title = this.#rooms.get(this.current)?.title ?? "Chat";
    document.title = `${unread ? `(${unread}) ` : ""}${title} · Galaxy`;
    document.getElementById("open-rooms").classList.toggle("has-news", rooms.some((room) => room.id !== this.current && this.isUnread(room)));
  }

  #row(room) {
    const isCurrent = room.id === this.current;
    const isUnread = this.isUnread(room);
    const link = h("a", {
      href: `/chat/${room.id}`, "data-room": room.id, class: isUnread ? "unread" : "", "aria-current": isCurrent ? "page" : null,
      onclick: (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
        event.preventDefault();
        this.onOpen(room.id);
      },
    },
    h("span", { class: "room-title", dir: "auto" }, room.title),
    h("span", { class: "room-time" }, room.last_text ? shortTime(room.last_at) : ""),
    h("span", { class: "room-last", dir: "auto" }, words(room.last_text, 120) || (room.is_inbox ? "Notices to everyone" : "Nothing yet")),
    isUnread ? h("span", { class: "dot" }, h("span", { class: "unseen" }, "unread")) : null);
    return h("li", {}, link);
  }

  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const links = [...this.list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (at < 0) return;
    if (step) links[(at + step + links.length) % links.length].focus();
    else if (event.key === "Home") links[0].focus();
    else if (event.key === "End") links.at(-1).focus();
    else return;
    event.preventDefault();
  }
}

/** The conversation's name over its messages, and changing it in place. */
export class RoomTitle {
  constructor({ onRename }) {
    this.place = document.getElementById("room-name");
    this.onRename = onRename;
    this.room = null;
    this.isEditing = false;
  }

  show(room) {
    if (this.isEditing && room?.id === this.room?.id) return;
    this.isEditing = false;
    this.room = room;
    if (!room) return;
    const change = button("Rename this conversation", { shape: "pen", is_bare: true, class: "ghost small", onclick: () => this.edit() });
    this.place.replaceChildren(h("h1", { dir: "auto" }, room.title), room.is_inbox ? "" : change);
  }

  edit() {
    this.isEditing = true;
    const input = h("input", { type: "text", "aria-label": "Name of this conversation", maxlength: "100", value: this.room.title, dir: "auto", autocomplete: "off" });
    const finish = (isKept) => {
      if (!this.isEditing) return;
      this.isEditing = false;
      const title = input.value.trim();
      const { room } = this;
      if (isKept && title && title !== room.title) {
        this.show({ ...room, title });
        this.onRename(room.id, title);
      } else {
        this.show(room);
      }
      this.place.querySelector("button")?.focus();
    };
    input.addEventListener("keydown", (event) => {
      if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
      event.preventDefault(); // or the button that gets the focus is pressed by the same key
      finish(event.key === "Enter");
    });
    input.addEventListener("blur", () => finish(true));
    this.place.replaceChildren(input);
    input.select();
  }
}

export { UNTITLED };
