// What the page asks the server, and what it says when that fails.

const ROOT = "/chat/api";

/** A refusal or a failure, in words.  `isPassing`: the same may work later. */
export class ApiError extends Error {
  constructor(status, sentence, retryAfter = 0) {
    super(sentence);
    this.status = status;
    this.retryAfter = retryAfter;
    this.isPassing = status === 0 || status === 401 || status === 408 || status === 429 || status >= 500;
    this.isLoggedOut = status === 401;
  }
}

const OFFLINE = "The server cannot be reached.";

function refusal(status, body, retryAfter) {
  if (status === 401) return new ApiError(401, "You are logged out. Open the page anew to log in.");
  let said = "";
  try {
    const problem = JSON.parse(body);
    said = problem.detail || problem.title || "";
  } catch {
    // No problem document: a proxy's page, say.
  }
  const sentence = said || `The server answered with status ${status}. Try again in a moment.`;
  return new ApiError(status, sentence, Number(retryAfter) || 0);
}

async function call(method, path, body) {
  let answer;
  let text;
  try {
    const headers = { accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    answer = await fetch(ROOT + path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin",
    });
    text = await answer.text();
  } catch {
    throw new ApiError(0, OFFLINE);
  }
  if (!answer.ok) throw refusal(answer.status, text, answer.headers.get("retry-after"));
  return text ? JSON.parse(text) : {};
}

const part = encodeURIComponent;

export const api = {
  conversations: () => call("GET", "/conversations"),
  create: (title) => call("POST", "/conversations", { title }),
  rename: (id, title) => call("PATCH", `/conversations/${part(id)}`, { title }),
  messages: (id, before) =>
    call("GET", `/conversations/${part(id)}/messages?limit=50${before ? `&before=${part(before)}` : ""}`),
  press: (key, messageId, data) => call("POST", "/presses", { key, message_id: messageId, data }),
  commands: () => call("GET", "/commands"),
  eventsUrl: (after) => `${ROOT}/events?after=${after}`,

  /** Send a message; with files as a form, so that `onProgress(0..1)` can be told. */
  send(entry, onProgress) {
    const fields = { key: entry.key, conversation: entry.conversation, text: entry.text };
    if (entry.reply_to) fields.reply_to = entry.reply_to;
    if (!entry.files.length) return call("POST", "/messages", fields);
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    for (const file of entry.files) form.append("files", file.blob, file.name);
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(); // `fetch` does not tell how far an upload is
      request.open("POST", `${ROOT}/messages`);
      request.setRequestHeader("accept", "application/json");
      request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
      request.onerror = () => reject(new ApiError(0, OFFLINE));
      request.onload = () => {
        const { status, responseText } = request;
        if (status >= 200 && status < 300) resolve(JSON.parse(responseText));
        else reject(refusal(status, responseText, request.getResponseHeader("retry-after")));
      };
      request.send(form);
    });
  },
};
