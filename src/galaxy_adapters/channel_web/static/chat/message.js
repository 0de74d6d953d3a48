// One message as an element: what a person wrote, a letter, a card that changes, live text.

import { button, count, duration, h, icon, rendered, size, spoken, timeElement, words as wordsOf } from "./dom.js";
import { copy } from "./notices.js";

const LOUD = { warning: "Warning", alert: "Alert", critical: "Critical" };
const LONG_TEXT = 1800;
const STATES = {
  pending: "Waiting", claimed: "Starting", running: "Working", succeeded: "Done",
  failed: "Failed", cancelled: "Cancelled", expired: "Expired", dead: "Given up",
};
const SHAPES = { succeeded: "check", failed: "close", dead: "close", cancelled: "stop", expired: "clock", pending: "clock" };
const RETRYABLE = new Set(["failed", "dead", "cancelled", "expired"]);
const TODO_WORDS = { pending: "to do", in_progress: "in progress", completed: "done", cancelled: "dropped" };

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

function buttons(message, acts) {
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
  if (message.is_demo) head.push(h("span", { class: "label", title: "From the bundled scripted model, not from a real one" }, "Demo answer"));
  if (message.is_repeat) head.push(h("span", { class: "label" }, "May be a repeat"));
  const foot = h("footer", {}, timeElement(message.at));
  const act = (label, shape, onclick) => button(label, { shape, is_bare: true, class: "ghost small", "data-keep": label, onclick });
  foot.append(h("span", { class: "acts" },
    act("Copy this message", "copy", (event) => copied(event, message.text)),
    act("Reply to this message", "reply", () => acts.reply(message))));
  return [
    head.length ? h("header", {}, head) : null,
    enhance(rendered(message.html, { class: "markdown prose", dir: "auto" })),
    files(message), buttons(message, acts), foot,
  ];
}

function figures(status) {
  const words = [];
  if (status.steps) words.push(status.steps === 1 ? "1 step" : `${count(status.steps)} steps`);
  if (status.tokens) words.push(`${count(status.tokens)} tokens`);
  if (status.cost_usd) words.push(`$${status.cost_usd.toFixed(status.cost_usd < 0.1 ? 3 : 2)}`);
  return words;
}

function todoList(status) {
  if (!status.todos.length) return null;
  const done = status.todos.filter((todo) => todo.status === "completed").length;
  const list = h("ul", { class: "todos", "aria-label": "The agent's list" }, status.todos.map((todo) => {
    const isNow = todo.status === "in_progress";
    const shape = { completed: "check", cancelled: "close" }[todo.status];
    return h("li", { class: todo.status, "aria-current": isNow ? "step" : null },
      h("span", { class: "box" }, shape ? icon(shape) : null),
      h("span", { class: "unseen" }, `${TODO_WORDS[todo.status] ?? todo.status}: `),
      h("span", { dir: "auto" }, todo.content));
  }));
  if (!status.is_over) return list;
  return h("details", { "data-keep": "todos" }, h("summary", {}, `${done} of ${status.todos.length} done`), list);
}

function sentenceOf(status) {
  if (status.is_waiting) return "Waits for your answer";
  if (status.state === "pending") {
    if (status.waits_until) return `Begins ${new Date(status.waits_until).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}`;
    if (status.place) return status.place === 1 ? "Next in line" : `Place ${status.place} in line`;
  }
  return STATES[status.state] ?? status.state;
}

function statusCard(message, acts) {
  const { status } = message;
  const isLive = !status.is_over;
  const head = h("div", { class: "card-head" });
  head.append(h("span", { class: "sign" }, SHAPES[status.state] ? icon(SHAPES[status.state]) : h("span", { class: "pulse" })));
  head.append(h("strong", { class: "sentence" }, sentenceOf(status)));
  const facts = [];
  if (status.elapsed_seconds !== null) {
    facts.push(isLive
      ? h("span", { class: "ticks", role: "timer", "aria-live": "off", "data-since": String(message.heardAt - status.elapsed_seconds * 1000) }, duration(status.elapsed_seconds + (Date.now() - message.heardAt) / 1000))
      : h("span", {}, spoken(status.elapsed_seconds)));
  }
  for (const words of figures(status)) facts.push(h("span", {}, words));
  if (status.machine) facts.push(h("bdi", { class: "machine" }, status.machine));
  head.append(h("span", { class: "facts" }, facts));
  if (isLive) head.append(buttons(message, acts) ?? "");
  else if (RETRYABLE.has(status.state) && message.order_id) {
    head.append(h("div", { class: "buttons" }, button("Run again", { shape: "retry", class: "choice", "data-keep": "retry", onclick: () => acts.retry(message) })));
  }
  const parts = [head];
  if (isLive && status.tool && !status.is_waiting) parts.push(h("p", { class: "tool" }, icon("tool"), h("code", { dir: "auto" }, status.tool)));
  parts.push(todoList(status));
  if (status.note) parts.push(h("p", { class: "note", dir: "auto" }, status.note));
  return h("div", { class: `card ${status.state}${status.is_waiting ? " asks" : ""}${isLive ? " live" : ""}` }, parts);
}

/** The element of a message that the server has. */
export function messageElement(message, acts) {
  const who = message.kind === "person" ? "You" : message.status ? "Progress" : message.sender || "Galaxy";
  const isCard = Boolean(message.status);
  const content = isCard ? [statusCard(message, acts)] : message.kind === "person" ? person(message, acts) : letter(message, acts);
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
