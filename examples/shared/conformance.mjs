// Replays a bundle's test vectors, conformance.json: does this engine, on this machine, compute what was exported?

import { BundleError } from "./bundle.mjs";
import { Model, completenessError } from "./model.mjs";

const EXACT = ["explained_class"];

/**
 * Run the test vectors through model.onnx, and through explain.onnx where the bundle has one.
 * @returns {Promise<{graph: string, output: string, deviation: number, tolerance: number}[]>} for each output that has a vector
 *   the largest |a - b| / max(1, |b|), and how far attributions are from adding up; an engine conforms if none is above its
 *   tolerance
 */
export async function replay(ort, bundle) {
  const vectors = await readVectors(bundle);
  const { outputs, attributions, completeness } = bundle.sidecar.tolerances;
  const compared = [];
  for (const explains of bundle.has("explain.onnx") ? [false, true] : [false]) {
    const graph = explains ? "explain.onnx" : "model.onnx";
    const got = await (await Model.open(ort, bundle, { explains })).run(vectors.features.values);
    for (const [output, { data }] of Object.entries(got)) {
      if (!Object.hasOwn(vectors, output) || output === "completeness_error") continue;
      const tolerance = EXACT.includes(output) ? 0 : output === "attribution" ? attributions : outputs;
      compared.push({ graph, output, deviation: deviation(data, vectors[output].values, output), tolerance });
    }
    if (explains) compared.push({ graph, output: "completeness", deviation: worstSum(got), tolerance: completeness });
  }
  return compared;
}

/** The tensors of conformance.json by name, in row-major order. */
export async function readVectors(bundle) {
  const document = JSON.parse(new TextDecoder().decode(await bundle.readBytes("conformance.json")));
  const decode = ({ shape, values }) => ({ shape, values: Float32Array.from(values, (value) => value ?? NaN) });
  return Object.fromEntries(Object.entries(document.tensors).map(([name, tensor]) => [name, decode(tensor)]));
}

function deviation(got, expected, output) {
  if (got.length !== expected.length) {
    throw new BundleError(`${output}: expected ${expected.length} values for the test vectors, got ${got.length}`);
  }
  let worst = 0;
  for (let i = 0; i < got.length; i++) {
    const difference = Math.abs(Number(got[i]) - expected[i]) / Math.max(1, Math.abs(expected[i]));
    if (!(difference <= worst)) worst = difference; // a NaN counts
  }
  return worst;
}

/** The largest error of a sum of attributions, as a share of max(1, |score - base value|). */
function worstSum({ attribution, score, base_value: base }) {
  const width = attribution.dims[1];
  return Math.max(
    ...Array.from(score.data, (value, i) => {
      const error = completenessError(attribution.data.subarray(i * width, (i + 1) * width), value, base.data[i]);
      return error / Math.max(1, Math.abs(value - base.data[i]));
    }),
  );
}
