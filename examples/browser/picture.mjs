// The page for pictures: what a person shows, from a file or a camera, flows through prepare.onnx to the map and back.

import { BundleError } from "../shared/bundle.mjs";
import { replay } from "../shared/conformance.mjs";
import { MAPPING, Model, PREDICTING } from "../shared/model.mjs";
import { readPictures } from "../shared/pictures.mjs";
import { Camera, hasCamera } from "./camera.mjs";
import { computed, conformance, fail, ort } from "./engine.mjs";
import { element, signed } from "./format.mjs";
import { Outcome } from "./outcome.mjs";
import { firstReason } from "./load.mjs";
import { keepOffline } from "./offline.mjs";
import { draw, placeOf } from "./overlay.mjs";
import { Pixels } from "./pixels.mjs";
import { askedFor, readBundle } from "./place.mjs";
import { Scheduler } from "./scheduler.mjs";
import { offerVariants } from "./variants.mjs";

const SLIDERS = ["brightness", "zoom", "across", "down"];
const PREPARING = "prepare.onnx";
const JPEG_ROUNDING = 4;

const byId = (id) => document.getElementById(id);
const page = {
  ...{ prediction: byId("prediction"), certainty: byId("certainty"), glance: byId("glance") },
  ...{ targets: byId("targets"), legend: byId("targets-legend"), targetList: byId("target-list") },
  ...{ moreTargets: byId("more-targets"), follow: byId("follow") },
};

class Page {
  static async open() {
    byId("open").elements.bundle.value = askedFor();
    const bundle = await readBundle("image");
    if (bundle === null) return;
    const open = (file) => Model.open(ort, bundle, file);
    const [prepare, predict] = [await open(PREPARING), await open(PREDICTING)];
    const isServed = bundle.sidecar.capabilities.cam?.available;
    const map = isServed ? await open(MAPPING) : null;
    const needed = isServed ? [PREDICTING, MAPPING] : [PREDICTING];
    offerVariants(bundle, needed, needed.at(-1));
    await new Page(bundle, { prepare, predict, map }).begin();
  }

  constructor(bundle, models) {
    this.bundle = bundle;
    this.models = models;
    this.input = bundle.sidecar.inputs[0];
    this.pixels = null; // as opened
    this.asked = 0; // files that were opened, of which the last counts
    this.camera = null;
    this.scheduler = new Scheduler(() => this.follow(), computed, fail);
    this.outcome = new Outcome(page, bundle, () => this.scheduler.soon());
  }

  async begin() {
    const { name, provenance } = this.bundle.sidecar;
    const [, height, width] = this.input.tensors[0].shape;
    document.title = `${name}: pictures and reasons`;
    byId("name").textContent = name.replaceAll("_", " ");
    byId("about").textContent = `pictures of ${height} × ${width}, ${this.bundle.targets.length} classes; ${provenance.source}`;
    const pictures = await readPictures(this.bundle);
    byId("start").replaceChildren(...pictures.map((_, i) => element("option", {}, `test picture ${i + 1}`)));
    this.listen(pictures);
    await this.show(new Blob([pictures[0].encoded]));
    await this.scheduler.run();
    byId("main").hidden = false;
    await firstReason(this.bundle);
    await this.conform(pictures);
    await keepOffline(this.bundle);
  }

