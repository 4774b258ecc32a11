// Replays a bundle's test vectors, conformance.json: does this engine, on this machine, compute what was exported?

import { BundleError } from "./bundle.mjs";
import { Model, completenessError, sizeOfSum } from "./model.mjs";

const SHARES = new Set(["attributions", "gradients", "maps"]);

/**
 * Run the test vectors through every graph of the bundle; of a variant, through every graph that it has of its own.
 * @param ort the module of ONNX Runtime
 * @param {Bundle} bundle in full size, or in a variant: `bundle.inVariant(name)`
 * @param {Model[]} [opened] models of the bundle that are open already
 * @returns {Promise<{graph: string, output: string, deviation: number, tolerance: number}[]>} how far each output is
 *   off, in the terms of the tolerance that the test vectors name for it; an engine conforms if none is further off
 */
export async function replay(ort, bundle, opened = []) {
  const vectors = await readVectors(bundle);
  const { standard_deviations: spreads, tensors } = vectors;
  const tolerances = tolerancesOf(vectors, bundle);
  const compared = [];
  for (const [name, { outputs }] of Object.entries(vectors.graphs)) {
    const graph = bundle.graph(name)?.file ?? name;
    if (bundle.variant !== null && graph === name) continue; // in full size
    const model = opened.find((each) => each.graph.file === graph) ?? (await Model.open(ort, bundle, name));
    const got = await model.feed(tensors, tensors[bundle.sidecar.score.output].length / bundle.targets.length);
    for (const [output, kind] of Object.entries(outputs)) {
      const spread = kind === "gradients" ? spreads : null;
      const [deviation, tolerance] = [
        kind === "completeness" ? worstSum(got) : furthest(got[output], tensors[output], { kind, spread, output }),
        kind === "exact" ? 0 : tolerances[kind],
      ];
      compared.push({ graph, output, deviation, tolerance });
    }
  }
  return compared;
}

/** What the test vectors allow, by kind of output; a variant has tolerances of its own. */
function tolerancesOf({ tolerances, variants }, { variant, place }) {
  if (variant === null) return tolerances;
  if (!Object.hasOwn(variants ?? {}, variant))
    throw new BundleError(`expected tolerances of the variant ${variant} in conformance.json of ${place}, got none`);
  return { ...tolerances, ...variants[variant].tolerances };
}

/** The document of conformance.json with each tensor flat, in row-major order, and NaN for null. */
export async function readVectors(bundle) {
  const content = new TextDecoder().decode(await bundle.readBytes("conformance.json"));
  const flat = ([name, nested]) => [name, nested.flat(Infinity).map((value) => value ?? NaN)];
  try {
    const document = JSON.parse(content);
    return { ...document, tensors: Object.fromEntries(Object.entries(document.tensors).map(flat)) };
  } catch (error) {
    throw new BundleError(`expected test vectors in conformance.json of ${bundle.place}: ${error.message}`);
  }
}

/** The rows of the test vectors, as a model runs them: a value a column. */
export function rowsOf({ tensors }, { columns, tensors: specs }) {
  const width = columns.length / specs.length; // of a tensor's row
  const count = tensors[specs[0].name].length / width;
  const rowOf = (i) => specs.flatMap(({ name }) => tensors[name].slice(i * width, (i + 1) * width));
  return Array.from({ length: count }, (_, i) => rowOf(i));
}

/**
 * The largest |a - b| / max(1, |b|), where |b| is of attributions, gradients and maps the largest of its row; where there are
 * spreads, of values per spread of their column.
 */
function furthest({ data: got, dims }, expected, { kind, spread, output }) {
  if (got.length !== expected.length) {
    throw new BundleError(`${output}: expected ${expected.length} values for the test vectors, got ${got.length}`);
  }
  const width = SHARES.has(kind) ? dims.slice(1).reduce((a, b) => a * b, 1) : 1;
  let worst = 0;
  for (let first = 0; first < got.length; first += width) {
    const places = Array.from({ length: width }, (_, j) => first + j);
    const scaled = (value, i) => value * (spread ? spread[i % spread.length] : 1);
    const largest = Math.max(1, ...places.map((i) => Math.abs(scaled(expected[i], i))));
    for (const i of places) {
      const deviation = Math.abs(scaled(Number(got[i]) - expected[i], i)) / largest;
      if (!(deviation <= worst)) worst = deviation; // a NaN stays the worst
    }
  }
  return worst;
}

/** The largest error of a sum of attributions, as added up here and as the graph says, over `sizeOfSum`. */
function worstSum({ attribution, score, base_value: base, completeness_error: said }) {
  const width = attribution.dims[1];
  const shares = Array.from(score.data, (value, i) => {
    const summed = completenessError(attribution.data.subarray(i * width, (i + 1) * width), value, base.data[i]);
    return Math.max(summed, said.data[i]) / sizeOfSum(value, base.data[i]);
  });
  return Math.max(...shares);
}
