#!/usr/bin/env node
// A static server for the page and one bundle, on this machine alone: node serve.mjs BUNDLE [--port 8000]

import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, resolve, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";

const EXAMPLES = resolve(import.meta.dirname, "..");
const TYPES = {
  ...{ ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" },
  ".js": "text/javascript; charset=utf-8",
  ...{ ".mjs": "text/javascript; charset=utf-8", ".wasm": "application/wasm", ".json": "application/json" },
};

/** With these a browser lets the page use threads. */
const ISOLATING = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

function usage(message) {
  console.error(`error: ${message}\nusage: node serve.mjs BUNDLE [--port 8000]`);
  process.exit(2);
}

function parse() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { port: { type: "string", default: "8000" } },
    });
    if (positionals.length !== 1) usage(`expected one bundle, got ${positionals.length}`);
    return { bundle: resolve(positionals[0]), port: Number(values.port) };
  } catch (error) {
    return usage(error.message);
  }
}

/** The path that a request asks for, in the bundle under /bundle/ and in the examples elsewhere. */
function pathOf(url, bundle) {
  const path = decodeURIComponent(new URL(url, "http://localhost").pathname);
  const [root, rest] = path.startsWith("/bundle/") ? [bundle, path.slice("/bundle".length)] : [EXAMPLES, path];
  return { root, path: join(root, rest.endsWith("/") ? `${rest}index.html` : rest) };
}

/** The file at a path once every link is followed; null where that is outside of the root. */
async function fileIn(root, path) {
  const [base, file] = await Promise.all([realpath(root), realpath(path)]);
  return file.startsWith(base + sep) ? file : null;
}

/** Whether a request names this server: a page of another name that leads here could read the bundle. */
function isOwn({ headers, socket }) {
  const names = ["127.0.0.1", "localhost"];
  const own = names.map((name) => `${name}:${socket.localPort}`).concat(socket.localPort === 80 ? names : []);
  return own.includes(headers.host?.toLowerCase());
}

async function answer(request, response, bundle) {
  if (!isOwn(request)) return void response.writeHead(421).end();
  if (request.url === "/") return void response.writeHead(302, { Location: "/browser/" }).end();
  let asked;
  try {
    asked = pathOf(request.url, bundle);
  } catch {
    return void response.writeHead(400).end();
  }
  const file = await fileIn(asked.root, asked.path).catch(() => null);
  const found = file && (await stat(file).catch(() => null));
  if (!found?.isFile()) return void response.writeHead(404).end();
  const type = TYPES[extname(asked.path)] ?? "application/octet-stream";
  const ETag = `"${found.size.toString(36)}-${found.mtimeMs.toString(36)}"`;
  const headers = { "Content-Type": type, "Cache-Control": "no-cache", ETag, ...ISOLATING };
  if (request.headers["if-none-match"] === ETag) return void response.writeHead(304, headers).end();
  response.writeHead(200, { ...headers, "Content-Length": found.size });
  await pipeline(createReadStream(file), response).catch(() => response.destroy());
}

const { bundle, port } = parse();
const server = createServer((request, response) => void answer(request, response, bundle));
server.on("error", (error) => usage(error.message));
server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/browser/`));
