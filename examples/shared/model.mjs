// The graphs of a bundle, run by any ONNX Runtime that has JavaScript's interface (onnxruntime-node, onnxruntime-web).

import { BundleError } from "./bundle.mjs";

export const PREDICTING = "model.onnx";
export const EXPLAINING = "explain.onnx"; // computes what model.onnx does, and the reasons

export const MAPPING = "cam.onnx"; // computes the scores and the class activation maps of pictures

const CAPABILITIES = { "explain.onnx": "explain-onnx", "gradient.onnx": "gradient-onnx", "cam.onnx": "cam" };
const TARGET_INDEX = "target_index";
const BY_DEFAULT = -1;

export class Model {
  /**
   * Open a graph of a bundle.
   * @param ort the module of ONNX Runtime
   * @param {Bundle} bundle in full size, or in a variant: `bundle.inVariant(name)`
   * @param {string} file the graph's file, by its name in full size
   */
  static async open(ort, bundle, file) {
    const graph = bundle.graph(file);
    if (!graph || !bundle.has(graph.file)) {
      const reason = bundle.sidecar.capabilities[CAPABILITIES[file]]?.reason || "it was made without";
      throw new BundleError(`${bundle.place} has no ${file}: ${reason}`);
    }
    const content = await bundle.readBytes(graph.file);
    try {
      const session = await ort.InferenceSession.create(content, { executionProviders: ["cpu"] });
      return new Model(ort, bundle, graph, session);
    } catch (error) {
      throw new BundleError(`ONNX Runtime cannot open ${graph.file} of ${bundle.place}: ${error.message}`);
    }
  }

  constructor(ort, bundle, graph, session) {
    this.ort = ort;
    this.bundle = bundle;
    this.graph = graph;
    this.session = session;
  }

  /**
   * Run N rows, at least one: ONNX Runtime aborts the process on an empty batch through an LSTM.
   * @param {(number | string)[][]} rows a value a column, as the columns read them: NaN or the empty text for a missing one
   * @param {number} [target] the target to explain, below 0 the one that is predicted, which is the default
   * @returns {Promise<Object<string, {dims: number[], data: TypedArray}>>} the outputs by name
   */
  async run(rows, target = BY_DEFAULT) {
    const { columns, tensors } = this.bundle;
    if (rows.length < 1 || rows.some((row) => row.length !== columns.length))
      throw new RangeError(`expected rows of ${columns.length} values, at least one`);
    const apart = tensors.length === columns.length; // one tensor [N, 1] a column; of a single column the same
    const values = tensors.map((_, j) => (apart ? rows.map((row) => row[j]) : rows.flat()));
    const fed = Object.fromEntries(tensors.map(({ name }, j) => [name, values[j]]));
    return await this.feed({ ...fed, [TARGET_INDEX]: rows.map(() => target) }, rows.length);
  }

  /**
   * Run N rows that are tensors already.
   * @param {Object<string, (number | string)[]>} values by the name of the graph's input, flat; others are left aside
   * @param {number} count N
   * @param {Object<string, number>} [lengths] the lengths of other axes, by their names
   */
  async feed(values, count, lengths = {}) {
    const most = this.graph.figures.rows_per_call ?? count;
    if (count <= most) return await this.call(values, count, lengths);
    const parts = [];
    for (let row = 0; row < count; row += most) {
      const taken = Math.min(most, count - row);
      const part = Object.entries(values).map(([name, flat]) => {
        const width = flat.length / count;
        return [name, flat.slice(row * width, (row + taken) * width)];
      });
      parts.push(await this.call(Object.fromEntries(part), taken, lengths));
    }
    return joined(parts);
  }

  /** One call of ONNX Runtime, as `feed`; of a graph with `rows_per_call`, answers would depend on the other rows. */
  async call(values, count, lengths) {
    const known = { N: count, ...lengths };
    const feeds = this.graph.inputs.map(({ name, dtype, shape }) => {
      const dims = shape.map((length) => (Object.hasOwn(known, length) ? known[length] : length));
      return [name, new this.ort.Tensor(dtype, dataOf(dtype, values[name]), dims)];
    });
    const outputs = await this.session.run(Object.fromEntries(feeds));
    for (const [name, { dims }] of Object.entries(outputs)) {
      if (dims[0] !== count) throw new BundleError(`output ${name}: expected ${count} rows, got shape [${dims}]`);
    }
    return outputs;
  }
}

/** The outputs of several calls as those of one. */
function joined(parts) {
  const outputs = Object.entries(parts[0]).map(([name, { dims, data }]) => {
    const whole = new data.constructor(parts.reduce((length, part) => length + part[name].data.length, 0));
    parts.reduce((start, part) => {
      whole.set(part[name].data, start);
      return start + part[name].data.length;
    }, 0);
    const rows = parts.reduce((count, part) => count + part[name].dims[0], 0);
    return [name, { dims: [rows, ...dims.slice(1)], data: whole }];
  });
  return Object.fromEntries(outputs);
}

function dataOf(dtype, values) {
  if (dtype === "string") return values;
  if (dtype === "uint8") return Uint8Array.from(values);
  return dtype === "int64" ? BigInt64Array.from(values, BigInt) : Float32Array.from(values);
}

/** How far attributions are from adding up: |their sum - (score - base value)|, summed in float64. */
export function completenessError(attribution, score, baseValue) {
  return Math.abs(attribution.reduce((sum, value) => sum + value, 0) - (score - baseValue));
}

/** What an error of a sum of attributions is compared with: 1, |score - baseValue|, or a hundredth of either of the two. */
export function sizeOfSum(score, baseValue) {
  return Math.max(1, Math.abs(score - baseValue), Math.abs(score) / 100, Math.abs(baseValue) / 100);
}

/** The players' places, those that count most first. */
export function strongest(attribution) {
  return Array.from(attribution.keys()).sort((a, b) => Math.abs(attribution[b]) - Math.abs(attribution[a]) || a - b);
}
