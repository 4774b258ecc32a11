// From an encoded picture, or a frame of a camera, to the pixels that prepare.onnx takes.

import { BundleError } from "../shared/bundle.mjs";

const CHANNELS = { RGB: 3, L: 1 };

/** The pixels of a picture: RGBA as a canvas gives them, and its size. */
export class Pixels {
  constructor(data, width, height) {
    this.data = data;
    this.width = width;
    this.height = height;
  }

  /**
   * Decode a file. It is turned as its Exif data say, and no colour profile is applied, as in whyport.
   * @param {Blob} file
   * @param {number} limit the most pixels
   */
  static async decode(file, limit) {
    let bitmap;
    try {
      const asStored = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
      bitmap = await createImageBitmap(file, asStored);
    } catch {
      throw new BundleError(`expected a picture that this browser can read, got ${file.name ?? "bytes"}`);
    }
    try {
      return Pixels.of(bitmap, bitmap.width, bitmap.height, limit);
    } finally {
      bitmap.close();
    }
  }

  /** What a canvas can draw, at its own size. */
  static of(drawable, width, height, limit) {
    if (width * height > limit)
      throw new BundleError(`expected a picture of at most ${limit} pixels, got ${width} x ${height}`);
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(drawable, 0, 0);
    return new Pixels(context.getImageData(0, 0, width, height).data, width, height);
  }

  /**
   * A part of the picture in another brightness, in whole numbers and without another resize than the bundle's own.
   * @param {{brightness: number, zoom: number, across: number, down: number}} view `across` and `down` from 0 to 1
   */
  seen({ brightness, zoom, across, down }) {
    const [width, height] = [this.width, this.height].map((length) => Math.max(1, Math.round(length / zoom)));
    const [left, top] = [Math.round((this.width - width) * across), Math.round((this.height - height) * down)];
    const data = new Uint8ClampedArray(4 * width * height);
    for (let y = 0; y < height; y++) {
      const first = 4 * ((top + y) * this.width + left);
      data.set(this.data.subarray(first, first + 4 * width), 4 * y * width);
    }
    if (brightness !== 1) for (let i = 0; i < data.length; i++) if (i % 4 !== 3) data[i] *= brightness;
    return new Pixels(data, width, height);
  }

  /** The channels of a mode, [height, width, channels] flat: RGB, or grey with the weights of ITU-R 601. */
  inMode(mode) {
    const [channels, count] = [CHANNELS[mode], this.width * this.height];
    const made = new Uint8Array(channels * count);
    for (let i = 0; i < count; i++) {
      const [red, green, blue] = [this.data[4 * i], this.data[4 * i + 1], this.data[4 * i + 2]];
      if (channels === 3) made.set([red, green, blue], 3 * i);
      else made[i] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    }
    return made;
  }
}
