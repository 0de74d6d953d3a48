// Completion of what begins with a slash: a list over the box, led by arrow keys.

import { h } from "./dom.js";
import { speak } from "./notices.js";

export class CommandMenu {
  #found = [];
  #chosen = 0;

  /** `onTake(text)`: what the box says from then on. */
  constructor(text, onTake) {
    this.text = text;
    this.onTake = onTake;
    this.list = document.getElementById("commands");
  }

  complete(value, commands) {
    const typed = /^\/([a-z0-9_]*)$/i.exec(value);
    const start = typed?.[1].toLowerCase();
    this.#found = typed ? commands.filter((each) => each.command.startsWith(start)) : [];
    this.#chosen = 0;
    if (this.#found.length) this.#show();
    else this.close();
  }

  close() {
    this.list.hidden = true;
    this.text.removeAttribute("aria-activedescendant");
  }

  /** Whether the key was the menu's. */
  take(event) {
    if (this.list.hidden) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const isWhole = this.text.value === `/${this.#found[this.#chosen].command}`;
    if (step) {
      this.#chosen = (this.#chosen + step + this.#found.length) % this.#found.length;
      this.#show();
    } else if (event.key === "Escape") {
      this.close();
    } else if ((event.key === "Tab" && !event.shiftKey) || (event.key === "Enter" && !event.shiftKey && !isWhole)) {
      this.#use(this.#found[this.#chosen]);
    } else {
      return false;
    }
    return true;
  }

  #show() {
    const wasHidden = this.list.hidden;
    this.list.replaceChildren(...this.#found.map((each, index) => h("li", {
      id: `command-${each.command}`, role: "option", "aria-selected": String(index === this.#chosen),
      onpointerdown: (event) => { event.preventDefault(); this.#use(each); },
    }, h("b", {}, `/${each.command}`), h("span", {}, each.description))));
    this.list.hidden = false;
    const chosen = this.list.children[this.#chosen];
    chosen.scrollIntoView({ block: "nearest" });
    this.text.setAttribute("aria-activedescendant", chosen.id);
    if (wasHidden) speak(`${this.#found.length} commands; arrow keys choose, Tab takes one.`);
  }

  #use(command) {
    this.onTake(`/${command.command} `);
    this.close();
  }
}
