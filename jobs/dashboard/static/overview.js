// The live view of stages and classes. All text from the run is set as text, never as markup.
import { headline } from "./headline.js";
import { showTiles } from "./tiles.js";
import { askSoon, askWindow, failuresLeft, showPart } from "./windows.js";
import {
  address, canOpen, element, grouped, heading, isActive, measures, place, short, states, STATES,
  withUnit,
} from "./words.js";

const POLL_MS = 2000;
const IDLE_POLL_MS = 15000;
// Some results of a stage are written just after its bar has ended.
const SETTLE_MS = 20000;
const NOT_LIVE_POLL_MS = 5000;
const controls = document.getElementById("controls");
let view = null;
let seen = null;
let tag = null;
let places = new Map();
let answered = null;
let askAgain = 0;
let wasSorted = false;

const settings = () => Object.fromEntries(new FormData(controls));

function stageRow(stage) {
  const done = stage.done ?? 0;
  const total = stage.total ?? 0;
  const bar = element("progress", undefined, { max: Math.max(1, total), value: done });
  bar.setAttribute("aria-label", `${stage.title}: ${done} of ${total}`);
  const barCell = element("td");
  barCell.append(bar);

  const figures = Object.entries(stage.figures ?? {});
  const state = [stage.state, ...figures.map(([name, value]) => `${name} ${short(value)}`)];
  const number = { className: "number" };
  const time = stage.left ? "number" : "number ended";
  const row = element("tr");
  row.append(
    element("th", stage.title, { scope: "row" }),
    element("td", stage.count ?? "", number),
    barCell,
    element("td", stage.time ?? "", { className: time }),
    element("td", stage.left ?? "", { className: "number left" }),
    element("td", state.join(", "), { className: "state" }),
  );
  return row;
}

function showStages() {
  place("stages").replaceChildren(...view.stages.map(stageRow));
}

function showFailures() {
  const failures = view.failures ?? [];
  place("failures-section").hidden = failures.length === 0;
  const items = failures.map((failure) => {
    const item = element("li");
    item.append(element("strong", `${failure.stage}, ${failure.name}: `), failure.message);
    return item;
  });
  items.push(...failuresLeft(failures.length, view.num_failures ?? 0));
  place("failures").replaceChildren(...items);
}

function sortValue(item, order) {
  if (order === "class_name") return placeOf(item);
  if (order === "state") return STATES.indexOf(item.state);
  return item.measures?.[order];
}

// The server sends the classes in the order that reports and manifests have too.
function placeOf(item) {
  return places.get(item.class_name);
}

function shownClasses() {
  const { method, order, state, search, down } = settings();
  const wanted = search.trim().toLowerCase();
  const kept = view.classes.filter((item) => (
    item.method === method
    && (!state || item.state === state)
    && item.class_name.toLowerCase().includes(wanted)
  ));
  const direction = down ? -1 : 1;
  return kept.sort((a, b) => {
    const left = sortValue(a, order);
    const right = sortValue(b, order);
    // Classes without a value come last in both directions.
    if (left === undefined || right === undefined) {
      return (left === undefined) - (right === undefined);
    }
    return direction * (left - right || placeOf(a) - placeOf(b));
  });
}

function sortBy(key, position) {
  controls.elements.down.checked = key === settings().order && !controls.elements.down.checked;
  controls.elements.order.value = key;
  showClasses();
  place("columns").querySelectorAll("button")[position].focus();
}

function columnHead(key, title, position) {
  const isOrder = key === settings().order;
  const direction = controls.elements.down.checked ? "descending" : "ascending";
  const head = element("th", undefined, { scope: "col" });
  head.setAttribute("aria-sort", isOrder ? direction : "none");
  const button = element("button", title, { type: "button" });
  button.setAttribute("aria-pressed", String(isOrder));
  button.onclick = () => sortBy(key, position);
  head.append(button);
  return head;
}

function classRow(item, keys) {
  const name = element("th", canOpen(item) ? undefined : item.class_name, { scope: "row" });
  if (canOpen(item)) name.append(element("a", item.class_name, { href: address(item) }));
  const title = states[item.state];
  const state = isActive(item) ? `${title}: ${item.step ?? "starting"}` : title;
  const row = element("tr");
  row.append(
    name,
    element("td", state, { className: "words" }),
    ...keys.map((key) => element("td", withUnit(key, item.measures?.[key]))),
  );
  return row;
}

function showTable(shown) {
  const hasValue = (key) => shown.some((item) => item.measures?.[key] !== undefined);
  const keys = Object.keys(measures).filter(hasValue);
  const columns = [["class_name", document.body.dataset.unit], ["state", "state"]];
  columns.push(...keys.map((key) => [key, heading(key)]));
  const heads = columns.map(([key, title], position) => columnHead(key, title, position));
  const focused = [...place("columns").children].indexOf(document.activeElement.parentElement);
  place("columns").replaceChildren(...heads);
  place("columns").children[focused]?.firstChild.focus();
  place("rows").replaceChildren(...shown.map((item) => classRow(item, keys)));
}

