// One message as an element: what a person wrote, a letter, a card that changes, live text.

import { button, h, icon, rendered, size, timeElement, words as wordsOf } from "./dom.js";
import { copy } from "./notices.js";

const LOUD = { warning: "Warning", alert: "Alert", critical: "Critical" };
const LONG_TEXT = 1800;
let cards = null; // the module that draws them, fetched with the first order
let isFetching = false;

/** The colours of code are fetched with the first code. */
function loadCodeStyles() {
  if (document.getElementById("code-styles")) return;
  const { codeStyles } = document.getElementById("chat").dataset;
  document.head.append(h("link", { id: "code-styles", rel: "stylesheet", href: codeStyles }));
}

/** Add what the server's HTML cannot have: names, copy buttons, tables that a keyboard scrolls. */
export function enhance(root) {
  for (const pre of root.querySelectorAll("pre.code:not([role])")) {
    if (pre.querySelector("span")) loadCodeStyles();
    const language = pre.dataset.language;
    const head = h("div", { class: "code-head" }, h("span", {}, language || "text"));
    head.append(button("Copy code", { shape: "copy", is_bare: true, class: "ghost small", onclick: (event) => copied(event, pre.textContent) }));
    pre.setAttribute("role", "region");
    pre.setAttribute("aria-label", language ? `Code, ${language}` : "Code");
    const figure = h("div", { class: "code-block" }, head);
    pre.replaceWith(figure);
    figure.append(pre);
  }
  for (const table of root.querySelectorAll(".table")) {
    table.setAttribute("tabindex", "0");
    table.setAttribute("role", "region");
    table.setAttribute("aria-label", "Table");
  }
  return root;
}

async function copied(event, text) {
  const target = event.currentTarget;
  await copy(text.replace(/\n$/, ""));
  target.classList.add("done");
  setTimeout(() => target.classList.remove("done"), 1500);
}

function files(message) {
  if (!message.files?.length) return null;
  return h("div", { class: "files" }, message.files.map((file) => {
    if (file.is_image) {
      const picture = h("img", { src: file.url, alt: file.name, loading: "lazy" });
      return h("a", { class: "picture", href: file.url, target: "_blank", rel: "noopener", title: file.name }, picture);
    }
    const words = h("span", { class: "file-words" }, h("bdi", { class: "file-name" }, file.name), h("small", {}, size(file.size)));
    return h("a", { class: "file", href: file.url, download: file.name }, icon("file"), words, icon("download"));
  }));
}

export function buttons(message, acts) {
  if (!message.buttons?.length) return null;
  const rows = message.buttons.map((row) => h("div", { class: "button-row" }, row.map((each) => {
    const isPressed = acts.isPressed(message.id, each.data);
    return button(each.text, {
      class: `choice ${each.style}`, "data-keep": each.data, "aria-disabled": acts.isAnyPressed(message.id) ? "true" : null,
      "aria-busy": isPressed ? "true" : null, onclick: () => acts.press(message, each),
    });
  })));
  return h("div", { class: "buttons", role: "group", "aria-label": message.status ? "Actions" : "Answers" }, rows);
}

function quoted(message, acts) {
  const target = message.reply_to ? acts.find(message.reply_to) : null;
  if (!target || message.kind !== "person") return null;
  return h("button", { type: "button", class: "quoted", onclick: () => acts.show(message.reply_to) },
    icon("reply"), h("span", { dir: "auto" }, wordsOf(target.text, 120) || "an earlier message"));
}

function person(message, acts) {
  const text = h("div", { class: "words", dir: "auto" }, message.text);
  const bubble = h("div", { class: "bubble" }, quoted(message, acts), message.text ? text : null, files(message));
  if (message.text.length > LONG_TEXT || message.text.split("\n").length > 24) {
    text.classList.add("clamped");
    const more = button("Show all", {
      class: "text", "aria-expanded": "false", "data-keep": "more",
      onclick: () => {
        const isClamped = text.classList.toggle("clamped");
        more.querySelector("span").textContent = isClamped ? "Show all" : "Show less";
        more.setAttribute("aria-expanded", String(!isClamped));
      },
    });
    bubble.append(more);
  }
  const state = h("span", { class: "state" }, icon("check"), h("span", { class: "unseen" }, "Accepted"));
  state.title = "Accepted: it is on the server's disk";
  return [bubble, h("footer", {}, timeElement(message.at), state)];
}

