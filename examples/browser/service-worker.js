// Keeps what the page has used, so that it opens without a network, and isolates the page, so that it may use threads.
//
// A file whose address has a digest (?sha256=…) is taken from what is kept: it never changes. Anything else is asked of the
// server first, and taken from what is kept only where there is no answer, so that nothing old is shown while there is one.
// A bundle's files are kept under its digest; once it has changed, those of before are deleted.

const PAGE = "whyport page";
const ISOLATING = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && new URL(url).origin === location.origin) event.respondWith(answer(event.request).then(isolated));
});

self.addEventListener("message", (event) => {
  const reply = (said) => event.ports[0].postMessage(said);
  event.waitUntil(
    keep(event.data).then(
      (count) => reply({ count }),
      (error) => reply({ error: error.message }),
    ),
  );
});

async function answer(request) {
  const ignoreSearch = request.mode === "navigate"; // a page is the same whatever bundle it opens
  if (digestOf(request.url)) return (await caches.match(request)) ?? (await fetch(request));
  try {
    return await fetch(request, { cache: "no-cache" }); // a browser's own cache may hold what was there before
  } catch (error) {
    const kept = await caches.match(request, { ignoreSearch });
    if (kept) return kept;
    throw error;
  }
}

/** The response with the headers that let a page share memory among threads. */
function isolated(response) {
  if (response.status === 0) return response; // a redirect, which the browser follows itself
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATING)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

/** Keep the files at some addresses; returns how many. Throws where one can neither be had nor is kept already. */
async function keep({ place, digest, urls }) {
  const own = `whyport bundle ${place} ${digest}`;
  for (const url of urls) {
    const cache = await caches.open(new URL(url).pathname.startsWith(place) ? own : PAGE);
    const kept = await cache.match(url);
    if (!kept || !digestOf(url)) await renew(cache, url, kept);
  }
  const names = await caches.keys();
  const others = names.filter((name) => name.startsWith(`whyport bundle ${place} `) && name !== own);
  await Promise.all(others.map((name) => caches.delete(name)));
  return urls.length;
}

/** Put a file into a cache as the page has got it; what is kept stays where it is the same, or there is no network. */
async function renew(cache, url, kept) {
  const response = await fetch(url, { cache: "force-cache" }).catch((error) => {
    if (!kept) throw error;
  });
  if (response === undefined) return;
  if (!response.ok) throw new Error(`${url}: the server answers ${response.status}`);
  if (kept && isSame(kept, response)) return void (await response.body?.cancel());
  const expected = digestOf(url);
  if (expected) await checkDigest(response.clone(), expected);
  await cache.put(url, response);
}

function isSame(kept, response) {
  const names = ["etag", "last-modified", "content-length"].filter((name) => response.headers.has(name));
  return names.length > 1 && names.every((name) => kept.headers.get(name) === response.headers.get(name));
}

function digestOf(url) {
  return new URL(url).searchParams.get("sha256");
}

async function checkDigest(response, expected) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await response.arrayBuffer()));
  const got = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (got !== expected) throw new Error(`${response.url} has changed: expected sha256 ${expected}, got ${got}`);
}
