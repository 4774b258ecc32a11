// A bundle, read as models/README.md says: the format version first, then nothing whose digest does not match.
// It runs in Node.js and in browsers; how bytes are fetched is the caller's.

import { columnOf } from "./columns.mjs";
import { BundleError, checkSidecar, preciseVariant, precisionOf } from "./sidecar.mjs";

export { BundleError };

export const FORMAT_VERSION = 3;

/** By task and kind of score: the unit of scores, base values and attributions; null where each target has its own. */
const UNITS = {
  "classification logit": "logits",
  "classification probability": "probability",
  "classification margin": "margin",
  "regression value": null,
};

export class Bundle {
  /**
   * Read bundle.json.
   * @param {string} place where the bundle lies, for messages
   * @param {(name: string, digest?: string) => Promise<Uint8Array | null>} fetchBytes the content of a file of the bundle, null
   *   if there is none; `digest` is what its sha256 must be, which is checked here
   * @param {"table" | "image"} [kind] what its input must be
   */
  static async read(place, fetchBytes, kind = "table") {
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
    checkSidecar(sidecar, kind);
    const task = `${sidecar.score.task} ${sidecar.score.kind}`;
    if (!Object.hasOwn(UNITS, task)) {
      const known = Object.keys(UNITS).join(", ");
      throw new BundleError(`unknown task '${task}'; known: ${known}: it needs a newer reader, in bundle.json of ${place}`);
    }
    return new Bundle(place, sidecar, await sha256(content), fetchBytes);
  }

  constructor(place, sidecar, digest, fetchBytes) {
    this.place = place;
    this.sidecar = sidecar;
    this.stored = sidecar; // as it was read; a variant's own `sidecar` has the variant's tolerances
    this.digest = digest;
    this.fetchBytes = fetchBytes;
    const { score, inputs, players } = sidecar;
    this.columns = inputs[0].prepare.kind === "table" ? inputs[0].columns.map(columnOf) : inputs[0].columns;
    this.tensors = inputs[0].tensors;
    this.players = players.names ?? this.columns.map(({ name }) => name);
    this.targets = score.targets.map(({ name }) => name);
    this.hasClasses = score.task === "classification";
    this.unit = UNITS[`${score.task} ${score.kind}`];
    this.variant = null; // full size
    this.variants = [...new Set(sidecar.graphs.map(({ variant }) => precisionOf(variant)))].filter(Boolean);
    this.graphs = new Map(sidecar.graphs.map((graph) => [graph.file, graph])); // by the name in full size
  }

  /**
   * The bundle as if a variant's graphs and tolerances were its own; a graph that the variant lacks is the one in full size.
   * @param {string | null} [name] one of `variants`; null is the bundle in full size
   */
  inVariant(name = null) {
    if (name === null) return new Bundle(this.place, this.stored, this.digest, this.fetchBytes);
    if (!this.variants.includes(name)) {
      const known = this.variants.length ? `it has ${this.variants.join(", ")}` : "it has none: whyport shrink makes some";
      throw new BundleError(`unknown variant '${name}' of ${this.place}; ${known}`);
    }
    const { graphs, tolerances } = this.stored;
    const own = Object.entries(tolerances).filter(([key]) => key.startsWith(`${name}.`));
    const allowed = Object.fromEntries(own.map(([key, value]) => [key.slice(name.length + 1), value]));
    const sidecar = { ...this.stored, tolerances: { ...tolerances, ...allowed } };
    const view = new Bundle(this.place, sidecar, this.digest, this.fetchBytes);
    const smaller = ({ kind, variant }) =>
      graphs.find((graph) => graph.kind === kind && graph.variant === preciseVariant(variant, name));
    const full = graphs.filter(({ variant }) => !precisionOf(variant));
    view.graphs = new Map(full.map((graph) => [graph.file, smaller(graph) ?? graph]));
    return Object.assign(view, { variant: name, stored: this.stored });
  }

  /** The unit of a target's score. */
  unitOf(k) {
    return this.unit ?? this.sidecar.score.targets[k].unit ?? `units of ${this.targets[k]}`;
  }

  /** A class's name, or a quantity's with its unit. */
  titleOf(k) {
    const { name, unit } = this.sidecar.score.targets[k];
    return unit === null ? name : `${name}, in ${unit}`;
  }

  /** The target that is predicted: the first of the largest score; of quantities the first; -1 where one is not finite. */
  predicted(scores) {
    if (!scores.every(Number.isFinite)) return -1; // nothing else tells of it
    return this.hasClasses ? scores.indexOf(Math.max(...scores)) : 0;
  }

  /** What the sidecar says of a graph, by the name of its file in full size; `file` in it is the one to read. */
  graph(file) {
    return this.graphs.get(file);
  }

  has(name) {
    return Object.hasOwn(this.sidecar.files, name);
  }

  /** The content of a file, checked as it is read, so that what is used is what was checked. */
  async readBytes(name) {
    if (!this.has(name)) {
      throw new BundleError(`${this.place} has no ${name}; it has ${Object.keys(this.sidecar.files).join(", ")}`);
    }
    const content = await this.fetchBytes(name, this.sidecar.files[name]);
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
