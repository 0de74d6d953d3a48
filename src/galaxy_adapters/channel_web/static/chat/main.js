// The chat page: ties conversations, messages, composer, outbox and events together.

import { api } from "./api.js";
import { Composer } from "./composer.js";
import { kept, newKey, words } from "./dom.js";
import { HistoryView, Thread } from "./history.js";
import { showConnection, showLoggedOut, speak, toast } from "./notices.js";
import { Outbox } from "./outbox.js";
import { Rooms, RoomTitle, UNTITLED } from "./rooms.js";
import { Stream } from "./stream.js";

const PRESS_PATIENCE = 10_000;
const ANSWER_PATIENCE = 5000;
const NAME_CHARACTERS = 48;
const TYPED_ANSWER = /^a:[0-9a-f]+:text$/;
const narrow = matchMedia("(max-width: 60rem)");

const page = document.getElementById("chat");
const threads = new Map();
const presses = new Map(); // message id -> {data, pressId, timer}
let current = null;

function thread(slug) {
  if (!threads.has(slug)) threads.set(slug, Object.assign(new Thread(), { slug }));
  return threads.get(slug);
}

const acts = {
  redraw: () => view.redraw(),
  find: (id) => thread(current).messages.get(id),
  hasCard: (orderId) => [...thread(current).messages.values()].some((each) => each.status && each.order_id === orderId),
  show: (id) => view.show(id),
  reply: (message) => composer.reply(message),
  isPressed: (id, data) => presses.get(id)?.data === data,
  isAnyPressed: (id) => presses.has(id),
  retry: (message) => send({ key: newKey(), conversation: current, text: `/retry ${message.order_id}`, files: [], reply_to: null }),
  async press(message, pressed) {
    if (presses.has(message.id)) return;
    const timer = setTimeout(() => release(message.id, "No answer yet. Try again in a moment."), PRESS_PATIENCE);
    const press = { data: pressed.data, pressId: null, timer };
    presses.set(message.id, press);
    view.refresh(message.id);
    if (TYPED_ANSWER.test(pressed.data)) composer.reply(message);
    const key = newKey();
    try {
      press.pressId = (await api.press(key, message.id, pressed.data)).press_id;
    } catch (error) {
      release(message.id, error.message);
    }
  },
};

/** A press is over: its buttons work again, if they are still there. */
function release(id, sentence = "", isAlert = true) {
  const press = presses.get(id);
  if (!press) return;
  clearTimeout(press.timer);
  presses.delete(id);
  view.refresh(id);
  if (sentence) toast(sentence, { isAlert });
}

const outbox = new Outbox(page.dataset.person, {
  onChange: () => current && view.renderPending(),
  onSent: heard,
  onError: (error) => error.isPassing && failed(error),
});

const view = new HistoryView({ acts, outbox, edit, loadEarlier });
const rooms = new Rooms({ onOpen: (slug) => open(slug) });
const title = new RoomTitle({ onRename: rename });
const composer = new Composer({ limits: JSON.parse(page.dataset.limits), onSend: send });

// ---- what people do

function send(entry) {
  outbox.add(entry);
  view.toBottom();
  const name = nameOf(entry.text);
  if (rooms.isUntitled(entry.conversation) && name && !name.startsWith("/")) rename(entry.conversation, name);
}

/** What a conversation is called after its first message: the first line, cut between words. */
function nameOf(text) {
  const line = text.trim().split("\n", 1)[0].replace(/\s+/g, " ").trim();
  const characters = Array.from(line);
  if (characters.length <= NAME_CHARACTERS) return line;
  const cut = characters.slice(0, NAME_CHARACTERS - 1).join("");
  const end = cut.lastIndexOf(" ");
  return `${end > cut.length / 2 ? cut.slice(0, end) : cut}…`;
}

async function edit(entry) {
  await outbox.discard(entry.key);
  composer.restore(entry);
}