function letter(message, acts) {
  const head = [];
  if (LOUD[message.severity]) head.push(h("strong", { class: "loud" }, icon("warning"), LOUD[message.severity]));
  if (message.is_demo && message.order_id) head.push(h("span", { class: "label", title: "From the bundled scripted model, not from a real one" }, "Demo answer"));
  if (message.is_repeat) head.push(h("span", { class: "label" }, "May be a repeat"));
  const foot = h("footer", {}, timeElement(message.at));
  const act = (label, shape, onclick) => button(label, { shape, is_bare: true, class: "ghost small", "data-keep": label, onclick });
  foot.append(h("span", { class: "acts" },
    act("Copy this message", "copy", (event) => copied(event, message.text)),
    act("Reply to this message", "reply", () => acts.reply(message))));
  // An order that failed at once had no card that could offer it.
  const again = LOUD[message.severity] && message.order_id && !message.buttons.length && !acts.hasCard(message.order_id)
    ? h("div", { class: "buttons" }, button("Run again", { shape: "retry", class: "choice", "data-keep": "retry", onclick: () => acts.retry(message) }))
    : null;
  return [
    head.length ? h("header", {}, head) : null,
    enhance(rendered(message.html, { class: "markdown prose", dir: "auto" })),
    files(message), buttons(message, acts), again, foot,
  ];
}

/** How an order gets on; in plain words until the module is here that draws it. */
function status(message, acts) {
  if (cards) return cards.statusCard(message, acts);
  if (!isFetching) {
    isFetching = true;
    import("./card.js").then((found) => {
      cards = found;
      acts.redraw();
    }, () => { isFetching = false; });
  }
  return h("div", { class: "card" }, message.text);
}

/** The element of a message that the server has. */
export function messageElement(message, acts) {
  const who = message.kind === "person" ? "You" : message.status ? "Progress" : message.sender || "Galaxy";
  const isCard = Boolean(message.status);
  const content = isCard ? [status(message, acts)] : message.kind === "person" ? person(message, acts) : letter(message, acts);
  const article = h("article", { "aria-label": who }, content);
  const kind = isCard ? "status" : message.kind === "person" ? "person" : "letter";
  const asks = !isCard && message.buttons?.length ? " asking" : "";
  return h("li", { class: `message ${kind} ${message.severity ?? ""}${asks}`, id: `m-${message.id}`, tabindex: "-1" }, article);
}

/** The element of a message that the server has not confirmed yet. */
export function pendingElement(entry, outbox, edit) {
  const words = h("div", { class: "words", dir: "auto" }, entry.text);
  const names = entry.files.map((file) => h("span", { class: "file" }, icon("file"),
    h("span", { class: "file-words" }, h("bdi", { class: "file-name" }, file.name), h("small", {}, size(file.blob.size)))));
  const bubble = h("div", { class: "bubble" }, entry.text ? words : null, names.length ? h("div", { class: "files" }, names) : null);
  const foot = h("footer");
  if (entry.state === "failed") {
    const sentence = h("span", { class: "wrong", role: "alert" }, icon("warning"), `Not sent: ${entry.sentence}`);
    foot.append(sentence, h("span", { class: "acts shown" },
      button("Try again", { class: "text", onclick: () => outbox.retry(entry.key) }),
      button("Edit", { class: "text", onclick: () => edit(entry) }),
      button("Discard", { class: "text", onclick: () => outbox.discard(entry.key) })));
  } else if (entry.state === "waiting") {
    foot.append(h("span", { class: "state waiting" }, icon("clock"), "Kept; will be sent when the server answers"),
      h("span", { class: "acts shown" }, button("Try now", { class: "text", onclick: () => outbox.flush() })));
  } else {
    if (entry.progress !== undefined) {
      foot.append(h("progress", { max: "1", value: String(entry.progress), "aria-label": "Upload" }));
    }
    foot.append(h("span", { class: "state" }, icon("clock"), "Sending …"));
  }
  return h("li", { class: `message person pending ${entry.state}`, "data-key": entry.key },
    h("article", { "aria-label": "You" }, bubble, foot));
}

export function draftElement() {
  const prose = h("div", { class: "markdown prose", dir: "auto" });
  const foot = h("footer", {}, h("span", { class: "writing" }, h("i"), h("i"), h("i")), "Writing …");
  return h("li", { class: "message letter draft" }, h("article", { "aria-label": "Galaxy is writing", "aria-busy": "true" }, prose, foot));
}
