// Where people write: text, files, answers to a message, commands; drafts outlive a reload.

import { button, h, icon, kept, newKey, size, words } from "./dom.js";
import { toast } from "./notices.js";

const TEXT_AS_FILE = 20_000;
const isTouch = matchMedia("(pointer: coarse)");

export class Composer {
  #files = [];
  #reply = null;
  #commands = [];
  #menu = null;
  #room = null;

  constructor({ limits, onSend }) {
    this.form = document.getElementById("composer");
    this.text = document.getElementById("text");
    if (isTouch.matches) this.text.enterKeyHint = "enter"; // there it begins a new line
    this.chips = document.getElementById("chips");
    this.picker = document.getElementById("picker");
    this.submit = document.getElementById("send");
    this.limits = limits;
    this.onSend = onSend;
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    this.text.addEventListener("input", () => this.#changed());
    this.text.addEventListener("keydown", (event) => this.#key(event));
    this.text.addEventListener("blur", () => this.#menu?.close());
    this.text.addEventListener("paste", (event) => this.#pasted(event));
    document.getElementById("attach").addEventListener("click", () => this.picker.click());
    this.picker.addEventListener("change", () => { this.addFiles(this.picker.files); this.picker.value = ""; });
    this.#takeDrops();
  }

  setCommands(commands) {
    this.#commands = commands;
  }

  /** Go to another conversation: what was begun in this one stays with it. */
  open(room) {
    this.#room = room;
    this.#files.forEach((file) => file.url && URL.revokeObjectURL(file.url));
    this.#files = [];
    this.#reply = null;
    this.text.value = kept.get(`draft:${room}`, "");
    this.#changed();
    this.#showChips();
  }

  focus() {
    this.text.focus();
  }

  /** Write something into the box for the person to send. */
  fill(text) {
    this.text.value = text;
    this.#changed();
    this.focus();
  }

  reply(message) {
    this.#reply = message;
    this.#showChips();
    this.focus();
  }

  /** Take back what could not be sent. */
  restore(entry) {
    this.#files = entry.files.map((file) => withPreview(new File([file.blob], file.name, { type: file.blob.type })));
    this.fill(entry.text);
    this.#showChips();
  }

  send() {
    const text = this.text.value;
    if (!text.trim() && !this.#files.length) return;
    if (text.length > this.limits.text_characters) {
      toast(`This is too long: a message has at most ${this.limits.text_characters} characters. Send it as a file.`, { isAlert: true });
      return;
    }
    this.onSend({
      key: newKey(), conversation: this.#room, text,
      files: this.#files.map(({ file }) => ({ name: file.name, blob: file })), reply_to: this.#reply?.id ?? null,
    });
    this.text.value = "";
    this.#files.forEach((file) => file.url && URL.revokeObjectURL(file.url));
    this.#files = [];
    this.#reply = null;
    this.#changed();
    this.#showChips();
  }

  addFiles(list) {
    for (const file of list) {
      if (this.#files.length >= this.limits.files) {
        toast(`At most ${this.limits.files} files go with one message. Send the others with the next.`, { isAlert: true });
        break;
      }
      if (file.size > this.limits.file_bytes) {
        toast(`“${file.name}” is too large: a file has at most ${size(this.limits.file_bytes)}.`, { isAlert: true });
        continue;
      }
      this.#files.push(withPreview(file));
    }
    this.#showChips();
    this.focus();
  }

  // ---- what hangs on the text

  #showChips() {
    const chips = this.#files.map((entry) => h("div", { class: "chip" },
      entry.url ? h("img", { src: entry.url, alt: "" }) : icon("file"),
      h("span", { class: "file-words" }, h("bdi", { class: "file-name" }, entry.file.name), h("small", {}, size(entry.file.size))),
      button(`Remove ${entry.file.name}`, {
        shape: "close", is_bare: true, class: "ghost small",
        onclick: () => {
          if (entry.url) URL.revokeObjectURL(entry.url);
          this.#files = this.#files.filter((other) => other !== entry);
          this.#showChips();
          this.focus();
        },
      })));
    if (this.#reply) {
      chips.unshift(h("div", { class: "chip reply" }, icon("reply"), h("span", { dir: "auto" }, `Answering: ${words(this.#reply.text || "a file", 90)}`),
        button("Do not answer this message", { shape: "close", is_bare: true, class: "ghost small", onclick: () => { this.#reply = null; this.#showChips(); this.focus(); } })));
    }
    this.chips.replaceChildren(...chips);
    this.chips.hidden = !chips.length;
    this.#showSubmit();
  }

  #showSubmit() {
    this.submit.disabled = !this.text.value.trim() && !this.#files.length;
  }

  #changed() {
    if (!CSS.supports("field-sizing", "content")) {
      this.text.style.height = "auto";
      this.text.style.height = `${this.text.scrollHeight}px`;
    }
    kept.set(`draft:${this.#room}`, this.text.value || null);
    this.#showSubmit();
    if (this.text.value.startsWith("/") || this.#menu) this.#complete();
  }

  /** The menu of commands is fetched with the first slash. */
  async #complete() {
    if (!this.#menu) {
      const { CommandMenu } = await import("./commands.js");
      this.#menu ??= new CommandMenu(this.text, (text) => this.fill(text));
    }
    this.#menu.complete(this.text.value, this.#commands);
  }

  #pasted(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) {
      event.preventDefault();
      this.addFiles(files.map((file) => (file.name ? file : new File([file], "pasted", { type: file.type }))));
      return;
    }
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (text.length <= TEXT_AS_FILE) return;
    event.preventDefault();
    this.addFiles([new File([text], "pasted-text.txt", { type: "text/plain" })]);
    toast("This is a long text: it goes along as a file.");
  }

  #takeDrops() {
    const zone = document.getElementById("room");
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let depth = 0;
    zone.addEventListener("dragenter", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth += 1;
      zone.classList.add("dropping");
    });
    zone.addEventListener("dragleave", (event) => {
      if (!hasFiles(event)) return;
      depth -= 1;
      if (depth <= 0) zone.classList.remove("dropping");
    });
    zone.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    zone.addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      zone.classList.remove("dropping");
      this.addFiles(event.dataTransfer.files);
    });
  }

  // ---- keys and commands

  #key(event) {
    if (event.isComposing) return;
    if (this.#menu?.take(event)) {
      event.preventDefault();
      return;
    }
    if (event.key === "Escape" && this.#reply) {
      this.#reply = null;
      this.#showChips();
    } else if (event.key === "Enter" && !event.shiftKey && !event.altKey && (!isTouch.matches || event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.send();
    }
  }
}

function withPreview(file) {
  const isPicture = /^image\/(png|jpeg|gif|webp)$/.test(file.type);
  return { file, url: isPicture ? URL.createObjectURL(file) : null };
}
