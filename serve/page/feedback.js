// Thumbs up and down, where the service takes them, and a word on why.

import { getJson, post } from "./api.js";
import { button, make, say } from "./dom.js";

const MAX_COMMENT = 2000;
const MAX_TEXT = 20000;
const MAX_PASSAGES = 100;

// Never through the middle of a character.
const cut = (text) => text.slice(0, MAX_TEXT).toWellFormed();

let taken = true;

// A service that describes itself without the route is not asked for it; one that does not is found out at a click.
export async function findOutAboutFeedback() {
  try {
    taken = "/v1/feedback" in (await getJson("/openapi.json")).paths;
  } catch {
    taken = true;
  }
}

export function rating(turn) {
  if (!taken) return null;
  const both = make("span", { class: "rating", role: "group", "aria-label": "Rate this answer" });
  const all = make("div", { class: "feedback" }, both);
  const rate = async (pressed, value) => {
    // Pressed again it would only take back the comment.
    if (pressed.getAttribute("aria-pressed") === "true" || !(await noted(turn, value, ""))) return;
    for (const each of both.children) each.setAttribute("aria-pressed", String(each === pressed));
    all.querySelector(".comment")?.remove();
    all.append(comment(turn, value));
  };
  const thumb = (sign, name, value) => {
    const made = button(sign, () => rate(made, value), { "aria-label": name, title: name, "aria-pressed": "false" });
    return made;
  };
  both.append(thumb("👍", "Good answer", "up"), thumb("👎", "Bad answer", "down"));
  return all;
}

// The field stands beside the thumbs and takes no focus: whoever has no more to say is not stopped.
function comment(turn, value) {
  const asked = value === "up" ? "What was good? (optional)" : "What was wrong? (optional)";
  const field = make("input", { type: "text", maxlength: MAX_COMMENT, placeholder: asked, "aria-label": asked });
  const form = make("form", { class: "comment" }, field, make("button", { type: "submit" }, "Send"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = field.value.trim();
    if (!said) return field.focus();
    if (!(await noted(turn, value, said))) return;
    const thanks = make("span", { class: "quiet", tabindex: "-1" }, "Noted.");
    form.replaceChildren(thanks);
    thanks.focus();
  });
  return form;
}

// What the service does not remember of the answer itself, it takes from here.
async function noted(turn, value, said) {
  const body = {
    answer_id: turn.id,
    rating: value,
    comment: said || null,
    question: cut(turn.question),
    answer: cut(turn.text),
    collection: turn.collection || null,
    passages: turn.context
      .slice(0, MAX_PASSAGES)
      .map(({ id, number }) => ({ id, cited: turn.cited?.has(number) ?? false })),
  };
  try {
    await post("/v1/feedback", body);
    say("Thank you, noted.");
    return true;
  } catch (error) {
    if (error.status === 404 && error.code === "not_found") {
      taken = false;
      for (const each of document.querySelectorAll(".feedback")) each.remove();
    }
    say(`Not noted: ${error.message}`);
    return false;
  }
}
