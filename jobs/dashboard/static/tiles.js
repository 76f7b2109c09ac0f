// The classes as tiles, coloured by state or by a measure.
import {
  address, canOpen, describe, element, grouped, place, states, STATES, withUnit,
} from "./words.js";

// With more classes than this, tiles have no names; with more than the other, names are short.
const NAMED_TILES = 2000;
const WIDE_TILES = 150;
// Above this share of the colour scale a tile is bright and needs dark text.
const BRIGHT_SHARE = 0.45;
const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

function colourAt(share) {
  const at = share * (RAMP.length - 1);
  const left = Math.min(RAMP.length - 2, Math.floor(at));
  const channels = RAMP[left].map((channel, number) => (
    Math.round(channel + (at - left) * (RAMP[left + 1][number] - channel))
  ));
  return `rgb(${channels.join(" ")})`;
}

function scaleOf(shown, key) {
  const known = shown.map((item) => item.measures?.[key]);
  const values = known.filter((value) => value !== undefined);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const share = (value) => (high > low ? (value - low) / (high - low) : 0.5);
  return {
    low,
    high,
    colour: (value) => colourAt(share(value)),
    isBright: (value) => share(value) > BRIGHT_SHARE,
    isEmpty: values.length === 0,
  };
}

function tile(item, isNamed, key, scale) {
  const made = element(canOpen(item) ? "a" : "span", isNamed ? item.class_name : undefined, {
    className: isNamed ? "tile named" : "tile",
    title: describe(item),
  });
  if (canOpen(item)) made.href = address(item);
  else made.setAttribute("role", "img");
  made.setAttribute("aria-label", describe(item));
  made.dataset.state = item.state;
  made.tabIndex = -1;
  if (key !== "state") colourTile(made, item.measures?.[key], scale);
  return made;
}

function colourTile(made, value, scale) {
  if (value === undefined) {
    made.classList.add("blank");
    made.style.background = "none";
    return;
  }
  made.classList.add(scale.isBright(value) ? "bright" : "dark");
  made.style.background = scale.colour(value);
}

// Shows classes in their order; `colour` is state or the name of a measure.
export function showTiles(shown, colour) {
  const isNamed = shown.length <= NAMED_TILES;
  const scale = scaleOf(shown, colour);
  const grid = place("tiles");
  const focused = [...grid.children].indexOf(document.activeElement);
  const named = shown.length <= WIDE_TILES ? "7rem" : "5.5rem";
  grid.style.setProperty("--tile", isNamed ? named : "1.5rem");
  grid.replaceChildren(...shown.map((item) => tile(item, isNamed, colour, scale)));
  if (grid.children.length) (grid.children[focused] ?? grid.children[0]).tabIndex = 0;
  if (focused >= 0) grid.children[focused]?.focus();
  showLegend(shown, colour, scale);
}

function showLegend(shown, colour, scale) {
  const items = colour === "state" ? stateLegend(shown) : scaleLegend(colour, scale);
  place("legend").replaceChildren(...items);
}

function scaleLegend(key, scale) {
  if (scale.isEmpty) return [element("span", `no ${document.body.dataset.unit} has this measure`)];
  const ramp = element("i", undefined, { className: "ramp" });
  return [element("span", withUnit(key, scale.low)), ramp, element("span", withUnit(key, scale.high))];
}

function stateLegend(shown) {
  const counted = (state) => shown.filter((item) => item.state === state).length;
  return STATES.filter(counted).map((state) => {
    const mark = element("i");
    mark.dataset.state = state;
    const item = element("span");
    item.append(mark, `${states[state]} ${grouped(counted(state))}`);
    return item;
  });
}
