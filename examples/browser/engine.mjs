// ONNX Runtime for the web, as every page here runs it, and what a page says of it.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

import { BundleError } from "../shared/bundle.mjs";

// Threads share memory, which browsers allow an isolated page alone: one whose server, or service worker, sends two headers.
const MOST_THREADS = 4;
const threads = globalThis.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;
ort.env.wasm.numThreads = threads;
ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;

export { ort };

const byId = (id) => document.getElementById(id);

/** Say how long a computation took; what failed before is forgotten. */
export function computed(milliseconds) {
  byId("error").hidden = true;
  // The engine's one build needs SIMD: without it nothing would have been computed.
  const how = `WebAssembly with SIMD, ${threads} ${threads === 1 ? "thread" : "threads"}`;
  byId("engine").dataset.threads = threads;
  byId("engine").textContent =
    `Computed in this page by ONNX Runtime ${ort.env.versions.web} (${how}) in ${milliseconds} ms; no value leaves it`;
}

/** Say what went wrong; what is no fault of a bundle or a value is thrown on. */
export function fail(error) {
  byId("error").textContent = error.message;
  byId("error").hidden = false;
  if (byId("main").hidden) byId("name").textContent = "No bundle";
  if (!(error instanceof BundleError)) throw error;
}

/**
 * Say whether this browser computes what was exported.
 * @param {string[]} failed what it does not reproduce
 * @param {string} otherwise how near it comes
 */
export function conformance(failed, otherwise) {
  byId("conformance").textContent = failed.length
    ? `This browser does not reproduce the bundle's test vectors: ${failed.join(", ")}`
    : `This browser reproduces the bundle's test vectors: ${otherwise}`;
  byId("conformance").classList.toggle("failed", failed.length > 0);
  byId("conformance").dataset.failed = failed.length;
}
