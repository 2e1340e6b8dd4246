// The service's API: the key, errors with their words, and the event stream.

const KEY = "librarian-key";
let askForKey = async () => null;

export class ApiError extends Error {
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function whenKeyIsWanted(ask) {
  let asking = null;
  // Several requests that are refused at once ask once.
  askForKey = () => (asking ??= ask().finally(() => { asking = null; }));
}

export function authorization() {
  const key = sessionStorage.getItem(KEY);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

export async function newKey() {
  const key = await askForKey();
  if (key) sessionStorage.setItem(KEY, key);
  return Boolean(key);
}

export async function call(path, options = {}) {
  for (;;) {
    const sent = sessionStorage.getItem(KEY);
    const response = await fetch(path, { ...options, headers: { ...options.headers, ...authorization() } });
    if (response.ok) return response;
    if (response.status !== 401) throw await toError(response);
    // Another request may have brought a new key while this one was under way.
    if (sent === sessionStorage.getItem(KEY) && !(await newKey())) throw await toError(response);
  }
}

export const getJson = async (path) => (await call(path)).json();

export const post = (path, body, signal) =>
  call(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, signal });

export function errorOf(status, text) {
  try {
    const { message, code } = JSON.parse(text).error;
    return new ApiError(status, message, code);
  } catch {
    return new ApiError(status, `the service answered with status ${status}.`);
  }
}

const toError = async (response) => errorOf(response.status, await response.text());

// The chunks of a streamed answer. An error inside the stream, or an end without [DONE], is thrown.
export async function* chunks(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new ApiError(0, "the connection ended before the answer did.");
    buffer += value;
    const events = buffer.split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new ApiError(0, chunk.error.message, chunk.error.code);
      yield chunk;
    }
  }
}
