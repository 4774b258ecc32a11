// A bundle, read as models/README.md says: the format version first, then nothing whose digest does not match.
// It runs in Node.js and in browsers; how bytes are fetched is the caller's.

export const FORMAT_VERSION = 3;

/** By task and kind of score: the output that is explained, and the unit of its values, base values and attributions. */
export const TASKS = {
  "classification logit": { scores: "logits", unit: "logits" },
  "classification probability": { scores: "probabilities", unit: "probability" },
};

/** What is wrong with a bundle, a file or a value, in words for the person who gave it. */
export class BundleError extends Error {}

export class Bundle {
  /**
   * Read bundle.json.
   * @param {string} place where the bundle lies, for messages
   * @param {(name: string) => Promise<Uint8Array | null>} fetchBytes the content of a file of the bundle, null if there is none
   */
  static async read(place, fetchBytes) {
    const content = await fetchBytes("bundle.json");
    if (!content) throw new BundleError(`expected a bundle, a folder with bundle.json, got ${place}`);
    let sidecar;
    try {
      sidecar = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
    } catch (error) {
      throw new BundleError(
        `expected UTF-8 JSON in bundle.json of ${place}, got content that is not (${error.message})`,
      );
    }
    const version = sidecar?.format_version;
    if (version !== FORMAT_VERSION) {
      throw new BundleError(`expected format version ${FORMAT_VERSION}, got ${version}, in bundle.json of ${place}`);
    }
    check(sidecar, SIDECAR, "$");
    const task = `${sidecar.score.task} ${sidecar.score.kind}`;
    if (!Object.hasOwn(TASKS, task)) {
      const known = Object.keys(TASKS).join(", ");
      throw new BundleError(`unknown task '${task}'; known: ${known}, in bundle.json of ${place}`);
    }
    checkConsistency(sidecar);
    return new Bundle(place, sidecar, await sha256(content), fetchBytes);
  }

  constructor(place, sidecar, digest, fetchBytes) {
    this.place = place;
    this.sidecar = sidecar;
    this.digest = digest;
    this.fetchBytes = fetchBytes;
    this.features = sidecar.inputs[0].columns.map(({ name, numbers }) => ({ name, ...numbers }));
    this.classes = sidecar.score.targets.map(({ name }) => name);
    this.task = TASKS[`${sidecar.score.task} ${sidecar.score.kind}`];
    const imputation = sidecar.inputs[0].columns.map((column) => column.imputation);
    this.imputation = imputation.every((value) => value === null) ? null : imputation;
  }

  has(name) {
    return Object.hasOwn(this.sidecar.files, name);
  }

  /** The content of a file, checked as it is read, so that what is used is what was checked. */
  async readBytes(name) {
    if (!this.has(name)) {
      throw new BundleError(`${this.place} has no ${name}; it has ${Object.keys(this.sidecar.files).join(", ")}`);
    }
    const content = await this.fetchBytes(name);
    if (!content) throw new BundleError(`${name} of ${this.place} is missing`);
    const [got, expected] = [await sha256(content), this.sidecar.files[name]];
    if (got !== expected) {
      throw new BundleError(`${name} of ${this.place} has changed: expected sha256 ${expected}, got ${got}`);
    }
    return content;
  }
}

