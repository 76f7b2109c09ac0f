// Parts of very many classes: the server filters and sorts them.
import { element, grouped, place } from "./words.js";

const TYPING_MS = 200;
let start = 0;
let asked = 0;
let timer = null;

// Asks for the part that the controls describe, and hands it to `draw` unless another was asked for
// meanwhile.
export async function askWindow(settings, draw) {
  const { method, state, search, order, down } = settings;
  const words = { method, state, search, order, down: Boolean(down), start };
  asked += 1;
  const own = asked;
  const answer = await fetch(`/api/classes?${new URLSearchParams(words)}`, { cache: "no-store" });
  if (own !== asked) return;
  if (!answer.ok) {
    place("shown").textContent = `The page cannot read the ${document.body.dataset.units}: ${await answer.text()}`;
    return;
  }
  const found = { total: 0, matching: 0, start: 0, classes: [], ...await answer.json() };
  if (own !== asked) return;
  start = found.start;
  draw(found);
}

// Asks after the last of several changes, such as typed letters; the first part is shown.
export function askSoon(ask) {
  start = 0;
  clearTimeout(timer);
  timer = setTimeout(ask, TYPING_MS);
}

// Says which part is shown, with buttons to the ones before and after it.
export function showPart(found, noun, ask) {
  const end = found.start + found.classes.length;
  const part = found.matching ? `${grouped(found.start + 1)}–${grouped(end)} of ` : "";
  const all = `${grouped(found.total)} ${noun}`;
  const text = found.matching === found.total ? all : `${grouped(found.matching)} found in ${all}`;
  const size = Number(place("parts").dataset.size);
  place("shown").textContent = part + text;
  place("parts").hidden = found.matching <= size;
  const moves = [["parts-before", found.start - size], ["parts-after", found.start + size]];
  for (const [id, target] of moves) {
    place(id).disabled = target < 0 || target >= found.matching;
    place(id).onclick = () => {
      start = target;
      ask();
    };
  }
}

// Says how many failures are not listed.
export function failuresLeft(listed, all) {
  return all > listed ? [element("li", `and ${grouped(all - listed)} more`)] : [];
}
