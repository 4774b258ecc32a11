// The rules for bundle.json, as models/bundle.schema.json and models/README.md have them, as far as these programs read it.

/** What is wrong with a bundle, a file or a value, in words for the person who gave it. */
export class BundleError extends Error {}

/** The names of the smaller variants that a bundle may have, of fewer bits for each weight. */
const PRECISIONS = ["float16", "weights-int8", "dynamic-int8", "int8"];

/** The precision that a graph's variant begins with; undefined of a graph in full size. */
export function precisionOf(variant) {
  return PRECISIONS.find((name) => variant !== null && `${variant}-`.startsWith(`${name}-`));
}

/** The variant of a graph in a precision, from that of the graph in full size. */
export function preciseVariant(variant, precision) {
  return variant === null ? precision : `${precision}-${variant}`;
}

const NEWER = "it needs a newer reader";
const TEXT = /^[^\0\p{Surrogate}]*$/u; // a surrogate is lone, or it would be half of a character
const FILE_NAME = /^(?!.*(?:^|\/)\.{0,2}(?:\/|$))[^\0-\x1f\\:\p{Surrogate}]+$/u;
const within = (least, most) => (value) => typeof value === "number" && value >= least && value <= most;
const whole = (least, most) => (value) => Number.isInteger(value) && within(least, most)(value);
const isText = (value) => typeof value === "string" && TEXT.test(value);

/** By kind: what is expected, and whether a value is that. JSON.parse makes Infinity of a number that is too large. */
const KINDS = {
  any: ["anything", () => true],
  boolean: ["true or false", (value) => typeof value === "boolean"],
  string: ["text without NUL and lone surrogates", isText],
  name: ["a name without NUL and lone surrogates", (value) => isText(value) && value !== ""],
  number: ["a finite number", Number.isFinite],
  size: ["a finite number of at least 0", within(0, Number.MAX_VALUE)],
  share: ["a number from 0 to 1", within(0, 1)],
  version: ["a whole number from 1 to 255", whole(1, 255)],
  rows: ["a number of rows", whole(0, 2 ** 53)],
  length: [
    "the length of an axis, or its name",
    (value) => whole(1, 2 ** 31 - 1)(value) || (typeof value === "string" && /^[A-Za-z_]\w*$/.test(value)),
  ],
  digest: ["64 hexadecimal digits", (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value)],
};

/** One of a list's names, which a later version may lengthen. */
class OneOf {
  constructor(...names) {
    this.names = names;
  }
}

/** A value of a kind, or null. */
class OrNull {
  constructor(kind) {
    this.kind = kind;
  }
}

const oneOf = (...names) => new OneOf(...names);
const orNull = (kind) => new OrNull(kind);

// [kind] is a list, {"*": kind} an object with any keys.
const TENSOR = { name: "name", dtype: oneOf("float32", "int64", "uint8", "string"), shape: ["length"] };
const NUMBERS = {
  minimum: "number",
  maximum: "number",
  mean: "number",
  standard_deviation: "size",
  median: "number",
  bin_edges: ["number"],
  bin_fractions: ["share"],
};
const CATEGORIES = {
  type: oneOf("text", "number", "boolean"),
  values: ["string"],
  counts: ["rows"],
  other: "rows",
  missing: "rows",
};
const COLUMN = {
  name: "name",
  kind: oneOf("number", "category", "time"),
  unit: orNull("string"),
  missing: oneOf("refuse", "impute", "model"),
  imputation: orNull("number"),
  missing_fraction: "share",
  numbers: orNull(NUMBERS),
  categories: orNull(CATEGORIES),
  channels: "any",
};
const SCORE = {
  task: oneOf("classification", "regression"),
  kind: oneOf("logit", "probability", "margin", "value"),
  output: "name",
  probabilities: orNull("name"),
  targets: [{ name: "string", unit: orNull("string") }],
};
const GRAPH = {
  file: "string",
  kind: oneOf("predict", "torch", "deepshap", "explain", "gradient", "cam", "prepare", "trees"),
  variant: orNull("name"),
  inputs: [TENSOR],
  outputs: [TENSOR],
  figures: "any",
};
const PICTURE = {
  kind: oneOf("image"),
  mode: oneOf("L", "RGB"),
  orient: "boolean",
  resize: ["length"],
  crop: ["length"],
  limit: "rows",
};
/** By the kind of a bundle's one input: how it is prepared, and its columns. */
const INPUTS = {
  table: { prepare: { kind: oneOf("table"), "*": "any" }, columns: [COLUMN] },
  image: { prepare: PICTURE, columns: [{ ...COLUMN, kind: oneOf("image") }] },
};
const sidecarOf = (kind) => ({
  format_version: "number",
  name: "string",
  inputs: [{ name: "name", ...INPUTS[kind], tensors: [TENSOR], axes: "any" }],
  players: { names: orNull(["name"]), cells: "any" },
  score: SCORE,
  baselines: [{ kind: oneOf("rows", "zero", "mean", "blur", "pad", "mask", "segment-mean"), "*": "any" }],
  graphs: [GRAPH],
  capabilities: { "*": { available: "boolean", reason: "string" } },
  tolerances: { outputs: "share", gradients: "share", attributions: "share", completeness: "share", "*": "share" },
  parity: "any",
  provenance: "any",
  files: { "*": "digest" },
  opset: "version",
  ir_version: "version",
});

