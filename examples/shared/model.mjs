// The graphs of a bundle, run by any ONNX Runtime that has JavaScript's interface (onnxruntime-node, onnxruntime-web).

import { BundleError } from "./bundle.mjs";

const EXPLAIN = { file: "explain.onnx", capability: "explain-onnx" };
const PREDICTED = -1n;

export class Model {
  /**
   * Open model.onnx, or explain.onnx, which computes the same outputs and the reasons.
   * @param ort the module of ONNX Runtime
   * @param {Bundle} bundle
   * @param {{explains: boolean}} options
   */
  static async open(ort, bundle, { explains }) {
    if (explains && !bundle.has(EXPLAIN.file)) {
      const reason = bundle.sidecar.capabilities[EXPLAIN.capability]?.reason || "it was made without";
      throw new BundleError(`${bundle.place} has no ${EXPLAIN.file}: ${reason}`);
    }
    const content = await bundle.readBytes(explains ? EXPLAIN.file : "model.onnx");
    const session = await ort.InferenceSession.create(content, { executionProviders: ["cpu"] });
    return new Model(ort, bundle, session, explains);
  }

  constructor(ort, bundle, session, explains) {
    this.ort = ort;
    this.bundle = bundle;
    this.session = session;
    this.explains = explains;
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
    if (!Number.isInteger(count) || count < 1) throw new RangeError(`expected rows of ${width} values, got ${rows.length}`);
    const feeds = { [this.bundle.sidecar.signature.inputs[0].name]: new this.ort.Tensor("float32", rows, [count, width]) };
    if (this.explains) {
      const index = classes ?? new BigInt64Array(count).fill(PREDICTED);
      feeds.class_index = new this.ort.Tensor("int64", index, [count]);
    }
    return await this.session.run(feeds);
  }
}

/** How far attributions are from adding up: |their sum - (score - base value)|, summed in float64. */
export function completenessError(attribution, score, baseValue) {
  return Math.abs(attribution.reduce((sum, value) => sum + value, 0) - (score - baseValue));
}

/** The features' places, those that count most first. */
export function strongest(attribution) {
  return Array.from(attribution.keys()).sort((a, b) => Math.abs(attribution[b]) - Math.abs(attribution[a]) || a - b);
}