async function rename(slug, name) {
  try {
    const { conversation } = await api.rename(slug, name);
    putRoom(conversation);
  } catch (error) {
    toast(`The name was not changed. ${error.message}`, { isAlert: true });
    title.show(rooms.get(slug));
  }
}

async function begin() {
  const unused = rooms.unused();
  try {
    const slug = unused ? unused.id : putRoom((await api.create(UNTITLED)).conversation).id;
    open(slug);
    composer.focus();
  } catch (error) {
    toast(error.isPassing ? `${error.message} A new conversation needs it.` : error.message, { isAlert: true });
  }
}

// ---- conversations

function putRoom(room) {
  rooms.put(room);
  if (room.id === current) title.show(rooms.get(room.id));
  return room;
}

async function open(slug, { isBack = false } = {}) {
  showRooms(false);
  if (slug === current) return;
  current = slug;
  rooms.current = slug;
  kept.set("last", slug);
  const path = `/chat/${slug}`;
  if (location.pathname !== path) history[isBack ? "replaceState" : "pushState"](null, "", path);
  const room = rooms.get(slug);
  document.body.classList.toggle("is-inbox", Boolean(room?.is_inbox));
  title.show(room);
  rooms.markRead(slug);
  view.open(thread(slug));
  composer.open(slug);
  if (!narrow.matches) composer.focus();
  if (!thread(slug).isLoaded) await load(slug);
}

async function load(slug) {
  const found = thread(slug);
  try {
    const { messages, has_more: hasMore } = await api.messages(slug);
    for (const message of messages) found.take(message);
    found.hasMore = hasMore;
    found.isLoaded = true;
  } catch (error) {
    failed(error);
    setTimeout(() => current === slug && !found.isLoaded && load(slug), 2000);
    return;
  }
  if (slug === current) {
    view.render();
    view.toBottom();
  }
}

let isLoadingEarlier = false;

async function loadEarlier() {
  const found = thread(current);
  if (isLoadingEarlier || !found.isLoaded || !found.hasMore) return;
  isLoadingEarlier = true;
  try {
    const { messages, has_more: hasMore } = await api.messages(found.slug, found.oldest());
    for (const message of messages) found.take(message);
    found.hasMore = hasMore;
    if (found.slug === current) view.render();
  } catch (error) {
    toast(`Earlier messages could not be loaded: ${error.message} Scroll up again in a moment.`);
  } finally {
    isLoadingEarlier = false;
  }
}

/** Load the lists, then listen behind them.  Also after a `reset`. */
async function loadAll() {
  const { conversations, number } = await api.conversations();
  threads.clear();
  rooms.reset(conversations);
  return number;
}

function firstRoom() {
  const named = decodeURIComponent(location.pathname.split("/")[2] ?? "");
  const known = [named, kept.get("last")].find((slug) => slug && rooms.get(slug));
  return known ?? rooms.all().find((room) => !room.is_inbox)?.id ?? "general";
}

async function start() {
  let number;
  try {
    number = await loadAll();
  } catch (error) {
    failed(error);
    if (!error.isLoggedOut) setTimeout(start, 2000);
    return;
  }
  await outbox.load();
  stream.start(number);
  open(current ?? firstRoom(), { isBack: true });
  outbox.flush();
  api.commands().then((found) => composer.setCommands(found.commands), () => undefined);
}

// ---- what happens

function heard(message) {
  const found = thread(message.conversation);
  const isNew = !found.messages.has(message.id);
  if (!found.take(message)) return;
  if (message.kind === "letter" && message.order_id && !message.buttons.length) found.drafts.delete(message.order_id);
  if (message.status?.is_over) dropDraft(found, message);
  if (isNew) placeInRooms(message);
  const press = presses.get(message.id);
  if (press) {
    clearTimeout(press.timer);
    presses.delete(message.id);
  }
  if (message.conversation !== current) {
    if (isNew && message.kind === "letter") speak(`New message in ${rooms.get(message.conversation)?.title ?? "another conversation"}.`);
    return;
  }
  view.update(message, { isNew });
  view.renderDrafts();
  if (!document.hidden) rooms.markRead(current);
  announce(message, isNew);
}

