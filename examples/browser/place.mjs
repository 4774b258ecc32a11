// Where the page's bundle lies, and its files.

import { Bundle, BundleError } from "../shared/bundle.mjs";

const DEFAULT_BUNDLE = "../bundle/";
const PAGES = { table: "index.html", image: "picture.html" };

/** The folder that the page was asked for. */
export function askedFor() {
  return new URLSearchParams(location.search).get("bundle") ?? DEFAULT_BUNDLE;
}

/** The variant that the page was asked for; null for full size. */
function variantAskedFor() {
  return new URLSearchParams(location.search).get("variant") || null;
}

/**
 * The bundle of that folder, in the variant that was asked for; null once the page has given way to the one for bundles of its kind.
 * @param {"table" | "image"} kind what the page is for
 */
export async function readBundle(kind) {
  const asked = askedFor();
  const url = new URL(asked.endsWith("/") ? asked : `${asked}/`, location.href);
  const fetchBytes = async (name, digest) => {
    const file = new URL(name, url);
    if (digest) file.searchParams.set("sha256", digest); // what is kept for later is found by it, and is never an older one
    const response = await fetch(file, { cache: digest ? "default" : "no-cache" }).catch((error) => {
      throw new BundleError(`${name} of ${url.pathname}: no answer (${error.message})`);
    });
    if (response.status === 404) return null;
    if (!response.ok) throw new BundleError(`${name} of ${url.pathname}: the server answers ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  };
  const sidecar = await fetchBytes("bundle.json");
  const other = kindOf(sidecar);
  if (other !== kind && Object.hasOwn(PAGES, other)) {
    location.replace(`${PAGES[other]}${location.search}`);
    return null;
  }
  const read = (name, digest) => (name === "bundle.json" ? sidecar : fetchBytes(name, digest));
  return (await Bundle.read(url.pathname, read, kind)).inVariant(variantAskedFor());
}

/** The kind of the first input; undefined of what is no sidecar, of which the reader says more. */
function kindOf(content) {
  try {
    return JSON.parse(new TextDecoder().decode(content)).inputs[0].prepare.kind;
  } catch {
    return undefined;
  }
}
