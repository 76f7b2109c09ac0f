// Marks images: keeps or rejects them in the next selection. Marks stay in this browser until they
// are written into a file of the run, or downloaded. All text from the run is set as text.
const POLL_MS = 3000;
const CHOICES = { include: ["Keep", "kept", "k"], exclude: ["Reject", "rejected", "r"] };
const tray = document.getElementById("tray");
const dialog = document.getElementById("large");
const place = (id) => document.getElementById(`tray-${id}`);
const key = `otcondense marks of ${tray.dataset.run}`;
let view;
let base; // the marks of the configuration, by image
let marks;

function byImage({ include, exclude }) {
  return new Map([
    ...include.map((image) => [image, "include"]),
    ...exclude.map((image) => [image, "exclude"]),
  ]);
}

function byChoice(marked) {
  const images = (choice) => [...marked.keys()].filter((image) => marked.get(image) === choice);
  return { include: images("include"), exclude: images("exclude") };
}

const isChanged = () => JSON.stringify([...marks].sort()) !== JSON.stringify([...base].sort());

// Marks that were made on another configuration are not those of this one.
function remembered() {
  try {
    const kept = JSON.parse(localStorage.getItem(key));
    if (JSON.stringify(kept.base) === JSON.stringify(view.marks)) return byImage(kept.marks);
  } catch {
    // nothing is remembered, or the browser keeps nothing
  }
  return new Map(base);
}

function remember() {
  try {
    if (!isChanged()) localStorage.removeItem(key);
    else {
      const kept = { base: view.marks, marks: byChoice(marks) };
      localStorage.setItem(key, JSON.stringify(kept));
    }
  } catch {
    // the browser keeps nothing: the marks last as long as the page
  }
}

function mark(image, choice) {
  if (marks.get(image) === choice) marks.delete(image);
  else marks.set(image, choice);
  place("again").hidden = true;
  place("news").textContent = "";
  remember();
  show();
}

function button(choice, imageOf) {
  const made = document.createElement("button");
  const [words, , letter] = CHOICES[choice];
  made.type = "button";
  made.textContent = words;
  made.title = `${words} in the next selection (${letter.toUpperCase()})`;
  made.dataset.mark = choice;
  made.addEventListener("click", () => mark(imageOf(), choice));
  return made;
}

function addButtons() {
  for (const figure of document.querySelectorAll("[data-figure]")) {
    const row = document.createElement("span");
    row.className = "actions";
    const imageOf = () => figure.dataset.figure;
    row.append(...Object.keys(CHOICES).map((choice) => button(choice, imageOf)));
    for (const each of row.children) each.setAttribute("aria-label", `${each.textContent} ${imageOf()}`);
    figure.querySelector("figcaption").append(row);
  }
  const row = document.getElementById("large-marks");
  row.append(...Object.keys(CHOICES).map((choice) => button(choice, () => dialog.dataset.image)));
  row.hidden = false;
}

function paint(element, image) {
  const choice = marks.get(image);
  if (choice) element.dataset.marked = choice;
  else delete element.dataset.marked;
  for (const each of element.querySelectorAll("[data-mark]")) {
    each.setAttribute("aria-pressed", String(each.dataset.mark === choice));
  }
}

function listed([image, choice]) {
  const item = document.createElement("li");
  item.className = "actions";
  const remove = document.createElement("button");
  remove.type = "button";
  remove.textContent = "Remove";
  remove.setAttribute("aria-label", `Remove ${image}`);
  remove.addEventListener("click", () => mark(image, choice));
  item.append(`${CHOICES[choice][1]}: ${image}`, remove);
  return item;
}

function show() {
  for (const figure of document.querySelectorAll("[data-figure]")) {
    paint(figure, figure.dataset.figure);
  }
  for (const link of document.querySelectorAll("a.enlarge")) paint(link, link.dataset.image);
  if (dialog.dataset.image) paint(dialog, dialog.dataset.image);
  const { include, exclude } = byChoice(marks);
  const changed = isChanged() ? "" : "; the selection that is shown knows them";
  place("count").textContent = `${include.length} kept, ${exclude.length} rejected${changed}.`;
  place("list").replaceChildren(...[...marks].map(listed));
  place("write").hidden = !view.writes;
  for (const id of ["write", "undo", "download"]) place(id).disabled = !isChanged();
  tray.hidden = !marks.size && !isChanged();
}

function showCommand(words, command) {
  place("news").textContent = words;
  place("command").textContent = command;
  place("again").hidden = false;
}

async function write() {
  const headers = { "Content-Type": "application/json", "X-OTCondense-Marks": "1" };
  const body = JSON.stringify(byChoice(marks));
  const before = await state();
  const answer = await fetch("/marks", { method: "POST", headers, body });
  if (!answer.ok) throw new Error(await answer.text());
  const { file, command } = await answer.json();
  const words = file ? `Written: ${file}` : "No image is marked any more";
  showCommand(`${words}. This command selects again; the page follows.`, command);
  follow(before.configuration);
}

function download() {
  const chosen = byChoice(marks);
  const link = document.createElement("a");
  const text = new Blob([JSON.stringify(chosen, null, 1)], { type: "application/json" });
  link.href = URL.createObjectURL(text);
  link.download = "marks.json";
  link.click();
  URL.revokeObjectURL(link.href);
  const settings = Object.keys(CHOICES).flatMap((choice) => {
    if (chosen[choice].length) return [`'selection.${choice}=marks.json#${choice}'`];
    return view.marks[choice].length ? [`'selection.${choice}=[]'`] : [];
  });
  const command = [view.command, ...settings].join(" ");
  showCommand("This command, where marks.json was saved, selects again.", command);
}

async function state() {
  const answer = await fetch("/api/run", { cache: "no-store" });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

// The page is loaded again when this class has been selected under another configuration.
async function follow(configuration) {
  const { method, class: name } = tray.dataset;
  let isNew = false;
  try {
    const found = await state();
    const done = found.classes.some((each) => (
      each.method === method && each.class_name === name && ["done", "skipped"].includes(each.state)
    ));
    isNew = found.configuration !== configuration && done && !found.is_live;
  } catch {
    // the run or the server may be busy: the next look tells
  }
  if (isNew) location.reload();
  else setTimeout(() => follow(configuration), POLL_MS);
}

async function tried(work) {
  try {
    await work();
  } catch (error) {
    place("news").textContent = `Not written: ${error.message}`;
  }
}

function choose(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const letter = event.key.toLowerCase();
  const choice = Object.keys(CHOICES).find((each) => CHOICES[each][2] === letter);
  const link = event.target.closest?.("a.enlarge");
  const image = dialog.open ? dialog.dataset.image : link?.dataset.image;
  if (choice && image) mark(image, choice);
}

async function start() {
  const answer = await fetch("/api/marks", { cache: "no-cache" });
  if (!answer.ok) return;
  view = await answer.json();
  if (view.reason) {
    place("count").textContent = view.reason;
    tray.replaceChildren(place("title"), place("count"));
    tray.hidden = false;
    return;
  }
  base = byImage(view.marks);
  marks = remembered();
  addButtons();
  document.addEventListener("keydown", choose);
  dialog.addEventListener("shown", show);
  place("write").addEventListener("click", () => tried(write));
  place("download").addEventListener("click", download);
  place("copy").addEventListener("click", () => tried(() => (
    navigator.clipboard.writeText(place("command").textContent)
  )));
  place("undo").addEventListener("click", () => {
    marks = new Map(base);
    place("again").hidden = true;
    remember();
    show();
  });
  show();
}
start();
