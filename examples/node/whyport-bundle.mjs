#!/usr/bin/env node
// The command line: verify a bundle, or score a CSV file with it.

import { createWriteStream } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import * as ort from "onnxruntime-node";

import { Bundle, BundleError } from "../shared/bundle.mjs";
import { replay } from "../shared/conformance.mjs";
import { EXPLAINING, Model, PREDICTING } from "../shared/model.mjs";
import { TableError, Unseen, readCsv } from "./csv.mjs";
import { asCsv, asText, score } from "./score.mjs";

const HELP = `Predictions and the reasons for them, from a whyport bundle.

  node whyport-bundle.mjs verify BUNDLE [--variant NAME]
      check the digests and replay the test vectors, in full size and in every smaller variant, or in one of them alone
  node whyport-bundle.mjs score BUNDLE data.csv [--out scored.csv] [--top-k 3] [--target NAME] [--variant NAME]
      print a line for each row: the prediction and its strongest reasons; --out writes every attribution as CSV instead;
      --top-k 0 predicts without reasons; --target explains this class, in place of the predicted one, or this quantity,
      in place of the first; --class is another name of it, where there are classes;
      --variant takes a smaller variant of the bundle, such as int8

Example: node whyport-bundle.mjs score ../../models/breast_cancer patients.csv --top-k 5
Exit codes: 0 done; 1 a bundle, a file or a value that cannot be used, or test vectors that are not reproduced;
2 a wrong command line.
`;

class UsageError extends Error {}

async function main(argv) {
  const { values: options, positionals } = parse(argv);
  if (options.help) return void process.stdout.write(HELP);
  const [command, folder, table, ...rest] = positionals;
  if (command === "verify" && folder && !table) {
    const bundle = await readFolder(folder);
    const views = options.variant === undefined ? [null, ...bundle.variants] : [variantOf(bundle, options)];
    return await verify(bundle, views);
  }
  if (command === "score" && folder && table && rest.length === 0) {
    const given = options["top-k"] ?? "3";
    const topK = Number(given);
    if (!/^\d+$/.test(given)) throw new UsageError(`--top-k: expected a whole number, got '${given}'`);
    const stored = await readFolder(folder);
    const bundle = stored.inVariant(variantOf(stored, options));
    return await scoreTable(bundle, table, { topK, out: options.out, target: targetOf(bundle, options) });
  }
  throw new UsageError(`expected verify BUNDLE or score BUNDLE data.csv, got '${positionals.join(" ")}'`);
}

function parse(args) {
  const text = { type: "string" };
  const options = { out: text, "top-k": text, target: text, class: text, variant: text, help: { type: "boolean", short: "h" } };
  try {
    return parseArgs({ args, allowPositionals: true, options });
  } catch (error) {
    throw new UsageError(error.message);
  }
}

function readFolder(folder) {
  return Bundle.read(folder, async (name) => {
    try {
      return await readFile(join(folder, name));
    } catch (error) {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
      throw error;
    }
  });
}

/** The variant that was asked for; null in full size. */
function variantOf({ variants, place }, { variant = null }) {
  if (variant === null || variants.includes(variant)) return variant;
  if (variants.length === 0) throw new UsageError(`--variant: ${place} has none; whyport shrink makes some`);
  throw new UsageError(`--variant: unknown variant '${variant}'; the bundle has ${variants.join(", ")}`);
}

async function verify(bundle, variants) {
  const files = Object.keys(bundle.sidecar.files);
  for (const name of files) await bundle.readBytes(name);
  console.log(`${bundle.place}: ${files.length} files as exported, bundle.json ${bundle.digest.slice(0, 12)}`);
  const compared = [];
  for (const variant of variants) compared.push(...(await replay(ort, bundle.inVariant(variant))));
  const width = Math.max("gradient.onnx".length, ...compared.map(({ graph }) => graph.length));
  for (const { graph, output, deviation, tolerance } of compared) {
    const verdict = deviation <= tolerance ? "ok" : "NOT REPRODUCED";
    console.log(`${graph.padEnd(width)} ${output.padEnd(18)} ${deviation.toExponential(1)} of ${Number(tolerance.toPrecision(2))}  ${verdict}`);
  }
  if (compared.some(({ deviation, tolerance }) => !(deviation <= tolerance))) {
    throw new BundleError(`the test vectors of ${bundle.place} are not reproduced here`);
  }
}

/** The place of the target to explain; below 0 the one that is predicted. */
function targetOf({ targets, hasClasses }, options) {
  const [option, name] = options.target === undefined ? ["--class", options.class] : ["--target", options.target];
  if (name === undefined) return -1;
  const [one, many] = hasClasses ? ["class", "classes"] : ["target", "targets"];
  if (option === "--class" && !hasClasses)
    throw new UsageError(`--class: the bundle has no classes; --target takes one of its targets: ${targets.join(", ")}`);
  const target = targets.indexOf(name);
  if (target < 0) throw new UsageError(`${option}: unknown ${one} '${name}'; the bundle has the ${many} ${targets.join(", ")}`);
  return target;
}

async function scoreTable(bundle, table, { topK, out, target }) {
  const explains = topK > 0 || target >= 0 || out !== undefined;
  const model = await Model.open(ort, bundle, explains ? EXPLAINING : PREDICTING);
  const unseen = new Unseen();
  const rows = () => [readCsv(table, bundle), unseen.counting(), score(model, target)];
  // What was read flows on batch by batch, no faster than it is written.
  if (out === undefined) await pipeline(...rows(), asText(bundle, topK), process.stdout, { end: false });
  else await writeWhole(out, [...rows(), asCsv(bundle)]);
  if (unseen.text() !== "") console.error(unseen.text());
}

async function writeWhole(out, stages) {
  const unfinished = `${out}.unfinished`;
  try {
    await pipeline(...stages, createWriteStream(unfinished));
    await rename(unfinished, out);
  } finally {
    await rm(unfinished, { force: true });
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error.code === "EPIPE") process.exit(0); // the reader, such as head, has seen enough
  const known =
    [BundleError, TableError, UsageError].some((kind) => error instanceof kind) || error.syscall !== undefined;
  if (!known) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
