// Small pieces that every module uses: elements, icons, times, names of the page's own keys.

/** Make an element: `h("p", {class: "quiet", onclick: f}, "text", child)`.  Text is never HTML. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Wrap HTML that the server made (it is safe: no tag of anybody's own gets through there). */
export function rendered(html, props = {}) {
  const element = h("div", props);
  element.innerHTML = html;
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A button; `label` is also its accessible name where only the icon is shown. */
export function button(label, { shape, is_bare = false, ...props } = {}) {
  const content = shape ? [icon(shape)] : [];
  if (!is_bare) content.push(h("span", { dir: "auto" }, label));
  const names = is_bare ? { "aria-label": label, title: label } : {};
  return h("button", { type: "button", ...names, ...props }, ...content);
}

/** A key that no other message has.  `crypto.randomUUID` is missing where there is no HTTPS. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "long" });
const wholeDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export const dayOf = (iso) => new Date(iso).toDateString();

export function timeText(iso) {
  return clock.format(new Date(iso));
}

export function timeElement(iso) {
  return h("time", { datetime: iso, title: whole.format(new Date(iso)) }, timeText(iso));
}

/** "Today", "Yesterday", "Mon, 3 March". */
export function dayText(iso) {
  const then = new Date(iso);
  const today = new Date();
  const yesterday = new Date(today);
  yesterday.setDate(today.getDate() - 1);
  if (then.toDateString() === today.toDateString()) return "Today";
  if (then.toDateString() === yesterday.toDateString()) return "Yesterday";
  return (then.getFullYear() === today.getFullYear() ? dayOfYear : wholeDay).format(then);
}

/** How long ago, as short as a list can show it. */
export function shortTime(iso) {
  const text = dayText(iso);
  if (text === "Today") return timeText(iso);
  if (text === "Yesterday") return text;
  return new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" }).format(new Date(iso));
}

export function duration(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** For sentences: "12 s", "3 min 5 s". */
export function spoken(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const all = Math.round(seconds);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  return `${Math.floor(all / 3600)} h ${Math.floor(all / 60) % 60} min`;
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

/** The words of Markdown, for one line. */
export const words = (text, most) => (text ?? "").replace(/[*`#>|]+/g, "").replace(/\s+/g, " ").trim().slice(0, most);

export const count = (number) => new Intl.NumberFormat().format(number);

/** What a browser keeps for us; it may keep nothing (private windows, full disks). */
export const kept = {
  get(name, otherwise = null) {
    try {
      return JSON.parse(localStorage.getItem(`galaxy-${name}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(name, value) {
    try {
      if (value === null) localStorage.removeItem(`galaxy-${name}`);
      else localStorage.setItem(`galaxy-${name}`, JSON.stringify(value));
    } catch {
      // The page works without; it only forgets.
    }
  },
};
