// Elements are made here and nowhere else: text goes in as text, so nothing that came from a model or a document is
// ever read as markup.

export const byId = (id) => document.getElementById(id);

export function make(tag, fields = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

export const button = (text, onclick, fields = {}) => make("button", { type: "button", onclick, ...fields }, text);

// What a screen reader says; the page itself shows it quietly.
export function say(text) {
  byId("status").textContent = text;
}
