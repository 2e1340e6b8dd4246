// A small part of Markdown as DOM nodes: paragraphs, headings, lists, quotes, code, emphasis, links, and the numbered
// marks. HTML is shown as the text it is; an image as its alternative text; a link says which host it leads to.

import { make } from "./dom.js";

const INLINE =
  /(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)|!\[([^\]\n]*)\]\([^)\s]*\)|\[([^\]\n]+)\]\(([^)\s]+)\)|\[(\d{1,3})\]|\*\*([^\n]+?)\*\*|\*([^\s*][^*\n]*?)\*/;

// `cite(number)` makes the node of a mark, or returns null where there is no such passage.
export function render(text, cite) {
  const made = document.createDocumentFragment();
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  let at = 0;
  const take = (pattern) => {
    const taken = [];
    while (at < lines.length && pattern.test(lines[at])) taken.push(lines[at++]);
    return taken;
  };
  while (at < lines.length) {
    const line = lines[at];
    const heading = /^(#{1,6})\s+(.*)/.exec(line);
    if (!line.trim()) at += 1;
    else if (/^\s*```/.test(line)) made.append(fenced());
    else if (heading) {
      made.append(make("p", { class: "heading" }, inline(heading[2], cite)));
      at += 1;
    } else if (/^\s*>/.test(line)) {
      const quoted = take(/^\s*>/).map((each) => each.replace(/^\s*>\s?/, ""));
      made.append(make("blockquote", {}, inline(quoted.join("\n"), cite)));
    } else if (/^\s*[-*+]\s+/.test(line)) made.append(list("ul", take(/^\s*[-*+]\s+/), /^\s*[-*+]\s+/, cite));
    else if (/^\s*\d+[.)]\s+/.test(line)) made.append(list("ol", take(/^\s*\d+[.)]\s+/), /^\s*\d+[.)]\s+/, cite));
    else made.append(make("p", {}, inline(paragraph().join("\n"), cite)));
  }
  return made;

  function paragraph() {
    const taken = [lines[at++]];
    return [...taken, ...take(/^(?!\s*$|\s*```|\s*>|#{1,6}\s|\s*[-*+]\s|\s*\d+[.)]\s)/)];
  }

  function fenced() {
    at += 1;
    const code = take(/^(?!\s*```)/);
    at += 1;
    return make("pre", { tabindex: "0" }, make("code", {}, code.join("\n")));
  }
}

function list(tag, items, bullet, cite) {
  return make(tag, {}, ...items.map((each) => make("li", {}, inline(each.replace(bullet, ""), cite))));
}

function inline(text, cite) {
  const made = document.createDocumentFragment();
  let rest = text;
  for (let found = INLINE.exec(rest); found; found = INLINE.exec(rest)) {
    made.append(rest.slice(0, found.index));
    const [whole, , code, image, label, target, number, bold, italic] = found;
    if (code !== undefined) made.append(make("code", {}, code));
    else if (image !== undefined) made.append(image || "image");
    else if (label !== undefined) made.append(link(label, target, whole));
    else if (number !== undefined) made.append(cite(Number(number)) ?? whole);
    else if (bold !== undefined) made.append(make("strong", {}, inline(bold, cite)));
    else made.append(make("em", {}, inline(italic, cite)));
    rest = rest.slice(found.index + whole.length);
  }
  made.append(rest);
  return made;
}

function link(label, target, whole) {
  let url;
  try {
    url = new URL(target);
  } catch {
    return whole;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return whole;
  const fields = { href: url.href, rel: "noopener noreferrer", target: "_blank", title: url.href };
  return make("a", fields, `${label} (${url.host})`);
}
