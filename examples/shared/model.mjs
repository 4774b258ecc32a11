// The graphs of a bundle, run by any ONNX Runtime that has JavaScript's interface (onnxruntime-node, onnxruntime-web).

import { BundleError } from "./bundle.mjs";

export const PREDICTING = "model.onnx";
export const EXPLAINING = "explain.onnx"; // computes what model.onnx does, and the reasons

const CAPABILITIES = { "explain.onnx": "explain-onnx", "gradient.onnx": "gradient-onnx" };
const PREDICTED = -1n;

export class Model {
  /**
   * Open a graph of a bundle.
   * @param ort the module of ONNX Runtime
   * @param {Bundle} bundle
   * @param {string} graph the graph's file
   */
  static async open(ort, bundle, graph) {
    if (!bundle.has(graph)) {
      const reason = bundle.sidecar.capabilities[CAPABILITIES[graph]]?.reason || "it was made without";
      throw new BundleError(`${bundle.place} has no ${graph}: ${reason}`);
    }
    const content = await bundle.readBytes(graph);
    try {
      return new Model(ort, bundle, await ort.InferenceSession.create(content, { executionProviders: ["cpu"] }));
    } catch (error) {
      throw new BundleError(`ONNX Runtime cannot open ${graph} of ${bundle.place}: ${error.message}`);
    }
  }

  constructor(ort, bundle, session) {
    this.ort = ort;
    this.bundle = bundle;
    this.session = session;
  }

  /**
   * Run N rows, at least one: ONNX Runtime aborts the process on an empty batch through an LSTM.
   * @param {Float32Array} rows N x F raw values, row by row; NaN for a missing one, where the bundle imputes
   * @param {BigInt64Array} [classes] the class to explain by row, below 0 for the predicted one, which is the default
   * @returns {Promise<Object<string, {dims: number[], data: TypedArray}>>} the outputs by name
   */
  async run(rows, classes) {
    const width = this.bundle.features.length;
    const count = rows.length / width;
    if (!Number.isInteger(count) || count < 1)
      throw new RangeError(`expected rows of ${width} values, got ${rows.length}`);
    const feeds = {
      [this.bundle.sidecar.inputs[0].tensors[0].name]: new this.ort.Tensor("float32", rows, [count, width]),
    };
    if (this.session.inputNames.includes("target_index")) {
      const index = classes ?? new BigInt64Array(count).fill(PREDICTED);
      feeds.target_index = new this.ort.Tensor("int64", index, [count]);
    }
    const outputs = await this.session.run(feeds);
    for (const [name, { dims }] of Object.entries(outputs)) {
      if (dims[0] !== count) throw new BundleError(`output ${name}: expected ${count} rows, got shape [${dims}]`);
    }
    return outputs;
  }
}

/** The class that is predicted, the first of the largest score; -1 where a score is not finite, which nothing else tells. */
export function predicted(scores) {
  if (!scores.every(Number.isFinite)) return -1;
  return scores.indexOf(Math.max(...scores));
}

/** How far attributions are from adding up: |their sum - (score - base value)|, summed in float64. */
export function completenessError(attribution, score, baseValue) {
  return Math.abs(attribution.reduce((sum, value) => sum + value, 0) - (score - baseValue));
}

/** The features' places, those that count most first. */
export function strongest(attribution) {
  return Array.from(attribution.keys()).sort((a, b) => Math.abs(attribution[b]) - Math.abs(attribution[a]) || a - b);
}