  listen(pictures) {
    const shown = (file) => this.show(file).then(() => this.scheduler.soon(), fail);
    byId("start").addEventListener("change", ({ target }) => shown(new Blob([pictures[target.selectedIndex].encoded])));
    byId("file").addEventListener("change", ({ target }) => target.files.length && shown(target.files[0]));
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) shown(event.dataTransfer.files[0]);
    });
    for (const name of SLIDERS) byId(name).addEventListener("input", () => this.scheduler.soon());
    byId("strength").addEventListener("input", () => this.paint());
    byId("reset").addEventListener("click", () => {
      this.reset();
      this.scheduler.soon();
    });
    byId("camera").hidden = !hasCamera();
    byId("camera").addEventListener("click", () => this.toggleCamera().catch(fail));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  /** Take a file as the picture; the camera is left. */
  async show(file) {
    const asked = ++this.asked;
    const pixels = await Pixels.decode(file, this.input.prepare.limit);
    if (asked !== this.asked) return;
    this.stopCamera();
    this.pixels = pixels;
    this.reset();
  }

  reset() {
    for (const name of SLIDERS) byId(name).value = byId(name).defaultValue;
  }

  async toggleCamera() {
    if (this.camera) return this.stopCamera();
    byId("camera").disabled = true; // one camera is asked for at a time
    try {
      this.camera = await Camera.start();
    } catch (error) {
      throw new BundleError(`expected a camera that this page may use: ${error.message}`);
    } finally {
      byId("camera").disabled = false;
    }
    byId("camera").setAttribute("aria-pressed", true);
    while (this.camera) {
      const { video } = this.camera;
      this.pixels = Pixels.of(video, video.videoWidth, video.videoHeight, this.input.prepare.limit);
      await this.scheduler.run();
      await new Promise(requestAnimationFrame);
    }
  }

  stopCamera() {
    this.camera?.stop();
    this.camera = null;
    byId("camera").setAttribute("aria-pressed", false);
  }

  /** The picture as it is seen now, as the model takes it. */
  async prepared(pixels) {
    const { prepare, name, tensors } = this.input;
    const [width, height] = [pixels.width, pixels.height];
    if (prepare.crop.length && !prepare.resize.length && (height < prepare.crop[0] || width < prepare.crop[1]))
      throw new BundleError(`expected a picture of at least ${prepare.crop.join(" x ")}, got ${height} x ${width}`);
    const [, rows, columns] = this.models.prepare.graph.inputs[0].shape;
    const lengths = { [rows]: height, [columns]: width };
    const fed = { [`${name}.picture`]: pixels.inMode(prepare.mode) };
    return (await this.models.prepare.feed(fed, 1, lengths))[tensors[0].name];
  }

  /** Compute what the picture gives, and show it. */
  async follow() {
    const view = Object.fromEntries(SLIDERS.map((name) => [name, Number(byId(name).value)]));
    const made = await this.prepared(this.pixels.seen(view));
    const fed = { [this.input.tensors[0].name]: made.data };
    const { output, probabilities } = this.bundle.sidecar.score;
    const outputs = await this.models.predict.feed(fed, 1);
    const scores = outputs[output].data;
    const asked = this.outcome.target();
    const target = asked < 0 ? Math.max(0, this.bundle.predicted(scores)) : asked;
    this.outcome.show(scores, outputs[probabilities]?.data ?? null, target);
    const maps = this.models.map && (await this.models.map.feed(fed, 1));
    const [, height, width, channels] = made.dims;
    this.shown = { picture: { data: made.data, height, width, channels }, map: maps && mapOf(maps.cam, target) };
    this.explain(target, maps && maps[output].data[target]);
    this.paint();
  }

  /** The sum that a map makes with its bias. */
  explain(target, score) {
    const name = this.bundle.targets[target];
    byId("map-heading").textContent = `Class activation map of ${name}`;
    byId("sum").hidden = this.shown.map === null;
    if (this.shown.map === null) {
      byId("check").textContent = `no map: ${this.bundle.sidecar.capabilities.cam?.reason || "the bundle has none"}`;
      byId("check").classList.add("failed");
      return;
    }
    const bias = this.models.map.graph.figures[`bias.${name}`];
    const { data } = this.shown.map;
    const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
    const [error, allowed] = [Math.abs(mean + bias - score), this.bundle.sidecar.tolerances.outputs * Math.max(1, Math.abs(score))];
    [byId("bias"), byId("mean"), byId("score")].forEach((cell, i) => (cell.textContent = signed([bias, mean, score][i])));
    const verdict = error <= allowed ? "Adds up" : "Does not add up";
    byId("check").textContent = `${verdict}: off by ${error.toExponential(1)} of the ${allowed.toExponential(0)} ${this.bundle.unitOf(target)} allowed`;
    byId("check").classList.toggle("failed", !(error <= allowed));
    byId("check").dataset.error = error;
    byId("map-text").textContent = placeOf(this.shown.map);
  }

  paint() {
    const { picture, map } = this.shown;
    draw(byId("map"), picture, map, Number(byId("strength").value));
    byId("map").dataset.values = map ? JSON.stringify(Array.from(map.data)) : "";
  }

  /** How far the prepared pixels of a test picture are off here, at most. */
  async deviation({ encoded, prepared }) {
    const made = await this.prepared(await Pixels.decode(new Blob([encoded]), this.input.prepare.limit));
    if (made.data.length !== prepared.length) return Infinity;
    return made.data.reduce((worst, value, i) => Math.max(worst, Math.abs(value - prepared[i])), 0);
  }

  /** Replay the test vectors and the test pictures in this browser, and say how it went. */
  async conform(pictures) {
    const compared = await replay(ort, this.bundle, Object.values(this.models).filter(Boolean));
    const failed = compared.filter(({ deviation, tolerance }) => !(deviation <= tolerance));
    const worst = Math.max(...compared.map(({ deviation }) => deviation)).toExponential(1);
    const off = await Promise.all(pictures.map((picture) => this.deviation(picture)));
    const furthest = Math.max(...off);
    const names = failed.map(({ graph, output }) => `${output} of ${graph}`);
    // Decoders of JPEG round in their own ways, by a few of 255.
    const tolerance = ({ encoded, tolerance }) => tolerance + (isJpeg(encoded) ? JPEG_ROUNDING : 0);
    pictures.forEach((picture, i) => off[i] <= tolerance(picture) || names.push(`pixels of test picture ${i + 1}`));
    conformance(names, `outputs and maps within ${worst}; pixels of the test pictures within ${furthest} of 255`);
    byId("conformance").dataset.furthest = furthest;
  }
}

/** Whether a file begins as JPEG does. */
const isJpeg = (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8;

/** The map [height, width] of a target out of [1, targets, height, width]. */
function mapOf({ data, dims: [, , height, width] }, target) {
  const size = height * width;
  return { data: data.slice(target * size, (target + 1) * size), height, width };
}

Page.open().catch(fail);