/** Live text goes when its answer comes; without one, soon after the end of its order. */
function dropDraft(found, { order_id: orderId, status }) {
  const drop = () => {
    found.drafts.delete(orderId);
    if (found.slug === current) view.renderDrafts();
  };
  setTimeout(drop, status.state === "succeeded" ? ANSWER_PATIENCE : 0);
}

function placeInRooms(message) {
  if (rooms.get(message.conversation)) rooms.heard(message);
  else api.conversations().then(({ conversations }) => conversations.forEach(putRoom), failed);
}

/** Whole answers, questions and ends of orders; neither live text nor every step. */
function announce(message, isNew) {
  if (message.kind === "person") return;
  if (message.status) {
    if (message.status.is_over && message.status.state !== "succeeded") speak(`The order is over: ${message.status.state}.`);
    return;
  }
  if (!isNew) return;
  const said = words(message.text, 240);
  speak(message.buttons.length ? `A question: ${said}` : `Galaxy answered: ${said}`);
}

const events = {
  message: heard,
  conversation: putRoom,
  draft({ conversation, order_id: orderId, html }) {
    thread(conversation).drafts.set(orderId, html);
    if (conversation === current) view.renderDrafts();
  },
  typing: () => undefined, // the card and the live text say more
  press_answered({ press_id: pressId, text, is_alert: isAlert }) {
    for (const [id, press] of presses) {
      if (press.pressId === pressId) release(id, text, isAlert);
    }
  },
  async reset() {
    await loadAll();
    const slug = firstRoom();
    current = null;
    await open(slug, { isBack: true });
  },
};

let isConnected = false;

const stream = new Stream({
  onEvent: (name, data) => events[name](data),
  onState(isUp) {
    isConnected = isUp;
    showConnection(isUp);
    if (isUp) outbox.flush();
  },
  onFail: () => navigator.onLine && api.conversations().catch(failed),
});

function failed(error) {
  if (error.isLoggedOut) showLoggedOut();
  else if (!error.isPassing) toast(error.message ?? String(error), { isAlert: true });
  else if (!isConnected) showConnection(false);
}

// ---- the frame around it

const drawer = document.getElementById("side");
const openButton = document.getElementById("open-rooms");

function showRooms(isOpen) {
  const isDrawer = narrow.matches;
  page.classList.toggle("rooms-open", isOpen && isDrawer);
  drawer.inert = isDrawer && !isOpen;
  openButton.setAttribute("aria-expanded", String(isOpen && isDrawer));
  if (isOpen && isDrawer) drawer.querySelector("[aria-current], button")?.focus();
}

narrow.addEventListener("change", () => showRooms(false));
openButton.addEventListener("click", () => showRooms(true));
document.getElementById("scrim").addEventListener("click", () => showRooms(false));
document.getElementById("new-room").addEventListener("click", begin);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && page.classList.contains("rooms-open")) {
    showRooms(false);
    openButton.focus();
  }
  const isWriting = event.target.closest("input, textarea, [contenteditable]");
  if (event.key === "/" && !isWriting && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    composer.focus();
  }
});
document.addEventListener("visibilitychange", () => !document.hidden && current && rooms.markRead(current));
window.addEventListener("popstate", () => open(firstRoom(), { isBack: true }));
for (const suggestion of document.querySelectorAll("[data-suggest]")) {
  suggestion.addEventListener("click", () => composer.fill(suggestion.dataset.suggest));
}

// A phone's keyboard covers the page instead of making it smaller.
window.visualViewport?.addEventListener("resize", () => {
  const { height, scale } = window.visualViewport;
  document.body.style.height = scale === 1 && height < window.innerHeight - 1 ? `${height}px` : "";
});

showRooms(false);
start();
