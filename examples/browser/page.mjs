// The page: a bundle is loaded and opened, and what a person changes flows to the model and back.

import { readVectors, replay, rowsOf } from "../shared/conformance.mjs";
import { EXPLAINING, Model } from "../shared/model.mjs";
import { Editor } from "./editor.mjs";
import { computed, conformance, fail, ort } from "./engine.mjs";
import { element, withUnit } from "./format.mjs";
import { Outcome } from "./outcome.mjs";
import { firstReason } from "./load.mjs";
import { keepOffline } from "./offline.mjs";
import { askedFor, readBundle } from "./place.mjs";
import { Reasons } from "./reasons.mjs";
import { Scheduler } from "./scheduler.mjs";
import { offerVariants } from "./variants.mjs";

const byId = (id) => document.getElementById(id);
const page = {
  ...{ prediction: byId("prediction"), certainty: byId("certainty"), glance: byId("glance") },
  ...{ targets: byId("targets"), legend: byId("targets-legend"), targetList: byId("target-list") },
  ...{ moreTargets: byId("more-targets"), follow: byId("follow") },
  ...{ reasonsHeading: byId("reasons-heading"), base: byId("base"), total: byId("total"), score: byId("score") },
  ...{ check: byId("check"), chart: byId("chart"), more: byId("more") },
};

async function main() {
  byId("open").elements.bundle.value = askedFor();
  const bundle = await readBundle("table");
  if (bundle === null) return;
  introduce(bundle);
  const model = await Model.open(ort, bundle, EXPLAINING); // predicts and explains: no other graph is needed for a reason
  offerVariants(bundle, [EXPLAINING], EXPLAINING);
  const starts = [typicalRow(bundle)];
  showStarts(starts);

  const editor = new Editor(byId("editor"), bundle, () => scheduler.soon());
  const outcome = new Outcome(page, bundle, () => scheduler.soon());
  const reasons = new Reasons(page, bundle, (name) => editor.focus(name));
  const scheduler = new Scheduler(async () => {
    const row = editor.row();
    notice(editor, row);
    if (row === null) return;
    const outputs = await model.run([row], outcome.target());
    const only = (name) => Number(outputs[name].data[0]);
    const [explained, score, base] = [only("explained_target"), only("score"), only("base_value")];
    const { output, probabilities } = bundle.sidecar.score;
    outcome.show(outputs[output].data, outputs[probabilities]?.data ?? null, explained);
    reasons.show(explained, row, { attribution: outputs.attribution.data, score, base });
  }, computed, fail);
  const start = () => {
    editor.set(starts[byId("start").selectedIndex].row);
    scheduler.soon();
  };
  byId("start").addEventListener("change", start);
  byId("reset").addEventListener("click", start);
  byId("find").addEventListener("input", ({ target }) => editor.find(target.value));
  editor.set(starts[0].row);
  await scheduler.run();
  byId("main").hidden = false;
  await firstReason(bundle);

  starts.push(...vectorRows(bundle, await readVectors(bundle)));
  showStarts(starts);
  await conform(bundle, model);
  await keepOffline(bundle);
}

/** What is typical of the training rows. */
function typicalRow(bundle) {
  const isNumeric = bundle.columns.every(({ numbers }) => numbers);
  const text = isNumeric ? "the training medians" : "the training medians and commonest categories";
  return { text, row: bundle.columns.map((column) => column.typical) };
}

/** The rows of the test vectors. */
function vectorRows(bundle, vectors) {
  const [scores, count] = [vectors.tensors[bundle.sidecar.score.output], bundle.targets.length];
  return rowsOf(vectors, bundle).map((row, i) => {
    const own = scores.slice(i * count, (i + 1) * count);
    const name = bundle.hasClasses ? bundle.targets[bundle.predicted(own)] : withUnit(own[0], bundle.sidecar.score.targets[0].unit);
    return { text: `test vector ${i + 1}, ${name}`, row };
  });
}

/** Offer rows to start from. */
function showStarts(starts) {
  byId("start").replaceChildren(...starts.map(({ text }) => element("option", {}, text)));
  byId("starts").hidden = false;
}

function introduce(bundle) {
  const { name, provenance } = bundle.sidecar;
  document.title = `${name}: predictions and reasons`;
  byId("name").textContent = name.replaceAll("_", " ");
  const { columns, targets, hasClasses } = bundle;
  const predicted = hasClasses ? `${targets.length} classes` : targets.map((_, k) => bundle.titleOf(k));
  byId("about").textContent = `${columns.length} columns, ${[predicted].flat().join("; ")}; ${provenance.source}`;
  if (!hasClasses) [byId("against").textContent, byId("for").textContent] = ["lowers it", "raises it"];
}

/** Tell about values that the model cannot be trusted with, or cannot take. */
function notice(editor, row) {
  const outside = editor.outside();
  const text = row === null ? "Not up to date: a value is missing or unusable" : outside.length === 0 ? "" : far(outside);
  byId("notice").textContent = text;
  byId("notice").hidden = text === "";
}

function far(names) {
  const [more, verb] = [names.length > 3 ? ` and ${names.length - 3} more` : "", names.length === 1 ? "is" : "are"];
  return `${names.slice(0, 3).join(", ")}${more} ${verb} outside of what the model was trained on`;
}

/** Replay the test vectors in this browser, and say how it went. */
async function conform(bundle, model) {
  const compared = await replay(ort, bundle, [model]);
  const failed = compared.filter(({ deviation, tolerance }) => !(deviation <= tolerance));
  const worst = (...names) => {
    const deviations = compared.filter(({ output }) => names.includes(output)).map(({ deviation }) => deviation);
    return Math.max(...deviations).toExponential(1);
  };
  const { output, probabilities } = bundle.sidecar.score;
  const outputs = [output, probabilities];
  conformance(
    failed.map(({ graph, output }) => `${output} of ${graph}`),
    `outputs within ${worst(...outputs)}, attributions within ${worst("attribution")}`,
  );
}

main().catch(fail);
