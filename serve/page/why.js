// Why this answer: the ranked passages, what was left out, and where the time went.

import { button, make } from "./dom.js";
import { openPassage } from "./reader.js";

export function why(turn) {
  return make(
    "details",
    { class: "why" },
    make("summary", {}, "Why this answer"),
    turn.context.length ? make("h3", {}, "Passages given to the model") : null,
    turn.context.length ? make("ol", { class: "passages" }, ...turn.context.map((each) => item(each, turn))) : null,
    turn.dropped.length ? make("h3", {}, "Left out") : null,
    turn.dropped.length
      ? make("ul", {}, ...turn.dropped.map((each) => make("li", {}, `${each.what}: ${each.reason}`)))
      : null,
    ...timings(turn.timings),
  );
}

function item(passage, turn) {
  const cited = turn.cited?.has(passage.number) ? make("span", { class: "tag" }, "cited") : null;
  const text = passage.text.replace(/\s+/g, " ");
  const facts = [
    passage.heading_path.join(" › "),
    `score ${passage.score.toFixed(3)}`,
    passage.dense_score === null ? "" : `cosine ${passage.dense_score.toFixed(2)}`,
    passage.sparse_score === null ? "" : `keywords ${passage.sparse_score.toFixed(1)}`,
  ];
  return make(
    "li",
    {},
    button(passage.title || passage.source, () => openPassage(passage, turn.collection), { class: "plain" }),
    " ",
    cited,
    make("div", { class: "quiet" }, facts.filter(Boolean).join(" · ")),
    make("div", { class: "excerpt" }, text.slice(0, 240) + (text.length > 240 ? "…" : "")),
  );
}

function timings(measured) {
  const rows = Object.entries(measured).map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row" }, name.replace("_", " ")), make("td", {}, `${value.toFixed(1)} ms`)),
  );
  return rows.length ? [make("h3", {}, "Time"), make("table", {}, make("tbody", {}, ...rows))] : [];
}
