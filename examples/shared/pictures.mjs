// The test pictures of a bundle, pictures.json: encoded files, and the pixels that they become.

import { BundleError } from "./bundle.mjs";

const VECTORS = "pictures.json";

/**
 * @returns {Promise<{input: string, encoded: Uint8Array, prepared: Uint8Array, tolerance: number}[]>} `prepared` is
 *   [height, width, channels], and no pixel may be off by more than `tolerance`
 */
export async function readPictures(bundle) {
  const content = new TextDecoder().decode(await bundle.readBytes(VECTORS));
  try {
    const { pictures, tolerance } = JSON.parse(content);
    return pictures.map(({ input, encoded, prepared }) => ({
      ...{ input, tolerance },
      encoded: bytesOf(encoded),
      prepared: bytesOf(prepared),
    }));
  } catch (error) {
    throw new BundleError(`expected test pictures in ${VECTORS} of ${bundle.place}: ${error.message}`);
  }
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
