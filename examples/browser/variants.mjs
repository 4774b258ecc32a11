// The sizes in which a bundle can be had: full size, and its smaller variants.

import { element } from "./format.mjs";

const byId = (id) => document.getElementById(id);

/**
 * Offer the variants of a bundle; choosing one opens the page anew. Without variants nothing is offered.
 * @param {Bundle} bundle in the variant that is shown
 * @param {string[]} files the graphs that the first reason needs, by their names in full size
 * @param {string} reasons the one of them that explains
 */
export function offerVariants(bundle, files, reasons) {
  if (bundle.variants.length === 0) return;
  const full = Object.fromEntries(files.map((file) => [file, fullBytes(bundle, file)]));
  const options = [null, ...bundle.variants].map((name) => {
    const view = bundle.inVariant(name);
    const bytes = files.reduce((sum, file) => sum + (ownFigures(view, file)?.bytes ?? full[file]), 0);
    const size = Number.isFinite(bytes) ? `, ${Math.ceil(bytes / 1000).toLocaleString("en")} kB` : "";
    const text = `${name ?? "full size"}${size}${name === null ? "" : `, ${driftOf(view, reasons)}`}`;
    return element("option", { value: name ?? "", selected: name === bundle.variant }, text);
  });
  byId("variant").replaceChildren(...options);
  byId("variant").addEventListener("change", ({ target }) => {
    const url = new URL(location.href);
    if (target.value) url.searchParams.set("variant", target.value);
    else url.searchParams.delete("variant");
    location.assign(url);
  });
  byId("variants").hidden = false;
}

/** The figures of a variant's own graph; undefined where it is the one in full size. */
function ownFigures(view, file) {
  const graph = view.graph(file);
  return graph.file === file ? undefined : graph.figures;
}

/** The size of a graph in full size, which a variant's figures name; NaN where none does. */
function fullBytes(bundle, file) {
  const figures = bundle.variants.map((name) => ownFigures(bundle.inVariant(name), file));
  return figures.find((each) => each !== undefined)?.full_bytes ?? NaN;
}

function driftOf(view, file) {
  const figures = ownFigures(view, file);
  if (figures === undefined) return "reasons in full size";
  return Number.isFinite(figures.drift) ? `reasons drift by ${Number((100 * figures.drift).toPrecision(2))} %` : "reasons";
}
