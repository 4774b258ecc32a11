// Numbers and values as people read them, and elements in one expression.

import { dateOf, isCategory, isTime } from "../shared/columns.mjs";

/** Few significant digits; very small and very large values with an exponent. */
export function short(value, digits = 4) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return value.toExponential(2).replace("e+", "e");
  return String(Number(value.toPrecision(digits)));
}

/** With its sign, a true minus, and two decimals; more where these would say nothing. */
export function signed(value) {
  const digits = value !== 0 && Math.abs(value) < 0.005 ? value.toExponential(0) : value.toFixed(2);
  return (value < 0 ? "" : "+") + digits.replaceAll("-", "\u2212");
}

export function percent(share) {
  const text = (100 * share).toFixed(1);
  if (text === "100.0" && share < 1) return "over 99.9 %";
  return text === "0.0" && share > 0 ? "under 0.1 %" : `${text} %`;
}

/** The fewest digits that give this float32 value back. */
export function float32Text(value) {
  if (Number.isNaN(value)) return "";
  for (let digits = 1; digits < 10; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(value);
}

/** A column's value in words. */
export function shown(column, value) {
  if (isCategory(column)) return column.nameOf(value);
  if (column.isMissing(value)) return "missing";
  return isTime(column) ? dateOf(value) : withUnit(value, column.unit);
}

/** A quantity with its unit, where that is known. */
export function withUnit(value, unit) {
  return unit === null ? short(value) : `${short(value)} ${unit}`;
}

/** An element with properties, attributes (names with a dash), children. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}
