// One question with its answer: what is shown of it, and what can be done with it.

import { button, make, say } from "./dom.js";
import { render } from "./markdown.js";
import { rating } from "./feedback.js";
import { openPassage } from "./reader.js";
import { why } from "./why.js";

export class Turn {
  constructor(question, collection) {
    this.question = question;
    this.collection = collection;
    this.body = make("div", { class: "answer" });
    this.below = make("div", { class: "below" });
    const asked = make("h2", { class: "question" }, question);
    this.element = make("article", { class: "turn", tabindex: "-1" }, asked, this.body, this.below);
    this.clear();
  }

  clear() {
    Object.assign(this, { text: "", id: "", context: [], dropped: [], timings: {}, abstained: false, state: "waiting" });
    this.drawn = false;
    this.below.replaceChildren();
    this.body.className = "answer";
    this.body.setAttribute("aria-busy", "true");
    this.body.replaceChildren(make("p", { class: "quiet waiting" }, "Looking through the documents…"));
  }

  take(chunk) {
    this.id = chunk.id || this.id;
    if (chunk.context) this.context = chunk.context;
    if (chunk.dropped) this.dropped = chunk.dropped;
    if (chunk.timings_ms) this.timings = chunk.timings_ms;
    if (chunk.abstained) this.abstained = true;
    if (chunk.citations) this.cited = new Set(chunk.citations.map((each) => each.number));
    const piece = chunk.choices?.[0]?.delta?.content;
    if (!piece) return;
    this.text += piece;
    // A frame that comes after the end would wipe away what the end said.
    if (!this.drawn) requestAnimationFrame(() => this.state === "waiting" && this.draw());
    this.drawn = true;
  }

  draw() {
    this.drawn = false;
    if (this.text) this.body.replaceChildren(render(this.text, (number) => this.mark(number)));
  }

  mark(number) {
    const passage = this.context[number - 1];
    if (!passage) return null;
    const name = `Source ${number}: ${passage.title || passage.source}`;
    const open = () => openPassage(passage, this.collection);
    return button(String(number), open, { class: "mark", "aria-label": name, title: name });
  }

  // `state`: done, stopped or failed, with what is to be said of it.
  end(state, message, again) {
    this.state = state;
    this.draw();
    this.body.setAttribute("aria-busy", "false");
    if (!this.text) this.body.replaceChildren();
    if (state === "done" && this.abstained) this.body.classList.add("abstained");
    if (message) this.body.append(make("p", { class: state === "failed" ? "wrong" : "quiet" }, message));
    const copy = button("Copy", () => this.copy(copy));
    this.below.replaceChildren(
      make(
        "div",
        { class: "actions" },
        this.text ? copy : null,
        button("Retry", again, { class: "retry" }),
        state === "done" ? rating(this) : null,
      ),
    );
    if (this.context.length || this.dropped.length) this.below.append(why(this));
    say(message || (this.abstained ? "Nothing relevant was found." : "The answer is complete."));
  }

  async copy(pressed) {
    const sources = this.context
      .map((each, place) => `[${place + 1}] ${each.title || each.source} (${each.uri})`)
      .filter((_, place) => this.text.includes(`[${place + 1}]`));
    try {
      await navigator.clipboard.writeText([this.text, ...(sources.length ? ["", ...sources] : [])].join("\n"));
      pressed.textContent = "Copied";
      say("Copied.");
      setTimeout(() => (pressed.textContent = "Copy"), 2000);
    } catch {
      say("The browser does not let this page copy; select the text instead.");
    }
  }
}