export async function sha256(content) {
  const digest = new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", content));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The sidecar's shape, as models/bundle.schema.json has it: [kind] is a list, {"*": kind} an object with any keys.

const TEXT = /^[^\0\p{Surrogate}]*$/u; // a surrogate is lone, or it would be half of a character
const FILE_NAME = /^(?!.*(?:^|\/)\.{0,2}(?:\/|$))[^\0-\x1f\\:\p{Surrogate}]+$/u;
const within = (least, most) => (value) => typeof value === "number" && value >= least && value <= most;

/** By kind: what is expected, and whether a value is that. JSON.parse makes Infinity of a number that is too large. */
const KINDS = {
  any: ["anything", () => true],
  boolean: ["true or false", (value) => typeof value === "boolean"],
  string: ["text without NUL and lone surrogates", (value) => typeof value === "string" && TEXT.test(value)],
  number: ["a finite number", Number.isFinite],
  size: ["a finite number of at least 0", within(0, Number.MAX_VALUE)],
  share: ["a number from 0 to 1", within(0, 1)],
  version: ["a whole number from 1 to 255", (value) => Number.isInteger(value) && within(1, 255)(value)],
  dtype: ["float32 or int64", (value) => ["float32", "int64"].includes(value)],
  length: [
    "the length of an axis, or its name",
    (value) => (Number.isInteger(value) && within(1, 2 ** 31 - 1)(value)) || /^[A-Za-z_]\w*$/.test(value),
  ],
  digest: ["64 hexadecimal digits", (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value)],
};

const CAPABILITY = { available: "boolean", reason: "string" };
const TENSOR = { name: "string", dtype: "dtype", shape: ["length"] };
const NUMBERS = {
  minimum: "number",
  maximum: "number",
  mean: "number",
  standard_deviation: "size",
  median: "number",
  bin_edges: ["number"],
  bin_fractions: ["share"],
};
const COLUMN = {
  name: "string",
  kind: "string",
  unit: "any",
  missing: "string",
  imputation: "any",
  missing_fraction: "share",
  numbers: NUMBERS,
  categories: "any",
  channels: "any",
};
const SIDECAR = {
  format_version: "number",
  name: "string",
  inputs: [{ name: "string", columns: [COLUMN], prepare: "any", tensors: [TENSOR], axes: "any" }],
  players: "any",
  score: {
    task: "string",
    kind: "string",
    output: "string",
    probabilities: "any",
    targets: [{ name: "string", unit: "any" }],
  },
  baselines: "any",
  graphs: [{ file: "string", kind: "string", variant: "any", inputs: [TENSOR], outputs: [TENSOR], figures: "any" }],
  capabilities: { "*": CAPABILITY },
  tolerances: { "*": "share" },
  parity: "any",
  provenance: "any",
  files: { "*": "digest" },
  opset: "version",
  ir_version: "version",
};

/** Refuse an unknown key, a missing one and a value of another kind. */
function check(value, kind, path) {
  const wrong = (expected) =>
    new BundleError(`bundle.json: ${path}: expected ${expected}, got ${String(JSON.stringify(value)).slice(0, 60)}`);
  if (typeof kind === "string") {
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
      if (!("*" in kind) && !Object.hasOwn(kind, key))
        throw new BundleError(`bundle.json: ${path}: unknown key '${key}'`);
      check(value[key], kind["*"] ?? kind[key], `${path}.${key}`);
    }
  }
}

/** Refuse what no single value shows: inputs that are not the features, and file names that lead elsewhere. */
function checkConsistency({ inputs, score, graphs, files }) {
  const wrong = (path, expected) => new BundleError(`bundle.json: ${path}: expected ${expected}, got another`);
  const [table, ...others] = inputs;
  if (!table || others.length > 0) throw wrong("$.inputs", "one table");
  const names = table.columns.map(({ name }) => name);
  if (table.tensors.length !== 1 || String(table.tensors[0].shape) !== `N,${names.length}` || names.length === 0)
    throw wrong("$.inputs[0].tensors", `one tensor [N, ${names.length}]`);
  if (new Set(names).size !== names.length) throw wrong("$.inputs[0].columns", "names that differ");
  const targets = score.targets.map(({ name }) => name);
  if (targets.length === 0 || new Set(targets).size !== targets.length)
    throw wrong("$.score.targets", "names that differ");
  const predict = graphs.filter(({ kind, variant }) => kind === "predict" && variant === null);
  if (predict.length !== 1) throw wrong("$.graphs", "one graph of kind predict");
  for (const name of new Set([score.output, score.probabilities])) {
    const found = predict[0].outputs.filter((output) => output.name === name);
    if (found.length !== 1 || String(found[0].shape) !== `N,${targets.length}`)
      throw wrong("$.graphs", `one output '${name}' [N, ${targets.length}]`);
  }
  for (const name of Object.keys(files)) if (!FILE_NAME.test(name)) throw wrong("$.files", "names inside the bundle");
}
