// A picture with the map of a class over it, drawn in one canvas.

import { strongest } from "../shared/model.mjs";

const WIDTH = 640; // of the canvas; its height follows from the picture's

/** The prepared pixels [height, width, channels] as a canvas of their own size. */
function pictureOf({ data, height, width, channels }) {
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = data[channels * i + Math.min(c, channels - 1)];
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** A map [height, width] as a canvas of its own size: what speaks for and against, the stronger the less it lets through. */
function colours({ data, height, width }, [against, forIt]) {
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  const largest = Math.max(...data.map(Math.abs)) || 1;
  data.forEach((value, i) => image.data.set([...(value < 0 ? against : forIt), (255 * Math.abs(value)) / largest], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/**
 * Draw a picture and, with `strength` from 0 to 1, a map over it.
 * @param {HTMLCanvasElement} canvas
 * @param {{data: Uint8Array, height: number, width: number, channels: number}} picture as model.onnx takes it
 * @param {{data: Float32Array, height: number, width: number} | null} map
 */
export function draw(canvas, picture, map, strength) {
  canvas.width = WIDTH;
  canvas.height = Math.round((WIDTH * picture.height) / picture.width);
  const context = canvas.getContext("2d");
  context.drawImage(pictureOf(picture), 0, 0, canvas.width, canvas.height);
  if (map === null) return;
  const style = getComputedStyle(canvas);
  const named = ["--against", "--for"].map((name) => rgb(style.getPropertyValue(name).trim()));
  context.globalAlpha = strength;
  context.imageSmoothingQuality = "high";
  context.drawImage(colours(map, named), 0, 0, canvas.width, canvas.height);
  context.globalAlpha = 1;
}

function rgb(hex) {
  return [1, 3, 5].map((place) => Number.parseInt(hex.slice(place, place + 2), 16));
}

/** In words, where a map is strongest: the place of its largest value in thirds of the picture. */
export function placeOf({ data, height, width }) {
  const [place] = strongest(data);
  const [y, x] = [Math.floor(place / width), place % width];
  const third = (at, length, names) => names[Math.min(2, Math.floor((3 * (at + 0.5)) / length))];
  const thirds = `${third(y, height, ["top", "middle", "bottom"])} ${third(x, width, ["left", "centre", "right"])}`;
  const where = thirds.replace("middle centre", "centre");
  return `Strongest at the ${where}, where it speaks ${data[place] < 0 ? "against" : "for"} the class`;
}
