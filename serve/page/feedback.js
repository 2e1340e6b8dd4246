// Thumbs up and down, where the service takes them.

import { getJson, post } from "./api.js";
import { button, make, say } from "./dom.js";

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
  const rate = async (pressed, value) => {
    const { id, question, text } = turn;
    try {
      await post("/v1/feedback", { answer_id: id, rating: value, question, answer: text });
      for (const each of both.children) each.setAttribute("aria-pressed", String(each === pressed));
      say("Thank you, noted.");
    } catch (error) {
      if (error.status === 404) {
        taken = false;
        for (const each of document.querySelectorAll(".rating")) each.remove();
      }
      say(`Not noted: ${error.message}`);
    }
  };
  const thumb = (sign, name, value) => {
    const made = button(sign, () => rate(made, value), { "aria-label": name, title: name, "aria-pressed": "false" });
    return made;
  };
  both.append(thumb("👍", "Good answer", "up"), thumb("👎", "Bad answer", "down"));
  return both;
}
