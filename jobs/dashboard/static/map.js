// The map of all classes on a canvas: pictures on hover, a click opens the class, arrow keys move.
// All text from the run is set as text, never as markup.
import { middles, placed } from "./names.js";
import { percent } from "./percent.js";

const MARGIN = 16;
const NEAR_PIXELS = 14;
const CHOSEN_RADIUS = 5;
const OTHER_RADIUS = 2;
// Names of so many classes, the largest ones, are shown where they have room.
const NAMED_CLASSES = 40;
const FONT = "600 13px system-ui, sans-serif";
// Each class turns the colour wheel by the golden angle, so that neighbours in the list differ.
const GOLDEN_DEGREES = 137.508;
const place = (id) => document.getElementById(id);
const atlas = place("atlas");
const canvas = place("canvas");
const controls = place("controls");
const { method, images } = atlas.dataset;
let points = [];
let classes = [];
let labels = [];
let current = null;

const text = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

function address(point) {
  return `/class?${new URLSearchParams({ method, name: point.name })}`;
}

function picture(point) {
  return `/image?${new URLSearchParams({ method, name: point.name, row: point.row, side: 96 })}`;
}

function pointsOf(found) {
  const made = [];
  found.classes.forEach((each, number) => {
    each.rows.forEach((row, index) => made.push({
      name: each.name,
      number,
      row,
      isChosen: index < each.num_chosen,
      x: each.x[index],
      y: each.y[index],
    }));
  });
  return made;
}

function scaled() {
  const xs = points.map((each) => each.x);
  const ys = points.map((each) => each.y);
  const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
  const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
  const [left, right, low, high] = [least(xs), most(xs), least(ys), most(ys)];
  const width = canvas.clientWidth - 2 * MARGIN;
  const height = canvas.clientHeight - 2 * MARGIN;
  for (const each of points) {
    each.left = MARGIN + width * ((each.x - left) / (right - left || 1));
    each.top = MARGIN + height * (1 - (each.y - low) / (high - low || 1));
  }
}

function isShown(point) {
  return point.isChosen || controls.elements.others.checked;
}

function isWanted(point) {
  const wanted = controls.elements.search.value.trim().toLowerCase();
  return !wanted || point.name.toLowerCase().includes(wanted);
}

function draw() {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const light = isDark ? 65 : 45;
  // Chosen images lie above all others.
  for (const part of [false, true]) {
    for (const each of points) {
      if (each.isChosen !== part || !isShown(each)) continue;
      pen.globalAlpha = isWanted(each) ? (part ? 1 : 0.55) : 0.07;
      pen.fillStyle = `hsl(${(each.number * GOLDEN_DEGREES) % 360} 60% ${light}%)`;
      pen.beginPath();
      pen.arc(each.left, each.top, part ? CHOSEN_RADIUS : OTHER_RADIUS, 0, 2 * Math.PI);
      pen.fill();
    }
  }
  pen.globalAlpha = 1;
  drawNames(pen, isDark);
  if (current) {
    pen.strokeStyle = isDark ? "#ffffff" : "#000000";
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(current.left, current.top, CHOSEN_RADIUS + 3, 0, 2 * Math.PI);
    pen.stroke();
  }
}

function placeNames() {
  const pen = canvas.getContext("2d");
  pen.font = FONT;
  const largest = middles(classes, points).filter(isWanted).sort((a, b) => b.size - a.size);
  const frame = { width: canvas.clientWidth, height: canvas.clientHeight };
  labels = placed(largest.slice(0, NAMED_CLASSES), frame, (text) => pen.measureText(text).width);
  // For tests: a canvas has no text.
  atlas.dataset.names = JSON.stringify(labels);
}

function drawNames(pen, isDark) {
  pen.font = FONT;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineWidth = 4;
  pen.lineJoin = "round";
  pen.strokeStyle = isDark ? "#181e27" : "#ffffff";
  pen.fillStyle = isDark ? "#e8ecf2" : "#1b2330";
  for (const { text: name, left, top, width, height } of labels) {
    pen.strokeText(name, left + width / 2, top + height / 2);
    pen.fillText(name, left + width / 2, top + height / 2);
  }
}

function nearest(left, top) {
  let found = null;
  let least = NEAR_PIXELS ** 2;
  for (const each of points) {
    if (!isShown(each) || !isWanted(each)) continue;
    const distance = (each.left - left) ** 2 + (each.top - top) ** 2;
    // At equal distance the chosen image, which lies above.
    if (distance < least || (distance === least && each.isChosen)) {
      found = each;
      least = distance;
    }
  }
  return found;
}

