// The values of one row: a number and a slider for each feature, over the distribution of its training values.

import { element, float32Text, short } from "./format.mjs";

const SVG = "http://www.w3.org/2000/svg";
const TAIL = 0.15;
const [CURVE_WIDTH, CURVE_HEIGHT] = [100, 24];

export class Editor {
  /** Fill a list with a field for each feature; `changed` is called when a person has changed one. */
  constructor(list, bundle, changed) {
    this.fields = bundle.features.map((feature, j) => new Field(feature, j, bundle.imputation?.[j] ?? null, changed));
    list.replaceChildren(...this.fields.map((field) => field.item));
  }

  /** Show a row's values; NaN is a missing one. */
  set(values) {
    this.fields.forEach((field, j) => field.set(float32Text(values[j])));
  }

  /** The row [F], or null while a field holds no usable number. */
  row() {
    const values = this.fields.map((field) => field.value());
    return values.includes(null) ? null : Float32Array.from(values);
  }

  /** The names of the features whose value training has never seen. */
  outside() {
    return this.fields.filter((field) => field.outside()).map((field) => field.feature.name);
  }

  /** Hide the features whose name lacks a text. */
  find(text) {
    const wanted = text.trim().toLowerCase();
    for (const { feature, item } of this.fields) item.hidden = !feature.name.toLowerCase().includes(wanted);
  }

  /** Bring a feature's field to the person. */
  focus(j) {
    this.fields[j].item.hidden = false;
    this.fields[j].number.focus({ preventScroll: true });
    this.fields[j].item.scrollIntoView({ block: "center", behavior: "smooth" });
  }
}

class Field {
  constructor(feature, j, imputation, changed) {
    this.feature = feature;
    this.imputation = imputation;
    const { name, minimum, maximum, median } = feature;
    const [id, hint] = [`value-${j}`, `hint-${j}`];
    this.number = element("input", { type: "number", step: stepOf(feature), id, "aria-describedby": hint });
    const range = { type: "range", min: minimum, max: maximum, step: "any" };
    this.slider = element("input", { ...range, "aria-label": `${name}, slider` });
    this.hint = element("p", { className: "hint", id: hint });
    this.number.addEventListener("input", () => this.moved(this.number.valueAsNumber, changed));
    this.slider.addEventListener("input", () => {
      const rounded = Number(Number(this.slider.value).toPrecision(4));
      this.number.value = Math.min(Math.max(rounded, minimum), maximum);
      this.moved(this.number.valueAsNumber, changed);
    });
    const label = element("label", { htmlFor: id }, name);
    const marks = [short(minimum, 3), `median ${short(median, 3)}`, short(maximum, 3)];
    const spans = marks.map((text) => element("span", {}, text));
    const scale = element("div", { className: "scale", "aria-hidden": "true" }, ...spans);
    const track = element("div", { className: "track" }, curve(feature), this.slider, scale);
    track.style.setProperty("--median", maximum > minimum ? (median - minimum) / (maximum - minimum) : 0.5);
    this.item = element("li", {}, label, this.number, track, this.hint);
    if (!(maximum > minimum)) this.slider.disabled = true;
  }

  set(text) {
    this.number.value = text;
    this.moved(this.number.valueAsNumber, () => {});
  }

  moved(value, changed) {
    this.slider.value = Number.isNaN(value) ? this.feature.median : value;
    this.show();
    changed();
  }

  /** A finite float32, NaN for a missing value where the bundle imputes, null for anything else. */
  value() {
    const value = Math.fround(this.number.valueAsNumber);
    if (Number.isFinite(value)) return value;
    return this.number.value === "" && !this.number.validity.badInput && this.imputation !== null ? NaN : null;
  }

  outside() {
    const value = this.value();
    return value !== null && (value < Math.fround(this.feature.minimum) || value > Math.fround(this.feature.maximum));
  }

  show() {
    const { minimum, maximum, bin_edges: edges, bin_fractions: fractions } = this.feature;
    const value = this.value();
    let text = "";
    if (value === null) text = "needs a number";
    else if (Number.isNaN(value)) text = `missing: ${short(this.imputation)} replaces it`;
    else if (this.outside()) text = `outside of the training range, ${short(minimum)} to ${short(maximum)}`;
    else if (value < Math.fround(edges[0]) && fractions[0] <= TAIL) text = `among the lowest ${tail(fractions[0])}`;
    else if (value >= Math.fround(edges.at(-1)) && fractions.at(-1) <= TAIL) text = `among the highest ${tail(fractions.at(-1))}`;
    this.hint.textContent = text;
    this.hint.classList.toggle("unusual", value === null || this.outside());
    this.number.setAttribute("aria-invalid", value === null);
  }
}

/** What the arrow keys change: a power of ten, at most a fifth of the spread. */
function stepOf({ standard_deviation: spread }) {
  return spread > 0 ? `1e${Math.floor(Math.log10(spread / 5))}` : "any";
}

function tail(fraction) {
  return `${Math.round(100 * fraction)} % of the training values`;
}

/** The density of the training values in their bins, as a step curve. */
function curve({ minimum, maximum, bin_edges: edges, bin_fractions: fractions }) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${CURVE_WIDTH} ${CURVE_HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const bounds = [minimum, ...edges, maximum];
  const bins = fractions.map((fraction, i) => ({ from: bounds[i], to: bounds[i + 1], fraction }));
  const wide = bins.filter(({ from, to }) => to > from);
  // A bin of one value is nearly without width: as one of ten, it does not flatten the others.
  const density = ({ from, to, fraction }) => fraction / Math.max(to - from, (maximum - minimum) / 10);
  const highest = Math.max(...wide.map(density));
  const x = (value) => ((CURVE_WIDTH * (value - minimum)) / (maximum - minimum)).toFixed(2);
  const y = (bin) => (CURVE_HEIGHT * (1 - density(bin) / highest)).toFixed(2);
  const steps = wide.map((bin) => `L${x(bin.from)} ${y(bin)}L${x(bin.to)} ${y(bin)}`).join("");
  const path = document.createElementNS(SVG, "path");
  if (wide.length > 0) path.setAttribute("d", `M0 ${CURVE_HEIGHT}${steps}L${CURVE_WIDTH} ${CURVE_HEIGHT}Z`);
  svg.append(path);
  return svg;
}
