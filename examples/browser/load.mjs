// What the page's first reason cost: the bytes that came over the network until then, and the time.

const ENGINE = "/node_modules/onnxruntime-web/";

const byId = (id) => document.getElementById(id);

/** Resolves once what was changed is drawn; at once in a page that nobody sees. */
const drawn = () => new Promise((done) => (document.hidden ? done() : requestAnimationFrame(() => setTimeout(done))));

/** Say how long after opening the first reason was drawn, and how many bytes the page, engine and bundle were. */
export async function firstReason(bundle) {
  await drawn();
  const milliseconds = Math.round(performance.now());
  const line = byId("load");
  line.dataset.milliseconds = milliseconds;
  const after = `First reason ${milliseconds.toLocaleString("en")} ms after opening`;
  if (navigator.serviceWorker?.controller) {
    line.textContent = `${after}, from the files that this browser keeps, where they have not changed`;
    return;
  }
  const bytes = transferred(bundle);
  const parts = Object.entries(bytes).map(([kind, count]) => `${kind} ${count.toLocaleString("en")}`);
  const total = Object.values(bytes).reduce((sum, count) => sum + count, 0);
  Object.assign(line.dataset, bytes);
  line.textContent = `${after}, with ${total.toLocaleString("en")} bytes transferred: ${parts.join(", ")}`;
}

/** The bytes of content that were transferred, by kind; what the browser had already counts as none. */
function transferred({ place }) {
  const bytes = { page: 0, engine: 0, bundle: 0 };
  const entries = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
  for (const { name, transferSize, encodedBodySize } of entries) {
    const { pathname } = new URL(name);
    const kind = pathname.startsWith(place) ? "bundle" : pathname.includes(ENGINE) ? "engine" : "page";
    // Headers are counted beside content; an answer of headers alone says that nothing has changed.
    if (transferSize > encodedBodySize) bytes[kind] += encodedBodySize;
  }
  return bytes;
}

/** The addresses of all that the page has used until now. */
export function addresses() {
  const used = performance.getEntriesByType("resource").map(({ name }) => name);
  const icon = document.querySelector("link[rel=icon]").href;
  const own = [location.origin + location.pathname, icon, ...used].filter((url) => new URL(url).origin === location.origin);
  return [...new Set(own)];
}
