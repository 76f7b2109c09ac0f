// The live view of stages and classes. Everything from the run enters as text, never as markup.
const POLL_MS = 2000, IDLE_POLL_MS = 15000, NAMED_TILES = 150;
const STATES = ["failed", "slow", "running", "queued", "done", "skipped"];
const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const measures = JSON.parse(document.getElementById("measures").textContent);
const controls = document.getElementById("controls");
const place = (id) => document.getElementById(id);
let view = null, seen = null, tag = null;

function element(name, text, properties = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return Object.assign(made, properties);
}

function duration(seconds) {
  if (seconds === undefined || seconds === null) return "";
  if (seconds < 59.5) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const short = (value) => (value === undefined ? "" : String(Number(Number(value).toPrecision(4))));
const settings = () => Object.fromEntries(new FormData(controls));
const address = (each) => `/class?${new URLSearchParams({ method: each.method, name: each.class_name })}`;
const openable = (each) => each.state === "done" || each.state === "skipped";

function describe(each) {
  const step = each.state === "running" || each.state === "slow" ? `, ${each.step ?? "starting"}` : "";
  const known = Object.entries(each.measures ?? {}).map(([key, value]) => `${measures[key]} ${short(value)}`);
  return [`${each.class_name}: ${each.state}${step}`, ...known, ...(each.message ? [each.message] : [])].join("; ");
}

function showStages() {
  place("stages").replaceChildren(...view.stages.map((stage) => {
    const row = element("tr");
    const bar = element("progress", undefined, { max: Math.max(1, stage.total ?? 0), value: stage.done ?? 0 });
    bar.setAttribute("aria-label", `${stage.title}: ${stage.done ?? 0} of ${stage.total ?? 0}`);
    const count = stage.total ? `${stage.done ?? 0} / ${stage.total} ${stage.unit}` : "";
    const figures = Object.entries(stage.figures ?? {}).map(([name, value]) => `${name} ${short(value)}`);
    const cells = [count, bar, duration(stage.seconds), duration(stage.eta_seconds), [stage.state, ...figures].join(", ")];
    row.append(element("th", stage.title, { scope: "row" }), ...cells.map((cell, number) => {
      const made = element("td", typeof cell === "string" ? cell : undefined, { className: number === 0 || number === 2 || number === 3 ? "number" : "" });
      if (typeof cell !== "string") made.append(cell);
      return made;
    }));
    return row;
  }));
}

function showFailures() {
  const failures = view.failures ?? [];
  place("failures-section").hidden = failures.length === 0;
  place("failures").replaceChildren(...failures.map((each) => {
    const item = element("li");
    item.append(element("strong", `${each.stage}, ${each.name}: `), each.message);
    return item;
  }));
}

function shownClasses() {
  const { method, order, state, search, down } = settings();
  const wanted = search.trim().toLowerCase();
  const kept = view.classes.filter((each) => each.method === method && (!state || each.state === state) && each.class_name.toLowerCase().includes(wanted));
  const value = { class_name: (each) => each.class_name, state: (each) => STATES.indexOf(each.state) }[order] ?? ((each) => each.measures?.[order]);
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b) * (down ? -1 : 1);
  // What has no value comes last, whichever way the order goes.
  return kept.sort((a, b) => {
    const [left, right] = [value(a), value(b)];
    if (left === undefined || right === undefined) return (left === undefined) - (right === undefined);
    return compare(left, right) || compare(a.class_name, b.class_name);
  });
}

function scaleOf(shown, key) {
  const values = shown.map((each) => each.measures?.[key]).filter((value) => value !== undefined);
  const low = Math.min(...values), high = Math.max(...values);
  const share = (value) => (high > low ? (value - low) / (high - low) : 0.5);
  const colour = (value) => {
    const at = share(value) * (RAMP.length - 1), left = Math.min(RAMP.length - 2, Math.floor(at));
    return `rgb(${RAMP[left].map((channel, number) => Math.round(channel + (at - left) * (RAMP[left + 1][number] - channel))).join(" ")})`;
  };
  return { low, high, colour, isBright: (value) => share(value) > 0.45, isEmpty: values.length === 0 };
}

function tile(each, named, key, scale) {
  const value = each.measures?.[key];
  const made = element(openable(each) ? "a" : "span", named ? each.class_name : undefined, { className: named ? "tile named" : "tile", title: describe(each) });
  if (openable(each)) made.href = address(each);
  else made.setAttribute("role", "img");
  made.setAttribute("aria-label", describe(each));
  made.dataset.state = each.state;
  made.tabIndex = -1;
  if (key !== "state") {
    made.classList.add(value === undefined ? "blank" : scale.isBright(value) ? "bright" : "dark");
    made.style.background = value === undefined ? "none" : scale.colour(value);
  }
  return made;
}

