// The attributions as signed bars, strongest first, and the check that they add up.

import { completenessError, sizeOfSum, strongest } from "../shared/model.mjs";
import { element, shown, signed } from "./format.mjs";

const SHOWN_REASONS = 12;

export class Reasons {
  /** `picked` is called with the name of a column that a person wants to change. */
  constructor(page, bundle, picked) {
    this.page = page;
    this.bundle = bundle;
    this.all = false;
    this.bars = bundle.players.map((name) => barRow(name, () => picked(name)));
    this.places = bundle.players.map((name) => bundle.columns.findIndex((column) => column.name === name));
    page.more.addEventListener("click", () => {
      this.all = !this.all;
      this.arrange();
    });
  }

  /** Show the reasons for one row's score of a target. */
  show(target, row, { attribution, score, base }) {
    this.attribution = attribution;
    this.target = target;
    this.page.reasonsHeading.textContent = `Reasons for ${this.bundle.titleOf(target)}`;
    const largest = Math.max(...attribution.map(Math.abs)) || 1;
    this.bars.forEach(({ item, button, bar, amount, detail }, j) => {
      const value = attribution[j];
      item.dataset.value = value;
      item.classList.toggle("negative", value < 0);
      bar.style.setProperty("--size", Math.abs(value) / largest);
      amount.textContent = signed(value);
      const place = this.places[j]; // -1 of a group of columns
      detail.textContent = place < 0 ? "" : shown(this.bundle.columns[place], row[place]);
      button.title = `${this.bundle.players[j]}: ${signed(value)}; change its value`;
    });
    this.arrange();
    this.showSum(attribution, score, base);
  }

  arrange() {
    const { chart, more } = this.page;
    const order = strongest(this.attribution);
    const shown = this.all ? order : order.slice(0, SHOWN_REASONS);
    const items = shown.map((j) => this.bars[j].item);
    items.forEach((item, place) => {
      if (chart.children[place] !== item) chart.insertBefore(item, chart.children[place] ?? null);
    });
    while (chart.children.length > items.length) chart.lastChild.remove();
    const rest = order.slice(SHOWN_REASONS);
    more.hidden = rest.length === 0;
    const sum = rest.reduce((total, j) => total + this.attribution[j], 0);
    more.textContent = this.all ? "Show the strongest alone" : `Show ${rest.length} more, together ${signed(sum)}`;
    more.setAttribute("aria-expanded", this.all);
  }

  showSum(attribution, score, base) {
    const sum = attribution.reduce((total, value) => total + value, 0);
    const error = completenessError(attribution, score, base);
    const allowed = this.bundle.sidecar.tolerances.completeness * sizeOfSum(score, base);
    const { base: baseCell, total, score: scoreCell, check } = this.page;
    [baseCell.textContent, total.textContent, scoreCell.textContent] = [base, sum, score].map(signed);
    const verdict = error <= allowed ? "Adds up" : "Does not add up";
    const unit = this.bundle.unitOf(this.target);
    check.textContent = `${verdict}: off by ${error.toExponential(1)} of the ${allowed.toExponential(0)} ${unit} allowed`;
    check.classList.toggle("failed", !(error <= allowed));
    check.dataset.error = error;
  }
}

function barRow(name, picked) {
  const [bar, amount, detail] = ["bar", "number", "muted detail"].map((className) => element("span", { className }));
  const title = element("span", { className: "reason-name" }, name, " ", detail);
  const lane = element("span", { className: "lane" }, bar);
  const button = element("button", { type: "button", className: "reason" }, title, lane, amount);
  button.addEventListener("click", picked);
  const item = element("li", {}, button);
  item.dataset.feature = name;
  return { item, button, bar, amount, detail };
}
