// A bundle, read as models/README.md says: the format version first, then nothing whose digest does not match.
// It runs in Node.js and in browsers; how bytes are fetched is the caller's.

export const FORMAT_VERSION = 2;

/** By task: the output that is explained, and the unit of its values, of base values and of attributions. */
export const TASKS = {
  classification: { scores: "logits", unit: "logits" },
  "classification-by-probability": { scores: "probabilities", unit: "probability" },
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
    if (!Object.hasOwn(TASKS, sidecar.task)) {
      const known = Object.keys(TASKS).join(", ");
      throw new BundleError(`unknown task '${sidecar.task}'; known: ${known}, in bundle.json of ${place}`);
    }
    checkConsistency(sidecar);
    return new Bundle(place, sidecar, await sha256(content), fetchBytes);
  }

  constructor(place, sidecar, digest, fetchBytes) {
    this.place = place;
    this.sidecar = sidecar;
    this.digest = digest;
    this.fetchBytes = fetchBytes;
    this.features = sidecar.features;
    this.classes = sidecar.classes;
    this.task = TASKS[sidecar.task];
    this.imputation = sidecar.preprocessing.imputation;
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
const TENSOR = { name: "string", dtype: "dtype", shape: ["length"], columns: ["string"] };
const SIDECAR = {
  format_version: "number",
  name: "string",
  task: "string",
  signature: { inputs: [TENSOR], outputs: [TENSOR] },
  classes: ["string"],
  features: [
    {
      name: "string",
      minimum: "number",
      maximum: "number",
      mean: "number",
      standard_deviation: "size",
      median: "number",
      missing_fraction: "share",
      bin_edges: ["number"],
      bin_fractions: ["share"],
    },
  ],
  preprocessing: { imputation: "any", standardised: "boolean" },
  capabilities: { "*": CAPABILITY },
  background: "any",
  summary: "any",
  opset: "version",
  ir_version: "version",
  tolerances: { outputs: "share", gradients: "share", attributions: "share", completeness: "share" },
  provenance: "any",
  parity: "any",
  files: { "*": "digest" },
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
function checkConsistency({ signature, task, features, classes, files }) {
  const wrong = (path, expected) => new BundleError(`bundle.json: ${path}: expected ${expected}, got another`);
  const [input, ...others] = signature.inputs;
  const names = features.map(({ name }) => name);
  if (!input || others.length > 0 || String(input.shape) !== `N,${names.length}` || names.length === 0)
    throw wrong("$.signature.inputs", `one input [N, ${names.length}]`);
  if (new Set(names).size !== names.length) throw wrong("$.features", "names that differ");
  if (input.columns.length !== names.length || input.columns.some((name, i) => name !== names[i]))
    throw wrong("$.signature.inputs[0].columns", "the features in order");
  if (classes.length === 0 || new Set(classes).size !== classes.length) throw wrong("$.classes", "names that differ");
  for (const name of new Set([TASKS[task].scores, "probabilities"])) {
    const found = signature.outputs.filter((output) => output.name === name);
    if (found.length !== 1 || String(found[0].shape) !== `N,${classes.length}`)
      throw wrong("$.signature.outputs", `one output '${name}' [N, ${classes.length}]`);
  }
  for (const name of Object.keys(files)) if (!FILE_NAME.test(name)) throw wrong("$.files", "names inside the bundle");
}
