// The field of one column: a number with a slider over the distribution of its training values, a date, or a menu.

import { dateOf, isCategory, isTime } from "../shared/columns.mjs";
import { curve } from "./curve.mjs";
import { element, float32Text, percent, short } from "./format.mjs";

const TAIL = 0.15;
const DAY = 86_400_000;

/** The field of a column; `changed` is called when a person has changed its value. */
export function fieldOf(column, j, changed) {
  if (isCategory(column)) return new MenuField(column, j, changed);
  return isTime(column) ? new DateField(column, j, changed) : new NumberField(column, j, changed);
}

class Field {
  /** A field whose value a person changes by `control`. */
  constructor(column, j, control, ...beside) {
    this.column = column;
    this.control = control;
    [control.id, this.hint] = [`value-${j}`, element("p", { className: "hint", id: `hint-${j}` })];
    control.setAttribute("aria-describedby", this.hint.id);
    const label = element("label", { htmlFor: control.id }, column.name);
    this.item = element("li", {}, label, control, ...beside, this.hint);
  }

  /** Say what a person should know of the value: `text`, and whether it is unusual. */
  tell(text) {
    const isUsable = this.value() !== null;
    this.hint.textContent = text;
    this.hint.classList.toggle("unusual", !isUsable || this.outside());
    this.control.setAttribute("aria-invalid", !isUsable);
  }
}

class MenuField extends Field {
  constructor(column, j, changed) {
    const values = [...column.values, column.other, ...(column.takesMissing ? [column.none] : [])];
    super(column, j, element("select", {}, ...values.map((value) => element("option", {}, column.nameOf(value)))));
    this.values = values;
    this.control.addEventListener("input", () => {
      this.show();
      changed();
    });
  }

  set(value) {
    const place = this.values.findIndex((known) => Object.is(known, value));
    this.control.selectedIndex = place < 0 ? this.values.indexOf(this.column.other) : place;
    this.show();
  }

  value() {
    return this.values[this.control.selectedIndex] ?? null;
  }

  outside() {
    return this.value() === this.column.other;
  }

  show() {
    const { counts, other, missing } = this.column.categories;
    const all = counts.reduce((sum, count) => sum + count, other + missing);
    const count = [...counts, other, missing][this.control.selectedIndex];
    this.tell(count > 0 ? `${percent(count / all)} of the training rows` : "in no training row");
  }
}

/** A field of numbers: NaN is a missing one. */
class NumericField extends Field {
  /** A finite float32, NaN for a missing value where the model takes one, null for anything else. */
  value() {
    const value = Math.fround(this.exact);
    if (Number.isFinite(value)) return value;
    return this.control.value === "" && !this.control.validity.badInput && this.column.takesMissing ? NaN : null;
  }

  outside() {
    const [value, { minimum, maximum }] = [this.value(), this.column.numbers];
    return value !== null && (value < Math.fround(minimum) || value > Math.fround(maximum));
  }

  show() {
    const { minimum, maximum, bin_edges: edges, bin_fractions: fractions } = this.column.numbers;
    const [value, { imputation }] = [this.value(), this.column];
    let text = "";
    if (value === null) text = `needs a ${this.noun}`;
    else if (Number.isNaN(value)) text = imputation === null ? "missing" : `missing: ${this.text(imputation)} replaces it`;
    else if (this.outside()) text = `outside of the training range, ${this.text(minimum)} to ${this.text(maximum)}`;
    else if (value < Math.fround(edges[0]) && fractions[0] <= TAIL) text = `among the lowest ${tail(fractions[0])}`;
    else if (value >= Math.fround(edges.at(-1)) && fractions.at(-1) <= TAIL) text = `among the highest ${tail(fractions.at(-1))}`;
    this.tell(text);
  }
}

class DateField extends NumericField {
  noun = "date";
  text = dateOf;

  constructor(column, j, changed) {
    super(column, j, element("input", { type: "date" }));
    this.control.addEventListener("input", () => {
      this.exact = this.control.valueAsNumber / DAY;
      this.show();
      changed();
    });
  }

  set(value) {
    this.exact = value; // with its fraction of a day, which the field does not show
    this.control.value = Number.isNaN(value) ? "" : dateOf(value);
    this.show();
  }
}

class NumberField extends NumericField {
  noun = "number";
  text = short;

  constructor(column, j, changed) {
    const { minimum, maximum, median } = column.numbers;
    const slider = element("input", { type: "range", min: minimum, max: maximum, step: "any" });
    slider.setAttribute("aria-label", `${column.name}, slider`);
    const marks = [short(minimum, 3), `median ${short(median, 3)}`, short(maximum, 3)];
    const spans = marks.map((text) => element("span", {}, text));
    const scale = element("div", { className: "scale", "aria-hidden": "true" }, ...spans);
    const track = element("div", { className: "track" }, curve(column.numbers), slider, scale);
    track.style.setProperty("--median", maximum > minimum ? (median - minimum) / (maximum - minimum) : 0.5);
    super(column, j, element("input", { type: "number", step: stepOf(column.numbers) }), track);
    this.slider = slider;
    this.slider.disabled = !(maximum > minimum);
    this.control.addEventListener("input", () => this.moved(changed));
    this.slider.addEventListener("input", () => {
      const rounded = Number(Number(this.slider.value).toPrecision(4));
      this.control.value = Math.min(Math.max(rounded, minimum), maximum);
      this.moved(changed);
    });
  }

  set(value) {
    this.control.value = float32Text(value);
    this.moved(() => {});
  }

  moved(changed) {
    this.exact = this.control.valueAsNumber;
    this.slider.value = Number.isNaN(this.exact) ? this.column.numbers.median : this.exact;
    this.show();
    changed();
  }
}

/** What the arrow keys change: a power of ten, at most a fifth of the spread. */
function stepOf({ standard_deviation: spread }) {
  return spread > 0 ? `1e${Math.floor(Math.log10(spread / 5))}` : "any";
}

function tail(fraction) {
  return `${Math.round(100 * fraction)} % of the training values`;
}
