// The page: wires the parts together and holds the conversation.

import { chunks, getJson, post, whenKeyIsWanted } from "./api.js";
import { byId, make, say } from "./dom.js";
import { findOutAboutFeedback } from "./feedback.js";
import { prepareReader } from "./reader.js";
import { Turn } from "./turn.js";
import { prepareUpload } from "./upload.js";

const MAX_TURNS = 20; // of the conversation that go with a question

let turns = [];
let running = null;

const chosen = () => byId("collection").value.split("/")[1] ?? "";

async function listCollections() {
  const before = byId("collection").value;
  const data = (await getJson("/v1/models")).data.filter(({ id }) => !id.includes(":")); // profiles are none
  const options = data.map(({ id }) => make("option", { value: id }, id.split("/")[1] ?? "the default one"));
  byId("collection").replaceChildren(...options);
  byId("collection").value = data.some(({ id }) => id === before) ? before : "librarian";
}

function ask(question) {
  byId("welcome").hidden = true;
  const turn = new Turn(question, chosen());
  turns.push(turn);
  byId("conversation").append(turn.element);
  answer(turn);
}

async function answer(turn) {
  const stopping = new AbortController();
  running = stopping;
  working(true);
  turn.clear();
  turn.element.scrollIntoView({ block: "start" });
  const end = (state, message) => turn.end(state, message, () => running || answer(turn));
  try {
    const model = turn.collection ? `librarian/${turn.collection}` : "librarian";
    const response = await post("/v1/chat/completions", { model, messages: said(turn), stream: true }, stopping.signal);
    for await (const chunk of chunks(response)) turn.take(chunk);
    end("done");
  } catch (error) {
    if (stopping.signal.aborted) end("stopped", "Stopped.");
    else end("failed", error.message);
  } finally {
    if (running === stopping) {
      running = null;
      working(false);
    }
  }
}

// The conversation up to this turn, without the turns that brought no answer.
function said(turn) {
  const before = turns.slice(0, turns.indexOf(turn)).filter((each) => each.text && each.state !== "failed");
  const messages = before.slice(-MAX_TURNS).flatMap((each) => [
    { role: "user", content: each.question },
    { role: "assistant", content: each.text },
  ]);
  return [...messages, { role: "user", content: turn.question }];
}

function working(busy) {
  byId("stop").hidden = !busy;
  byId("send").hidden = busy;
  if (busy) say("Looking through the documents.");
}

function submit(event) {
  event?.preventDefault();
  const question = byId("question").value.trim();
  if (!question || running) return;
  byId("question").value = "";
  ask(question);
}

function prepareKeys() {
  whenKeyIsWanted(
    () =>
      new Promise((resolve) => {
        const dialog = byId("keys");
        byId("keys-form").onsubmit = (event) => {
          event.preventDefault();
          dialog.close(byId("key").value);
        };
        dialog.onclose = () => {
          byId("key").value = "";
          resolve(dialog.returnValue || null);
        };
        dialog.returnValue = "";
        dialog.showModal();
      }),
  );
}

byId("ask").addEventListener("submit", submit);
byId("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
});
byId("stop").addEventListener("click", () => {
  running?.abort();
  byId("question").focus();
});
byId("fresh").addEventListener("click", () => {
  running?.abort();
  turns = [];
  byId("conversation").replaceChildren(byId("welcome"));
  byId("welcome").hidden = false;
  byId("question").focus();
});
prepareKeys();
prepareReader();
prepareUpload(chosen, listCollections);
byId("question").focus();
try {
  await listCollections();
  await findOutAboutFeedback();
} catch (error) {
  byId("welcome").append(make("p", { class: "wrong" }, error.message));
}
