// The prediction, the classes' probabilities, and which class is explained.

import { predicted } from "../shared/model.mjs";
import { element, percent } from "./format.mjs";

const SHOWN_CLASSES = 8;

export class Outcome {
  /** `chosen` is called when a person has chosen another class to explain. */
  constructor(page, classes, chosen) {
    this.page = page;
    this.classes = classes;
    this.all = false;
    this.rows = classes.map((name, k) => classRow(name, k));
    page.classList.replaceChildren(...this.rows.map(({ label }) => label));
    for (const { radio } of this.rows) {
      radio.addEventListener("change", () => {
        page.follow.checked = false;
        chosen();
      });
    }
    page.follow.addEventListener("change", chosen);
    page.moreClasses.addEventListener("click", () => {
      this.all = !this.all;
      this.arrange();
    });
  }

  /** The class to explain; below 0, the predicted one. */
  target() {
    return this.page.follow.checked ? -1 : this.rows.findIndex(({ radio }) => radio.checked);
  }

  show(scores, probabilities, explained) {
    const first = predicted(scores);
    const { prediction, certainty, classList, glance } = this.page;
    const name = first < 0 ? "no prediction: the model's outputs are not finite" : this.classes[first];
    if (prediction.value !== name) prediction.value = name;
    certainty.textContent = first < 0 ? "" : percent(probabilities[first]);
    [glance.firstElementChild.textContent, glance.lastElementChild.textContent] = [
      prediction.value,
      certainty.textContent,
    ];
    this.rows.forEach(({ label, radio, bar, share }, k) => {
      radio.checked = k === explained;
      bar.style.setProperty("--share", probabilities[k]);
      share.textContent = percent(probabilities[k]);
      label.classList.toggle("predicted", k === first);
    });
    this.shown = { probabilities, explained };
    if (this.classes.length > SHOWN_CLASSES) this.arrange();
  }

  /** Few classes keep their places; of many, the likeliest come first, and they and the explained one are shown. */
  arrange() {
    const { probabilities, explained } = this.shown;
    const { classList, moreClasses } = this.page;
    const order = Array.from(this.rows.keys()).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
    order.forEach((k, place) => {
      const { label } = this.rows[k];
      label.hidden = !this.all && place >= SHOWN_CLASSES && k !== explained;
      if (classList.children[place] !== label) classList.insertBefore(label, classList.children[place]);
    });
    moreClasses.hidden = false;
    moreClasses.textContent = this.all ? "Show the likeliest alone" : `Show all ${this.classes.length} classes`;
    moreClasses.setAttribute("aria-expanded", this.all);
  }
}

function classRow(name, k) {
  const radio = element("input", { type: "radio", name: "class", value: String(k) });
  const bar = element("span", { className: "share-bar" });
  const share = element("span", { className: "number" });
  const text = element("span", { className: "class-name" }, name);
  const label = element("label", { className: "class" }, radio, text, bar, share);
  return { label, radio, bar, share };
}