/** Throw a BundleError for a sidecar that is not as it should be, or whose input is of another kind: "table" or "image". */
export function checkSidecar(sidecar, kind) {
  check(sidecar, sidecarOf(kind), "$");
  checkConsistency(sidecar, kind);
}

/** Refuse an unknown key, a missing one and a value of another kind. */
function check(value, kind, path) {
  const wrong = (expected, end = "") =>
    new BundleError(`bundle.json: ${path}: expected ${expected}, got ${String(JSON.stringify(value)).slice(0, 60)}${end}`);
  if (kind instanceof OrNull) {
    if (value !== null) check(value, kind.kind, path);
  } else if (kind instanceof OneOf) {
    if (!kind.names.includes(value)) throw wrong(kind.names.join(" or "), `: ${NEWER}`);
  } else if (typeof kind === "string") {
    const [expected, holds] = KINDS[kind];
    if (!holds(value)) throw wrong(expected);
  } else if (Array.isArray(kind)) {
    if (!Array.isArray(value)) throw wrong("a list");
    value.forEach((item, i) => check(item, kind[0], `${path}[${i}]`));
  } else {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong("an object");
    for (const key of Object.keys(kind)) {
      if (key !== "*" && !Object.hasOwn(value, key))
        throw new BundleError(`bundle.json: ${path}: missing key '${key}'`);
    }
    for (const key of Object.keys(value)) {
      const known = Object.hasOwn(kind, key) ? kind[key] : kind["*"];
      if (known === undefined) throw new BundleError(`bundle.json: ${path}: unknown key '${key}'`);
      check(value[key], known, `${path}.${key}`);
    }
  }
}

/** Refuse what no single value shows: tensors that are not the columns, and file names that lead elsewhere. */
function checkConsistency({ inputs, players, score, graphs, files }, kind) {
  const wrong = (path, expected) => new BundleError(`bundle.json: ${path}: expected ${expected}, got another`);
  if (inputs.length !== 1) throw new BundleError(`bundle.json: $.inputs: expected one, got ${inputs.length}: ${NEWER}`);
  if (kind === "image") checkPicture(inputs[0], wrong);
  else checkTable(inputs[0], wrong);
  const sharing = players.names ?? inputs[0].columns.map(({ name }) => name);
  checkNames("$.players.names", sharing, wrong);
  const targets = score.targets.map(({ name }) => name);
  checkNames("$.score.targets", targets, wrong);
  if ((score.task === "classification") !== (score.probabilities !== null))
    throw wrong("$.score.probabilities", "an output where there are classes, and only there");
  const main = graphs.filter(({ variant }) => variant === null);
  const predict = main.filter(({ kind }) => kind === "predict");
  if (predict.length !== 1) throw wrong("$.graphs", "one graph of kind predict");
  if (JSON.stringify(predict[0].inputs) !== JSON.stringify(inputs[0].tensors))
    throw wrong("$.graphs", "the inputs' tensors in the model");
  for (const name of [score.output, score.probabilities].filter((name) => name !== null)) {
    const found = predict[0].outputs.filter((output) => output.name === name);
    if (found.length !== 1 || found[0].dtype !== "float32" || String(found[0].shape) !== `N,${targets.length}`)
      throw wrong("$.graphs", `one output '${name}' [N, ${targets.length}]`);
  }
  for (const graph of main.filter((graph) => graph.kind === "explain" && kind === "table")) {
    const shares = graph.outputs.find(({ name }) => name === "attribution");
    if (String(shares?.shape) !== `N,${sharing.length}`)
      throw wrong("$.graphs", `an output 'attribution' [N, ${sharing.length}] of ${graph.file}`);
  }
  checkPrecisions(graphs, files, wrong);
  for (const name of Object.keys(files)) if (!FILE_NAME.test(name)) throw wrong("$.files", "names inside the bundle");
}