function words(point) {
  return `${point.name}: ${point.isChosen ? "chosen image" : "image not chosen"}`;
}

function showCard(point) {
  const card = place("card");
  card.hidden = !point;
  if (!point) return;
  place("card-words").textContent = words(point);
  if (images) {
    place("card-image").src = picture(point);
    place("card-image").alt = words(point);
  }
  const right = point.left > canvas.clientWidth / 2;
  card.style.left = right ? "auto" : `${point.left + 14}px`;
  card.style.right = right ? `${canvas.clientWidth - point.left + 14}px` : "auto";
  card.style.top = `${Math.max(0, Math.min(point.top - 20, canvas.clientHeight - 150))}px`;
}

function select(point, isSpoken) {
  if (point === current) return;
  current = point;
  canvas.style.cursor = point ? "pointer" : "default";
  showCard(point);
  if (isSpoken) place("place").textContent = point ? words(point) : "";
  draw();
}

function move(key) {
  const chosen = points.filter((each) => each.isChosen && isWanted(each));
  if (!chosen.length) return;
  const at = chosen.indexOf(current);
  const inTurn = (number) => chosen[(number + chosen.length) % chosen.length];
  if (at < 0) select(chosen[0], true);
  else if (key === "ArrowRight") select(inTurn(at + 1), true);
  else if (key === "ArrowLeft") select(inTurn(at - 1), true);
  else {
    const numbers = [...new Set(chosen.map((each) => each.number))];
    const step = key === "ArrowDown" ? 1 : -1;
    const next = numbers[(numbers.indexOf(current.number) + step + numbers.length) % numbers.length];
    select(chosen.find((each) => each.number === next), true);
  }
}

// A finger does not hover: its first tap shows an image, a second one opens the class.
const isTouch = (event) => event.pointerType === "touch";
canvas.addEventListener("pointermove", (event) => {
  if (isTouch(event)) return;
  const box = canvas.getBoundingClientRect();
  select(nearest(event.clientX - box.left, event.clientY - box.top), false);
});
canvas.addEventListener("pointerleave", (event) => {
  if (!isTouch(event)) select(null, false);
});
canvas.addEventListener("click", (event) => {
  const box = canvas.getBoundingClientRect();
  const point = nearest(event.clientX - box.left, event.clientY - box.top);
  if (isTouch(event) && point !== current) select(point, true);
  else if (point) location.assign(address(point));
});
canvas.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && current) location.assign(address(current));
  else if (event.key === "Escape") select(null, true);
  else if (event.key.startsWith("Arrow")) {
    event.preventDefault();
    move(event.key);
  }
});
controls.addEventListener("input", (event) => {
  if (event.target.name === "method") {
    controls.submit();
    return;
  }
  placeNames();
  draw();
});
controls.addEventListener("submit", (event) => event.preventDefault());
new ResizeObserver(() => {
  scaled();
  placeNames();
  draw();
  showCard(current);
}).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

function showNames() {
  place("names").replaceChildren(...classes.map((each) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = address(each);
    link.textContent = each.name;
    item.append(link);
    return item;
  }));
}

function showNews(found) {
  const chosen = points.filter((each) => each.isChosen).length;
  const others = points.length - chosen;
  const { unit, units } = document.body.dataset;
  const shown = `${text(classes.length, unit, units)}: ${chosen.toLocaleString("en")} of `
    + `${text(found.num_chosen, "chosen image", "chosen images")}, `
    + `${text(others, "other image", "other images")}.`;
  const missing = found.missing
    ? ` The features of ${text(found.missing, unit, units)} have been deleted.`
    : "";
  place("news").textContent = shown + missing;
  const shares = found.shares.map((each) => percent(each, 0)).join(" and ");
  place("shares").textContent = `They hold ${shares} of the variance of the shown images.`;
}

async function read() {
  try {
    const answer = await fetch(`/api/map?${new URLSearchParams({ method })}`);
    if (!answer.ok) throw new Error(await answer.text());
    const found = await answer.json();
    classes = found.classes;
    points = pointsOf(found);
    scaled();
    placeNames();
    draw();
    showNames();
    showNews(found);
    document.body.dataset.shown = "true";
  } catch (error) {
    place("news").textContent = `There is no map: ${error.message}`;
  }
}
read();
