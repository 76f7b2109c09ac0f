// Places names on the map: none over another, all inside the frame; names without room are left
// out.
const HEIGHT = 18;
const EDGE = 4;
// A name takes at most this share of the width of the map.
const WIDEST = 0.4;
// Distances from the middle of the class that are tried, nearest first, in heights of a name.
const RINGS = [0, 1.2, 2.4];
const DIRECTIONS = [[0, -1], [0, 1], [1, 0], [-1, 0], [1, -1], [-1, -1], [1, 1], [-1, 1]];

function shortened(name, most, widthOf) {
  if (widthOf(name) <= most) return name;
  const letters = [...name];
  while (letters.length > 1 && widthOf(`${letters.join("")}…`) > most) letters.pop();
  return `${letters.join("")}…`;
}

function boxAt(left, top, width, frame) {
  const inside = (value, size, whole) => Math.max(EDGE, Math.min(value, whole - EDGE - size));
  return {
    left: inside(left - width / 2, width, frame.width),
    top: inside(top - HEIGHT / 2, HEIGHT, frame.height),
    width,
    height: HEIGHT,
  };
}

function overlaps(a, b) {
  return a.left < b.left + b.width && b.left < a.left + a.width
    && a.top < b.top + b.height && b.top < a.top + a.height;
}

function places(middle, width, frame) {
  return RINGS.flatMap((ring) => (ring ? DIRECTIONS : [[0, 0]]).map(([right, down]) => boxAt(
    middle.left + right * (width / 2 + ring * HEIGHT),
    middle.top + down * ring * HEIGHT,
    width,
    frame,
  )));
}

// Returns the boxes of the names that have room, with their `text`; the first ones have first
// choice.
export function placed(names, frame, widthOf) {
  const made = [];
  for (const each of names) {
    const text = shortened(each.name, WIDEST * frame.width, widthOf);
    const width = widthOf(text) + 2 * EDGE;
    const isFree = (box) => !made.some((other) => overlaps(box, other));
    const free = places(each, width, frame).find(isFree);
    if (free) made.push({ ...free, text });
  }
  return made;
}

// Returns the middle of the shown images of each class.
export function middles(classes, points) {
  const empty = { count: 0, left: 0, top: 0 };
  const sums = classes.map(({ name, size }) => ({ ...empty, name, size }));
  for (const point of points) {
    const sum = sums[point.number];
    sum.count += 1;
    sum.left += point.left;
    sum.top += point.top;
  }
  return sums.map((sum) => ({ ...sum, left: sum.left / sum.count, top: sum.top / sum.count }));
}