/** A graph of fewer bits takes and gives what the one in full size does; without one that predicts there is no variant. */
function checkPrecisions(graphs, files, wrong) {
  const key = ({ kind, variant }) => JSON.stringify([kind, variant]);
  const tensors = ({ inputs, outputs }) => JSON.stringify([inputs, outputs]);
  const small = graphs.filter(({ variant }) => precisionOf(variant));
  const predicting = new Set(small.filter(({ kind }) => kind === "predict").map(({ variant }) => precisionOf(variant)));
  if (new Set(small.map(key)).size !== small.length) throw wrong("$.graphs", "one graph of each kind and variant");
  const full = graphs.filter(({ variant }) => !precisionOf(variant));
  for (const graph of small) {
    const precision = precisionOf(graph.variant);
    const made = full.find(({ kind, variant }) => kind === graph.kind && preciseVariant(variant, precision) === graph.variant);
    if (!made) throw wrong("$.graphs", `${graph.file} in full size too`);
    if (tensors(graph) !== tensors(made)) throw wrong("$.graphs", `the tensors of ${made.file} in ${graph.file}`);
    if (!predicting.has(precision)) throw wrong("$.graphs", `a graph of kind predict of variant ${precision}`);
    if (!Object.hasOwn(files, graph.file)) throw wrong("$.files", graph.file);
  }
}

/** A picture is one column and one tensor, of the size that it is cut to. */
function checkPicture({ columns, tensors, prepare }, wrong) {
  const path = "$.inputs[0]";
  if (columns.length !== 1) throw wrong(`${path}.columns`, "one");
  const size = prepare.crop.length ? prepare.crop : prepare.resize;
  const expected = ["N", ...size, prepare.mode === "RGB" ? 3 : 1];
  if (size.length !== 2 || tensors.length !== 1 || String(tensors[0].shape) !== String(expected) || tensors[0].dtype !== "uint8")
    throw wrong(`${path}.tensors`, `one tensor uint8 [${expected}]`);
}

/** A table fills one tensor; with categories, one a column. */
function checkTable({ columns, tensors }, wrong) {
  const path = "$.inputs[0]";
  const names = columns.map(({ name }) => name);
  checkNames(`${path}.columns`, names, wrong);
  columns.forEach(({ kind, missing, imputation, numbers, categories }, j) => {
    const place = `${path}.columns[${j}]`;
    if ((kind === "category") !== (categories !== null)) throw wrong(`${place}.categories`, "a column's own");
    if ((kind === "category") !== (numbers === null)) throw wrong(`${place}.numbers`, "a column's own");
    if ((missing === "impute") !== (imputation !== null)) throw wrong(`${place}.imputation`, "a value where one is put in");
    if (categories) checkCategories(categories, `${place}.categories`, wrong);
  });
  const dtypeOf = ({ categories }) => (categories?.type === "text" ? "string" : "float32");
  const expected = columns.some(({ categories }) => categories)
    ? columns.map((column) => `${dtypeOf(column)} N,1`)
    : [`float32 N,${names.length}`];
  if (String(tensors.map(({ dtype, shape }) => `${dtype} ${shape}`)) !== String(expected))
    throw wrong(`${path}.tensors`, `tensors of the ${names.length} columns`);
}

const IS_CATEGORY = {
  text: (value) => value !== "",
  number: (value) => value.trim() !== "" && Number.isFinite(Math.fround(Number(value))),
  boolean: (value) => value === "false" || value === "true",
};

function checkCategories({ type, values, counts }, path, wrong) {
  if (counts.length !== values.length) throw wrong(`${path}.counts`, `${values.length}, one a category`);
  const different = new Set(type === "number" ? values.map((value) => Math.fround(Number(value))) : values);
  if (different.size !== values.length || !values.every(IS_CATEGORY[type]))
    throw wrong(`${path}.values`, `categories of type ${type} that differ`);
}

function checkNames(path, names, wrong) {
  if (names.length === 0 || new Set(names).size !== names.length) throw wrong(path, "names that differ");
}
