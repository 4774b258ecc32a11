// The page without a network: a service worker keeps what the page has used. Nothing here is needed for a reason.

import { addresses } from "./load.mjs";

const byId = (id) => document.getElementById(id);

/** Have what the page has used kept, under the bundle's digest, and say how it went. */
export async function keepOffline(bundle) {
  const line = byId("kept");
  try {
    if (!navigator.serviceWorker) throw new Error("this browser or this address allows no service worker");
    await navigator.serviceWorker.register(new URL("service-worker.js", import.meta.url));
    const { active } = await navigator.serviceWorker.ready;
    const count = await asked(active, { place: bundle.place, digest: bundle.digest, urls: addresses() });
    const threads = crossOriginIsolated || navigator.hardwareConcurrency < 2 ? "" : "; opened again, it uses several threads";
    line.textContent = `Works offline: this browser keeps ${count} files${threads}`;
    line.dataset.kept = count;
  } catch (error) {
    line.textContent = `Needs a network when opened again: ${error.message}`;
    line.dataset.kept = 0;
  }
}

/** The worker's answer to a message; throws an Error with what it says went wrong. */
function asked(worker, message) {
  return new Promise((done, failed) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => ("error" in data ? failed(new Error(data.error)) : done(data.count));
    worker.postMessage(message, [port2]);
  });
}
