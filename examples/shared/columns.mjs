// The columns of a model's table: what a person writes, as the value that the graph takes, and the other way round.

const DAY = 86_400_000;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const MISSING = /^(|#?n\/?a|-?nan|null|none|<na>)$/i;
const TIME =
  /^(\d{4})(-?)(\d\d)\2(\d\d)([T ](\d\d)((:?)(\d\d)(\8(\d\d([.,]\d+)?))?)?( ?(Z|[+-]\d\d(:?[0-5]\d)?))?)?$/;

/** What is wrong with one value, in words. */
export class ValueError extends Error {}

class Column {
  constructor({ name, unit, missing, imputation, numbers, categories }) {
    Object.assign(this, { name, unit, missing, imputation, numbers, categories });
  }

  /** Whether a row without a value in this column can be scored. */
  get takesMissing() {
    return this.missing !== "refuse";
  }

  /** The value that stands for none; throws a ValueError where the model has no way with it. */
  absent(value, unseen = false) {
    if (!this.takesMissing) throw new ValueError("missing value, and the bundle does not impute");
    return { value, unseen };
  }
}

/** Numbers: float32, NaN where one is missing. */
class NumberColumn extends Column {
  get typical() {
    return Math.fround(this.numbers.median);
  }

  /** The value of a cell of a CSV file, and whether training has not seen its like. */
  read(cell) {
    const text = cell.trim();
    if (MISSING.test(text)) return this.absent(NaN);
    if (!NUMBER.test(text)) throw new ValueError(`expected a number, got '${cell}'`);
    const value = Math.fround(Number(text));
    if (!Number.isFinite(value)) throw new ValueError(`${text} is beyond float32`);
    return { value, unseen: false };
  }

  isMissing(value) {
    return Number.isNaN(value);
  }
}

/** Dates and times: days since 1970-01-01 as float32, NaN where one is missing. */
class TimeColumn extends NumberColumn {
  read(cell) {
    const text = cell.trim();
    if (MISSING.test(text)) return this.absent(NaN);
    const days = daysOf(text);
    return days === null ? this.absent(NaN, true) : { value: Math.fround(days), unseen: false };
  }
}

/** Categories: a text, or a number; the empty text or NaN where one is missing. The graph itself knows the others. */
class CategoryColumn extends Column {
  constructor(column) {
    super(column);
    const { type, values, counts } = this.categories;
    this.isText = type === "text";
    this.values = values.map((text) => this.valueOf(text));
    this.known = new Set(this.values);
    this.numbers = new Map(this.isText ? [] : values.flatMap((text, i) => written(text, this.values[i])));
    this.none = this.isText ? "" : NaN;
    this.typical = this.values[counts.indexOf(Math.max(...counts))] ?? this.other;
  }

  /** A value that is none of the categories. */
  get other() {
    let number = 0;
    while (this.known.has(this.isText ? `other ${number}` : number)) number += 1;
    return this.isText ? `other ${number}` : number;
  }

  /** What the graph takes for a category as the bundle writes it. */
  valueOf(text) {
    if (this.isText) return text;
    return this.categories.type === "boolean" ? Number(text === "true") : Math.fround(Number(text));
  }

  read(cell) {
    const text = cell.trim();
    if (this.isText ? cell === "" : MISSING.test(text)) return this.absent(this.none);
    if (this.isText) return { value: cell, unseen: !this.known.has(cell) };
    let number = NUMBER.test(text) ? Number(text) : NaN;
    if (this.categories.type === "boolean" && /^(true|false)$/i.test(text)) number = Number(text.toLowerCase() === "true");
    const rounded = Math.fround(number);
    const value = this.numbers.get(number) ?? (Number.isInteger(rounded) ? undefined : this.numbers.get(rounded));
    return value === undefined ? { value: this.other, unseen: true } : { value, unseen: false };
  }

  isMissing(value) {
    return value === "" || Number.isNaN(value);
  }

  /** A category's name, for a person. */
  nameOf(value) {
    if (this.isMissing(value)) return "missing";
    return this.known.has(value) ? this.categories.values[this.values.indexOf(value)] : "another value";
  }
}

/** The numbers that are a category, each with what the graph takes: itself, and rounded where it is a fraction. */
function written(text, value) {
  const own = text === "true" || text === "false" ? value : Number(text);
  return (Number.isInteger(own) ? [own] : [own, value]).map((number) => [number, value]);
}

const CLASSES = { number: NumberColumn, time: TimeColumn, category: CategoryColumn };

/** A column of the sidecar with what it can do. */
export function columnOf(column) {
  return new CLASSES[column.kind](column);
}

export function isTime(column) {
  return column instanceof TimeColumn;
}

export function isCategory(column) {
  return column instanceof CategoryColumn;
}

/** The days since 1970-01-01 of a date or time in ISO 8601, without a zone as it is; null for any other text. */
export function daysOf(text) {
  const found = TIME.exec(text);
  if (!found) return null;
  const [year, month, day, hour, minute] = [1, 3, 4, 6, 9].map((i) => Number(found[i] ?? 0));
  const second = Number((found[11] ?? "0").replace(",", "."));
  const midnight = new Date(0);
  midnight.setUTCFullYear(year, month - 1, day); // Date.UTC takes the year 24 for 1924
  if (year < 1 || midnight.getUTCMonth() !== month - 1 || midnight.getUTCDate() !== day) return null;
  if (hour > 23 || minute > 59 || second >= 60) return null;
  const [, sign, hours, minutes = 0] = /^([+-])(\d\d):?(\d\d)?$/.exec(found[14] ?? "") ?? [null, "+", 0, 0];
  if (hours > 23) return null;
  const ahead = (sign === "-" ? -1 : 1) * (60 * Number(hours) + Number(minutes));
  return (midnight.getTime() + ((60 * hour + minute - ahead) * 60 + second) * 1000) / DAY;
}

/** The date of days since 1970-01-01, as 2024-01-31. */
export function dateOf(days) {
  return new Date(Math.floor(days) * DAY).toISOString().slice(0, 10);
}