function nounOf(count) {
  const { unit, units } = document.body.dataset;
  return count === 1 ? unit : units;
}

function draw(shown) {
  const { colour, view: form } = settings();
  const asTable = form === "table";
  place("tiles").hidden = asTable;
  place("table").hidden = !asTable;
  place("legend").hidden = asTable;
  if (asTable) showTable(shown);
  else showTiles(shown, colour);
}

function showClasses() {
  if (view.has_windows) {
    askPart();
    return;
  }
  const { method } = settings();
  const shown = shownClasses();
  const total = view.classes.filter((item) => item.method === method).length;
  const noun = nounOf(total);
  place("shown").textContent = `${grouped(shown.length)} of ${grouped(total)} ${noun}`;
  draw(shown);
}

async function askPart() {
  if (!wasSorted) {
    wasSorted = true;
    controls.elements.order.value = "state"; // failed and slow ones first
  }
  try {
    await askWindow(settings(), (found) => {
      showPart(found, nounOf(found.total), askPart);
      draw(found.classes);
      document.body.dataset.part = String(found.start);
    });
  } catch (error) {
    place("shown").textContent = `The page's server does not answer (${error.message}).`;
  }
}

function showNews() {
  const known = STATES.filter((state) => view.counts?.[state]);
  const counts = known.map((state) => `${grouped(view.counts[state])} ${states[state]}`);
  const selections = counts.length ? ` Selections: ${counts.join(", ")}.` : "";
  const text = `${headline(view)}.${selections}`;
  // Screen readers announce every change of this element.
  if (place("news").textContent !== text) place("news").textContent = text;
}

function showRay() {
  place("ray").hidden = !view.dashboard;
  if (!view.dashboard) return;
  place("ray-link").href = view.dashboard;
  place("ray-link").textContent = view.dashboard;
}

function show() {
  showNews();
  showRay();
  showStages();
  showFailures();
  showClasses();
  document.body.dataset.shown = "true";
}

// The server escapes everything in its templates, and the page's policy runs no inline script.
async function showAnswer() {
  const isNew = view.results !== answered;
  if (!isNew && Date.now() < askAgain) return;
  const isFirst = answered === null;
  answered = view.results;
  askAgain = isNew ? Date.now() + SETTLE_MS : Infinity;
  if (isFirst && "answered" in document.body.dataset) return; // the page came with its answer
  const answer = await fetch("/answer", { cache: "no-store" });
  if (!answer.ok) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  place("answer").replaceChildren(...parsed.body.childNodes);
  place("answer-section").hidden = !place("answer").textContent.trim();
}

async function readRun() {
  const headers = tag ? { "If-None-Match": tag } : {};
  const answer = await fetch("/api/run", { headers, cache: "no-store" });
  if (answer.status === 304) return;
  const text = await answer.text();
  if (answer.status !== 200) {
    place("news").textContent = `The page cannot read the run: ${text}`;
    return;
  }
  tag = answer.headers.get("ETag");
  if (text !== seen) {
    seen = text;
    view = { classes: [], stages: [], ...JSON.parse(text) };
    // Another configuration can have other methods, other pages and other links.
    if (view.configuration !== document.body.dataset.configuration) location.reload();
    places = new Map(view.classes.map((item, at) => [item.class_name, at]));
    show();
  }
}

async function poll() {
  let pause = IDLE_POLL_MS;
  try {
    await readRun();
    if (view) await showAnswer();
    pause = view?.is_live ? POLL_MS : NOT_LIVE_POLL_MS;
  } catch (error) {
    const reason = `The page's server does not answer (${error.message})`;
    place("news").textContent = `${reason}; it may have stopped.`;
  }
  setTimeout(poll, document.hidden ? IDLE_POLL_MS : pause);
}

place("tiles").addEventListener("keydown", (event) => {
  const tiles = [...place("tiles").children];
  const at = tiles.indexOf(document.activeElement);
  const columns = getComputedStyle(place("tiles")).gridTemplateColumns.split(" ").length;
  const step = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    Home: -at,
    End: tiles.length - 1 - at,
  }[event.key];
  if (at < 0 || step === undefined) return;
  event.preventDefault();
  const next = tiles[Math.max(0, Math.min(tiles.length - 1, at + step))];
  tiles[at].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
controls.addEventListener("input", () => {
  if (view?.has_windows) askSoon(askPart);
  else if (view) showClasses();
});
controls.addEventListener("submit", (event) => event.preventDefault());
poll();
