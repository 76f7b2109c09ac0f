// Words and parts that the views of stages, tiles and tables share. All text from the run is set as
// text, never as markup.
import { gapText, percent } from "./percent.js";

const SHOWN_DIGITS = 4;

export const { measures, states } = JSON.parse(document.getElementById("words").textContent);
export const STATES = Object.keys(states);
export const place = (id) => document.getElementById(id);

export function element(name, text, properties = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return Object.assign(made, properties);
}

export function short(value) {
  return value === undefined ? "" : String(Number(Number(value).toPrecision(SHOWN_DIGITS)));
}

export const grouped = (count) => count.toLocaleString("en");

export function withUnit(key, value) {
  const { unit, is_bound: isBound } = measures[key];
  if (value === undefined) return "";
  if (isBound) return gapText(value);
  return unit === "%" ? percent(value) : `${short(value)} ${unit}`.trim();
}

export function heading(key) {
  const { title, unit } = measures[key];
  return unit ? `${title}, ${unit}` : title;
}

export const isActive = (item) => item.state === "running" || item.state === "slow";
export const canOpen = (item) => item.state === "done" || item.state === "skipped";

export function address(item) {
  return `/class?${new URLSearchParams({ method: item.method, name: item.class_name })}`;
}

export function describe(item) {
  const step = isActive(item) ? `, ${item.step ?? "starting"}` : "";
  const parts = [`${item.class_name}: ${states[item.state]}${step}`];
  for (const [key, value] of Object.entries(item.measures ?? {})) {
    parts.push(`${measures[key].title} ${withUnit(key, value)}`);
  }
  if (item.message) parts.push(item.message);
  return parts.join("; ");
}
