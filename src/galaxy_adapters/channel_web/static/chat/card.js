// How an order gets on: a card that changes, and what is left of it afterwards.

import { button, count, duration, h, icon, spoken } from "./dom.js";
import { buttons } from "./message.js";

const STATES = {
  pending: "Waiting", claimed: "Starting", running: "Working", succeeded: "Done",
  failed: "Failed", cancelled: "Cancelled", expired: "Expired", dead: "Given up",
};
const SHAPES = { succeeded: "check", failed: "close", dead: "close", cancelled: "stop", expired: "clock", pending: "clock" };
const RETRYABLE = new Set(["failed", "dead", "cancelled", "expired"]);
const TODO_WORDS = { pending: "to do", in_progress: "in progress", completed: "done", cancelled: "dropped" };

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

export function statusCard(message, acts) {
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
