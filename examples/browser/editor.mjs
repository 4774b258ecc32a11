// The values of one row: a field for each column.

import { fieldOf } from "./fields.mjs";

export class Editor {
  /** Fill a list with a field for each column; `changed` is called when a person has changed one. */
  constructor(list, bundle, changed) {
    this.fields = bundle.columns.map((column, j) => fieldOf(column, j, changed));
    list.replaceChildren(...this.fields.map((field) => field.item));
  }

  /** Show a row's values, as the graph takes them. */
  set(values) {
    this.fields.forEach((field, j) => field.set(values[j]));
  }

  /** The row, a value a column, or null while a field holds no usable value. */
  row() {
    const values = this.fields.map((field) => field.value());
    return values.includes(null) ? null : values;
  }

  /** The names of the columns whose value training has never seen. */
  outside() {
    return this.fields.filter((field) => field.outside()).map((field) => field.column.name);
  }

  /** Hide the columns whose name lacks a text. */
  find(text) {
    const wanted = text.trim().toLowerCase();
    for (const { column, item } of this.fields) item.hidden = !column.name.toLowerCase().includes(wanted);
  }

  /** Bring a column's field to the person. */
  focus(name) {
    const field = this.fields.find(({ column }) => column.name === name);
    if (!field) return;
    field.item.hidden = false;
    field.control.focus({ preventScroll: true });
    field.item.scrollIntoView({ block: "center", behavior: "smooth" });
  }
}