function showTiles(shown) {
  const { colour } = settings(), named = shown.length <= NAMED_TILES;
  const scale = scaleOf(shown, colour), grid = place("tiles");
  const focused = [...grid.children].indexOf(document.activeElement);
  grid.style.setProperty("--tile", named ? "7rem" : "1.5rem");
  grid.replaceChildren(...shown.map((each) => tile(each, named, colour, scale)));
  if (grid.children.length) (grid.children[focused] ?? grid.children[0]).tabIndex = 0;
  if (focused >= 0) grid.children[focused]?.focus();
  showLegend(shown, colour, scale);
}

function showLegend(shown, colour, scale) {
  const legend = place("legend");
  if (colour !== "state") {
    const words = scale.isEmpty ? [element("span", "no class has this measure")] : [element("span", short(scale.low)), element("i", undefined, { className: "ramp" }), element("span", short(scale.high))];
    legend.replaceChildren(...words);
    return;
  }
  const counted = (state) => shown.filter((each) => each.state === state).length;
  legend.replaceChildren(...STATES.map((state) => {
    const item = element("span"), mark = element("i");
    mark.dataset.state = state;
    item.append(mark, `${state} ${counted(state)}`);
    return item;
  }));
}

function showTable(shown) {
  const { order } = settings();
  const known = Object.keys(measures).filter((key) => shown.some((each) => each.measures?.[key] !== undefined));
  const columns = { class_name: "class", state: "state", ...Object.fromEntries(known.map((key) => [key, measures[key]])) };
  place("columns").replaceChildren(...Object.entries(columns).map(([key, words]) => {
    const head = element("th", undefined, { scope: "col" }), button = element("button", words, { type: "button" });
    head.setAttribute("aria-sort", key === order ? (controls.elements.down.checked ? "descending" : "ascending") : "none");
    button.setAttribute("aria-pressed", String(key === order));
    button.onclick = () => {
      controls.elements.down.checked = key === order && !controls.elements.down.checked;
      controls.elements.order.value = key;
      showClasses();
      place("columns").querySelectorAll("button")[Object.keys(columns).indexOf(key)].focus();
    };
    head.append(button);
    return head;
  }));
  place("rows").replaceChildren(...shown.map((each) => {
    const row = element("tr"), name = element("th", openable(each) ? undefined : each.class_name, { scope: "row" });
    if (openable(each)) name.append(element("a", each.class_name, { href: address(each) }));
    const state = element("td", each.state === "running" || each.state === "slow" ? `${each.state}: ${each.step ?? "starting"}` : each.state, { className: "words" });
    row.append(name, state, ...known.map((key) => element("td", short(each.measures?.[key]))));
    return row;
  }));
}

function showClasses() {
  const shown = shownClasses(), asTable = settings().view === "table";
  place("tiles").hidden = asTable;
  place("table").hidden = !asTable;
  place("legend").hidden = asTable;
  place("shown").textContent = `${shown.length} of ${view.classes.filter((each) => each.method === settings().method).length} classes`;
  if (asTable) showTable(shown);
  else showTiles(shown);
}

function showNews() {
  const counts = Object.entries(view.counts ?? {}).map(([state, count]) => `${count} ${state}`).join(", ");
  const when = view.updated ? new Date(view.updated * 1000).toLocaleTimeString() : null;
  const head = view.is_live ? "Running" : when ? `Not running; last word at ${when}` : "Nothing has been heard of this run's stages yet";
  const text = counts ? `${head}. Selections: ${counts}.` : `${head}.`;
  if (place("news").textContent !== text) place("news").textContent = text;
}

function show() {
  showNews();
  showStages();
  showFailures();
  showClasses();
  document.body.dataset.shown = "true";
}

async function poll() {
  let pause = IDLE_POLL_MS;
  try {
    const answer = await fetch("/api/run", { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    if (answer.status === 200) {
      tag = answer.headers.get("ETag");
      const text = await answer.text();
      if (text !== seen) {
        seen = text;
        view = { classes: [], stages: [], ...JSON.parse(text) };
        show();
      }
    } else if (answer.status !== 304) {
      place("news").textContent = `The page cannot read the run: ${await answer.text()}`;
    }
    pause = view?.is_live ? POLL_MS : IDLE_POLL_MS / 3;
  } catch (error) {
    place("news").textContent = `The page's server does not answer (${error.message}); it may have been stopped.`;
  }
  setTimeout(poll, document.hidden ? IDLE_POLL_MS : pause);
}

place("tiles").addEventListener("keydown", (event) => {
  const tiles = [...place("tiles").children], at = tiles.indexOf(document.activeElement);
  const columns = getComputedStyle(place("tiles")).gridTemplateColumns.split(" ").length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: tiles.length - 1 - at }[event.key];
  if (at < 0 || step === undefined) return;
  event.preventDefault();
  const next = tiles[Math.max(0, Math.min(tiles.length - 1, at + step))];
  tiles[at].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
controls.addEventListener("input", () => view && showClasses());
controls.addEventListener("submit", (event) => event.preventDefault());
poll();
