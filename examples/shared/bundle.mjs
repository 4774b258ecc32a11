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

const CAPABILITY = { available: "boolean", reason: "string" };
const TENSOR = { name: "string", dtype: "string", shape: ["any"], columns: ["string"] };
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
      standard_deviation: "number",
      median: "number",
      missing_fraction: "number",
      bin_edges: ["number"],
      bin_fractions: ["number"],
    },
  ],
  preprocessing: { imputation: "any", standardised: "boolean" },
  capabilities: { "*": CAPABILITY },
  background: "any",
  summary: "any",
  opset: "number",
  ir_version: "number",
  tolerances: { outputs: "number", gradients: "number", attributions: "number", completeness: "number" },
  provenance: "any",
  parity: "any",
  files: { "*": "string" },
};

/** Refuse an unknown key, a missing one and a value of another kind. */
function check(value, kind, path) {
  const wrong = (expected) =>
    new BundleError(`bundle.json: ${path}: expected ${expected}, got ${JSON.stringify(value)}`);
  if (kind === "any") return;
  if (typeof kind === "string") {
    if (typeof value !== kind) throw wrong(`a ${kind}`);
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
