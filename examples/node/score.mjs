// Predictions and reasons of batches, as lines for people or as CSV for programs.

import { completenessError, predicted, strongest } from "../shared/model.mjs";

/** Batches of rows become rows with the model's outputs; `target` is the class to explain, below 0 the predicted one. */
export function score(model, target) {
  const { features, sidecar, task } = model.bundle;
  const [width, tolerance] = [features.length, sidecar.tolerances.completeness];
  return async function* (batches) {
    for await (const { first, rows } of batches) {
      const count = rows.length / width;
      const outputs = await model.run(rows, new BigInt64Array(count).fill(BigInt(target)));
      for (let i = 0; i < count; i++) yield rowOf(outputs, task.scores, i, first + i, tolerance);
    }
  };
}

function rowOf(outputs, scores, i, number, tolerance) {
  const slice = ({ data, dims }) => data.subarray(i * dims[1], (i + 1) * dims[1]);
  const row = { number, predicted: predicted(slice(outputs[scores])), probabilities: slice(outputs.probabilities) };
  if (!outputs.attribution) return row;
  const [attribution, total, base] = [slice(outputs.attribution), outputs.score.data[i], outputs.base_value.data[i]];
  const error = completenessError(attribution, total, base);
  const converged = error <= tolerance * Math.max(1, Math.abs(total - base));
  return {
    ...row,
    explained: Number(outputs.explained_target.data[i]),
    score: total,
    base,
    attribution,
    error,
    converged,
  };
}

/** A line for each row: the prediction, the sum and its check, and the strongest reasons. */
export function asText({ classes, features }, topK) {
  return async function* (rows) {
    for await (const row of rows) {
      const { number, predicted, probabilities, explained, score: total, base, attribution } = row;
      if (predicted < 0) {
        yield `row ${number}  no prediction: the model's outputs are not finite\n`;
        continue;
      }
      let line = `row ${number}  ${classes[predicted]} ${(100 * probabilities[predicted]).toFixed(1)} %`;
      if (topK > 0) {
        const reasons = strongest(attribution).map((j) => `${features[j].name} ${signed(attribution[j])}`);
        const named = reasons.slice(0, topK).join(", ") + (reasons.length > topK ? ", ..." : "");
        const what = explained === predicted ? "score" : `score of ${classes[explained]}`;
        const sum = `base ${signed(base)} + attributions ${signed(total - base)} (${check(row)})`;
        line += `  ${what} ${signed(total)} = ${sum}: ${named}`;
      }
      yield line + "\n";
    }
  };
}

/** The columns of a run of whyport, less the settings'. */
export function asCsv({ classes, features }) {
  return async function* (rows) {
    const head = ["source_row", "prediction", ...classes.map((name) => `probability.${name}`)];
    const attributions = features.map(({ name }) => `attribution.${name}`);
    yield csvLine([
      ...head,
      "explained_class",
      "base_value",
      "score",
      ...attributions,
      "completeness_error",
      "converged",
    ]);
    for await (const { number, predicted, probabilities, explained, score: total, base, ...row } of rows) {
      const reasons = [classes[explained], base, total, ...row.attribution, row.error, row.converged];
      const values = [classes[predicted], ...probabilities, ...reasons];
      yield csvLine([number, ...(predicted < 0 ? values.map(() => "") : values)]);
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
  return (value < 0 ? "" : "+") + value.toFixed(2);
}
