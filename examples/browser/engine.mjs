// ONNX Runtime for the web, as every page here runs it, and what a page says of it.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

import { BundleError } from "../shared/bundle.mjs";

// One thread: more would need SharedArrayBuffer, and so special headers of the server.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;

export { ort };

const byId = (id) => document.getElementById(id);

/** Say how long a computation took; what failed before is forgotten. */
export function computed(milliseconds) {
  byId("error").hidden = true;
  byId("engine").textContent =
    `Computed in this page by ONNX Runtime ${ort.env.versions.web} in ${milliseconds} ms; no value leaves it`;
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
