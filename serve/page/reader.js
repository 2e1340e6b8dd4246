// A document with a passage highlighted in it.

import { call } from "./api.js";
import { byId, make } from "./dom.js";

let asked = 0;

export function prepareReader() {
  byId("reader-close").addEventListener("click", () => byId("reader").close());
}

export async function openPassage(passage, collection) {
  const turn = (asked += 1);
  byId("reader-title").textContent = passage.title || passage.source;
  const headings = passage.heading_path.join(" › ");
  byId("reader-place").textContent = [passage.source, headings, `score ${passage.score.toFixed(3)}`]
    .filter(Boolean)
    .join(" · ");
  byId("reader-note").textContent = "";
  byId("reader-text").replaceChildren("Loading…");
  if (!byId("reader").open) byId("reader").showModal();
  const query = new URLSearchParams({ uri: passage.uri, start: passage.start, end: passage.end });
  if (collection) query.set("collection", collection);
  try {
    const found = await (await call(`/v1/documents/text?${query}`)).json();
    if (turn === asked) show(found, passage);
  } catch (error) {
    if (turn !== asked) return;
    byId("reader-note").textContent = `Only the passage can be shown: ${error.message}`;
    byId("reader-text").replaceChildren(make("mark", {}, passage.text));
  }
}

function show(found, passage) {
  // Places count characters of Unicode; a string of JavaScript counts UTF-16 units.
  const text = Array.from(found.text);
  const from = passage.start - found.offset;
  const to = passage.end - found.offset;
  const marked = text.slice(Math.max(0, from), Math.max(0, to)).join("");
  if (squeezed(marked) !== squeezed(passage.text)) {
    byId("reader-note").textContent = "The document has changed since; this is the passage as it was.";
    byId("reader-text").replaceChildren(make("mark", {}, passage.text));
    return;
  }
  const mark = make("mark", {}, marked);
  byId("reader-text").replaceChildren(
    found.before ? "… " : "",
    text.slice(0, from).join(""),
    mark,
    text.slice(to).join(""),
    found.after ? " …" : "",
  );
  mark.scrollIntoView({ block: "center" });
}

const squeezed = (text) => text.replace(/\s+/g, " ").trim();
