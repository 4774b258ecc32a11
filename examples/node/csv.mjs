// A CSV file as batches of rows, streamed: memory does not grow with the file.

import { createReadStream } from "node:fs";
import { parse } from "csv-parse";

const BATCH_ROWS = 64;
const LISTED_NAMES = 8;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const MISSING = /^(|nan|na|null)$/i;

/** What is wrong with a file or a value in it, in words for the person who gave it. */
export class TableError extends Error {}

/**
 * The feature columns of a file, by their names in the header and in the model's order; other columns are left aside.
 * @yields {{first: number, rows: Float32Array}} up to 64 rows, and the place of the first of them, from 0
 */
export async function* readCsv(path, bundle) {
  let columns = null;
  let [first, values] = [0, []];
  for await (const { info, record } of records(path)) {
    if (columns === null) {
      columns = places(record, path, bundle);
      continue;
    }
    columns.forEach((column, j) => values.push(parseValue(record[column], j, bundle, `${path}, line ${info.lines}`)));
    if (values.length === BATCH_ROWS * columns.length) {
      yield { first, rows: Float32Array.from(values) };
      [first, values] = [first + BATCH_ROWS, []];
    }
  }
  if (columns === null) throw new TableError(`expected a header and rows, got an empty file, ${path}`);
  if (values.length > 0) yield { first, rows: Float32Array.from(values) };
}

async function* records(path) {
  const parser = parse({ bom: true, skip_empty_lines: true, info: true });
  const source = createReadStream(path).on("error", (error) => parser.destroy(error));
  try {
    yield* source.pipe(parser);
  } catch (error) {
    throw new TableError(error.message.includes(path) ? error.message : `${error.message}, in ${path}`);
  }
}

/** Where each feature's column stands. */
function places(header, path, bundle) {
  const missing = bundle.features.filter(({ name }) => !header.includes(name));
  if (missing.length > 0) {
    const names = missing.map(({ name }) => `'${name}'`);
    throw new TableError(`missing column ${listing(names)} in ${path}; it has ${listing(header)}`);
  }
  return bundle.features.map(({ name }) => {
    const place = header.indexOf(name);
    if (header.indexOf(name, place + 1) >= 0) throw new TableError(`column '${name}' appears twice in ${path}`);
    return place;
  });
}

function parseValue(text, j, bundle, place) {
  const [trimmed, { name }] = [text.trim(), bundle.features[j]];
  if (MISSING.test(trimmed)) {
    if (bundle.imputation !== null) return NaN;
    throw new TableError(`column '${name}': missing value, and the bundle does not impute, in ${place}`);
  }
  if (!NUMBER.test(trimmed)) throw new TableError(`column '${name}': expected a number, got '${text}', in ${place}`);
  const value = Number(trimmed);
  if (!Number.isFinite(Math.fround(value))) {
    throw new TableError(`column '${name}': ${trimmed} is beyond float32, in ${place}`);
  }
  return value;
}

function listing(names) {
  const more = names.length > LISTED_NAMES ? ` and ${names.length - LISTED_NAMES} more` : "";
  return names.slice(0, LISTED_NAMES).join(", ") + more;
}
