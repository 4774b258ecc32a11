// The prediction, the classes' probabilities or the quantities, and which of them is explained.

import { element, percent, withUnit } from "./format.mjs";

const SHOWN = 8;

export class Outcome {
  /** `chosen` is called when a person has chosen another target to explain. */
  constructor(page, bundle, chosen) {
    this.page = page;
    this.bundle = bundle;
    this.all = false;
    this.rows = bundle.targets.map((name, k) => targetRow(name, k, bundle.hasClasses));
    page.targetList.replaceChildren(...this.rows.map(({ label }) => label));
    for (const { radio } of this.rows) {
      radio.addEventListener("change", () => {
        page.follow.checked = false;
        chosen();
      });
    }
    page.follow.addEventListener("change", chosen);
    page.moreTargets.addEventListener("click", () => {
      this.all = !this.all;
      this.arrange();
    });
    if (!bundle.hasClasses) this.withoutClasses();
  }

  /** Quantities have no probabilities, and none of them is predicted before another. */
  withoutClasses() {
    const { follow, targets, legend } = this.page;
    targets.hidden = this.rows.length === 1;
    follow.checked = false;
    follow.parentElement.hidden = true;
    legend.textContent = "Predicted quantities; choose one to see its reasons";
    this.rows[0].radio.checked = true;
  }

  /** The target to explain; below 0, the predicted class. */
  target() {
    return this.page.follow.checked ? -1 : this.rows.findIndex(({ radio }) => radio.checked);
  }

  /** Show the scores of one row, and its probabilities; null of quantities. */
  show(scores, probabilities, explained) {
    const first = this.bundle.predicted(scores);
    const [name, sure] = this.said(first, scores, probabilities, explained);
    const { prediction, certainty, glance } = this.page;
    if (prediction.value !== name) prediction.value = name;
    certainty.textContent = sure;
    [glance.firstElementChild.textContent, glance.lastElementChild.textContent] = [name, sure];
    this.rows.forEach(({ label, radio, bar, amount }, k) => {
      radio.checked = k === explained;
      bar?.style.setProperty("--share", probabilities[k]);
      amount.textContent = this.bundle.hasClasses ? percent(probabilities[k]) : this.quantity(scores, k);
      label.classList.toggle("predicted", this.bundle.hasClasses && k === first);
    });
    this.shown = { sizes: probabilities ?? [], explained };
    if (this.rows.length > SHOWN) this.arrange();
  }

  /** The prediction in words, and what belongs to it. */
  said(first, scores, probabilities, explained) {
    const { hasClasses, targets } = this.bundle;
    if (first < 0) return ["no prediction: the model's outputs are not finite", ""];
    if (hasClasses) return [targets[first], percent(probabilities[first])];
    return [this.quantity(scores, explained), targets[explained]];
  }

  quantity(scores, k) {
    return withUnit(scores[k], this.bundle.sidecar.score.targets[k].unit);
  }

  /** Few targets keep their places; of many classes, the likeliest come first, and they and the explained one are shown. */
  arrange() {
    const { sizes, explained } = this.shown;
    const { targetList, moreTargets } = this.page;
    const order = Array.from(this.rows.keys()).sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0) || a - b);
    order.forEach((k, place) => {
      const { label } = this.rows[k];
      label.hidden = !this.all && place >= SHOWN && k !== explained;
      if (targetList.children[place] !== label) targetList.insertBefore(label, targetList.children[place]);
    });
    moreTargets.hidden = false;
    const fewer = this.bundle.hasClasses ? "Show the likeliest alone" : "Show the first alone";
    const kind = this.bundle.hasClasses ? "classes" : "quantities";
    moreTargets.textContent = this.all ? fewer : `Show all ${this.rows.length} ${kind}`;
    moreTargets.setAttribute("aria-expanded", this.all);
  }
}

function targetRow(name, k, hasShare) {
  const radio = element("input", { type: "radio", name: "target", value: String(k) });
  const bar = hasShare ? element("span", { className: "share-bar" }) : null;
  const amount = element("span", { className: "number" });
  const text = element("span", { className: "target-name" }, name);
  const label = element("label", { className: "target" }, radio, text, ...(bar ? [bar] : []), amount);
  return { label, radio, bar, amount };
}
