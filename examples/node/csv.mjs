// A CSV file as batches of rows, streamed: memory does not grow with the file.

import { createReadStream } from "node:fs";
import { parse } from "csv-parse";

import { ValueError } from "../shared/columns.mjs";

const BATCH_ROWS = 64;
const LISTED_NAMES = 8;

/** What is wrong with a file or a value in it, in words for the person who gave it. */
export class TableError extends Error {}

/**
 * The model's columns of a file, by their names in the header and in the model's order; other columns are left aside.
 * @yields {{first: number, rows: (number | string)[][], unseen: string[][]}} up to 64 rows, the place of the first of
 *   them, from 0, and by row the columns whose value training has not seen
 */
export async function* readCsv(path, { columns }) {
  let header = null;
  let batch = { first: 0, rows: [], unseen: [] };
  for await (const { info, record } of records(path)) {
    if (header === null) {
      header = places(record, path, columns);
      continue;
    }
    const read = columns.map((column, j) => readCell(column, record[header[j]], `${path}, line ${info.lines}`));
    batch.rows.push(read.map(({ value }) => value));
    batch.unseen.push(columns.filter((_, j) => read[j].unseen).map(({ name }) => name));
    if (batch.rows.length === BATCH_ROWS) {
      yield batch;
      batch = { first: batch.first + BATCH_ROWS, rows: [], unseen: [] };
    }
  }
  if (header === null) throw new TableError(`expected a header and rows, got an empty file, ${path}`);
  if (batch.rows.length > 0) yield batch;
}

/** Counts the values that training has not seen, as batches pass by. */
export class Unseen {
  constructor() {
    this.columns = new Map();
    [this.rows, this.total] = [0, 0];
  }

  counting() {
    return async function* (batches) {
      for await (const batch of batches) {
        this.total += batch.rows.length;
        this.rows += batch.unseen.filter((names) => names.length > 0).length;
        for (const name of batch.unseen.flat()) this.columns.set(name, (this.columns.get(name) ?? 0) + 1);
        yield batch;
      }
    }.bind(this);
  }

  /** The counts in words; empty without any. */
  text() {
    if (this.rows === 0) return "";
    const counted = Array.from(this.columns, ([name, count]) => `column '${name}' ${count}`).join(", ");
    return `values that training has not seen, in ${this.rows} of ${this.total} rows: ${counted}`;
  }
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

/** Where each of the model's columns stands. */
function places(header, path, columns) {
  const missing = columns.filter(({ name }) => !header.includes(name));
  if (missing.length > 0) {
    const names = missing.map(({ name }) => `'${name}'`);
    throw new TableError(`missing column ${listing(names)} in ${path}; it has ${listing(header)}`);
  }
  return columns.map(({ name }) => {
    const place = header.indexOf(name);
    if (header.indexOf(name, place + 1) >= 0) throw new TableError(`column '${name}' appears twice in ${path}`);
    return place;
  });
}

function readCell(column, cell, place) {
  try {
    return column.read(cell);
  } catch (error) {
    if (error instanceof ValueError) throw new TableError(`column '${column.name}': ${error.message}, in ${place}`);
    throw error;
  }
}

function listing(names) {
  const more = names.length > LISTED_NAMES ? ` and ${names.length - LISTED_NAMES} more` : "";
  return names.slice(0, LISTED_NAMES).join(", ") + more;
}
