// Predictions and reasons of batches, as lines for people or as CSV for programs.

import { completenessError, sizeOfSum, strongest } from "../shared/model.mjs";

const DIGITS = 4;

/** Batches of rows become rows with the model's outputs; `target` is the one to explain, below 0 the predicted one. */
export function score(model, target) {
  const { bundle } = model;
  return async function* (batches) {
    for await (const { first, rows, unseen } of batches) {
      const outputs = await model.run(rows, target);
      for (let i = 0; i < rows.length; i++) {
        yield { number: first + i, unseen: unseen[i], ...predictionOf(bundle, outputs, i), ...reasonsOf(bundle, outputs, i) };
      }
    }
  };
}

const slice = ({ data, dims }, i) => data.subarray(i * dims[1], (i + 1) * dims[1]);

function predictionOf(bundle, outputs, i) {
  const { output, probabilities } = bundle.sidecar.score;
  const scores = slice(outputs[output], i);
  return { predicted: bundle.predicted(scores), values: slice(outputs[probabilities ?? output], i) };
}

function reasonsOf(bundle, outputs, i) {
  if (!outputs.attribution) return {};
  const [attribution, total, base] = [slice(outputs.attribution, i), outputs.score.data[i], outputs.base_value.data[i]];
  const error = completenessError(attribution, total, base);
  const converged = error <= bundle.sidecar.tolerances.completeness * sizeOfSum(total, base);
  return { explained: Number(outputs.explained_target.data[i]), score: total, base, attribution, error, converged };
}

/** A line for each row: the prediction, the sum and its check, and the strongest reasons. */
export function asText(bundle, topK) {
  return async function* (rows) {
    for await (const row of rows) {
      const unseen = row.unseen.length > 0 ? `  (unseen: ${row.unseen.join(", ")})` : "";
      if (row.predicted < 0) yield `row ${row.number}  no prediction: the model's outputs are not finite${unseen}\n`;
      else yield `row ${row.number}  ${said(bundle, row)}${topK > 0 ? because(bundle, row, topK) : ""}${unseen}\n`;
    }
  };
}

function said({ hasClasses, targets, sidecar }, { predicted, values }) {
  if (hasClasses) return `${targets[predicted]} ${(100 * values[predicted]).toFixed(1)} %`;
  const quantities = sidecar.score.targets.map(({ name, unit }, k) => {
    const amount = `${Number(values[k].toPrecision(DIGITS))}${unit === null ? "" : ` ${unit}`}`;
    return targets.length === 1 ? amount : `${name} ${amount}`;
  });
  return quantities.join(", ");
}

function because({ targets, players }, row, topK) {
  const { predicted, explained, score: total, base, attribution } = row;
  const reasons = strongest(attribution).map((j) => `${players[j]} ${signed(attribution[j])}`);
  const named = reasons.slice(0, topK).join(", ") + (reasons.length > topK ? ", ..." : "");
  const what = explained === predicted ? "score" : `score of ${targets[explained]}`;
  const sum = `base ${signed(base)} + attributions ${signed(total - base)} (${check(row)})`;
  return `  ${what} ${signed(total)} = ${sum}: ${named}`;
}

/** The columns of a run of whyport, less the settings'. */
export function asCsv({ hasClasses, targets, players }) {
  const quantities = targets.length === 1 ? ["prediction"] : targets.map((name) => `prediction.${name}`);
  const head = hasClasses ? ["prediction", ...targets.map((name) => `probability.${name}`)] : quantities;
  const explained = hasClasses ? ["explained_target", "explained_class"] : ["explained_target"];
  const attributions = players.map((name) => `attribution.${name}`);
  return async function* (rows) {
    yield csvLine(
      ["source_row", ...head, ...explained, "base_value", "score", ...attributions, "completeness_error", "converged"],
    );
    for await (const { number, predicted, values, ...row } of rows) {
      const prediction = hasClasses ? [targets[predicted], ...values] : values;
      const reasons = [row.base, row.score, ...row.attribution, row.error, row.converged];
      const cells = [...prediction, ...explained.map(() => targets[row.explained]), ...reasons];
      yield csvLine([number, ...(predicted < 0 ? cells.map(() => "") : cells)]);
    }
  };
}

function csvLine(values) {
  const quote = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  return values.map(quote).join(",") + "\n";
}

function check({ error, converged }) {
  return `${converged ? "" : "DOES NOT ADD UP: "}off by ${error.toExponential(1)}`;
}

function signed(value) {
  const isSmall = value !== 0 && Math.abs(value) < 0.005;
  return (value < 0 ? "" : "+") + (isSmall ? value.toExponential(1) : value.toFixed(2));
}
