/* The page "Try it": what you see and press. The network runs in network.js; view3d.js draws the points in space. */

import { createView } from "./view3d.js";

const MAX_SIDE = 2048; // pixels: larger photos are reduced, so that a phone's memory suffices
const MIN_SIDE = 32; // the network's limit
const MAX_ASPECT = 5; // so that the shorter side has as many pixels when the network sees it
const [BLUE, ORANGE] = [[0, 114, 178], [230, 159, 0]]; // of the object and its outline
const SLOTS = ["photo", "background"];

const element = (id) => document.getElementById(id);
const create = (tag, properties) => Object.assign(document.createElement(tag), properties);
const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

const worker = new Worker(new URL("network.js", import.meta.url), { type: "module" });
const view = createView(element("space"));
const toPixel = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red;
const colors = Uint32Array.from(JSON.parse(element("colors-of-depth").textContent), toPixel); // from near to far

/* The pair on the page and its prediction, {photo, background, mask, depth, ...}; exported for the tests. */
export let shown = null;
let own = {}; // pictures of the reader's own: {photo, background}, or one of them
const toShare = (metres) => (metres - shown.near) / (shown.far - shown.near); // 0: nearest, 1: farthest
let point = null; // the measured point of the depth map, [x, y] from 0 to 1

// ------------------------------------------------------------------------------------------------------ the network
let answer; // called with the worker's next prediction
let running = false;
let next = null;

worker.onmessage = ({ data }) => {
  if (data.loaded) {
    element("progress").value += data.loaded;
  } else {
    element("progress").hidden = true;
    answer(data);
  }
};
worker.onerror = () => say("The network does not start: this browser is too old, or a file is missing.", true);

/* Predict a pair, {photo, background, note}, and show the result. While one is predicted, only the newest waits. */
async function predict(pair) {
  next = pair;
  if (running) {
    return;
  }
  running = true;
  element("panels").ariaBusy = "true";
  while (next) {
    pair = next;
    next = null;
    worker.postMessage({ photo: pair.photo.pixels, background: pair.background.pixels });
    const prediction = await new Promise((resolve) => { answer = resolve; });
    if (prediction.failure) {
      say(`The network failed (${prediction.failure}). Load the page again.`, true);
    } else if (!next) {
      show({ ...pair, ...prediction });
    }
  }
  element("panels").ariaBusy = "false";
  running = false;
}

function show(result) {
  shown = result;
  const { mask, depth } = shown;
  const object = depth.filter((_, i) => mask[i] > 0.5).sort();
  const time = `The network took ${Math.round(shown.milliseconds)} ms.`;
  if (object.length > 0.6 * mask.length) {
    say(`Most of the picture differs: is this the same place, from the same spot? ${time}`, true);
  } else if (object.length === 0) {
    say(`The network finds no object in the photo. ${time}`);
  } else {
    say(`${shown.note} The object is about ${object[object.length >> 1].toFixed(1)} m away. ${time}`);
  }
  drawMask();
  drawDepth();
  view?.show(shown.photo.pixels, depth);
}

function say(text, problem = false) {
  element("status").textContent = text;
  element("status").parentElement.classList.toggle("problem", problem);
}

// ----------------------------------------------------------------------------------------------- the mask, the cutout
function drawMask() {
  const { mask, width, height } = shown.smooth;
  const threshold = element("threshold").valueAsNumber;
  const context = resized(element("mask"), width, height);
  context.drawImage(shown.photo.canvas, 0, 0, width, height);
  const picture = context.getImageData(0, 0, width, height);
  const isObject = (x, y) => mask[Math.min(y, height - 1) * width + Math.min(x, width - 1)] > threshold;
  const line = Math.ceil(width / 320); // the outline's width
  let count = 0;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const object = mask[i] > threshold;
      count += object;
      const outline = object !== isObject(x + line, y) || object !== isObject(x, y + line);
      for (let c = 0; (object || outline) && c < 3; c++) {
        picture.data[4 * i + c] = outline ? ORANGE[c] : 0.45 * picture.data[4 * i + c] + 0.55 * BLUE[c];
      }
    }
  }
  context.putImageData(picture, 0, 0);
  element("threshold-value").textContent = threshold.toFixed(2);
  element("share").textContent = `${((100 * count) / mask.length).toFixed(1)} % of the photo`;
  element("cutout").disabled = false;
}

/* The photo with the mask as its opacity. Another threshold than 0.5 makes the object larger or smaller. */
async function saveCutout() {
  const { data, width, height } = shown.photo.pixels;
  const picture = new ImageData(data.slice(), width, height);
  const odds = 1 / element("threshold").valueAsNumber - 1;
  shown.mask.forEach((p, i) => {
    picture.data[4 * i + 3] = (255 * p * odds) / (p * odds + 1 - p);
  });
  const canvas = create("canvas", { width, height });
  canvas.getContext("2d").putImageData(picture, 0, 0);
  const href = URL.createObjectURL(await new Promise((resolve) => canvas.toBlob(resolve)));
  create("a", { href, download: "cutout.png" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000); // Safari reads it some time after the click
}

// ----------------------------------------------------------------------------------------------------------- the depth
function drawDepth() {
  const { width, height } = shown.photo.pixels;
  shown.near = shown.depth.reduce((a, b) => Math.min(a, b));
  shown.far = Math.max(shown.depth.reduce((a, b) => Math.max(a, b)), shown.near + 0.1);
  const picture = new ImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  shown.depth.forEach((metres, i) => { pixels[i] = colors[Math.min(255, Math.floor(256 * toShare(metres)))]; });
  resized(element("depth"), width, height).putImageData(picture, 0, 0);
  element("nearest").textContent = `${shown.near.toFixed(1)} m`;
  element("farthest").textContent = `${shown.far.toFixed(1)} m`;
  measure();
}

/* Show the metres at the chosen point, and mark them on the colour bar. */
function measure() {
  if (!shown || !point) {
    return;
  }
  const { width, height } = shown.photo.pixels;
  const [column, row] = [Math.floor(point[0] * (width - 1e-6)), Math.floor(point[1] * (height - 1e-6))];
  const metres = shown.depth[row * width + column];
  element("metres").textContent = `${metres.toFixed(2)} m`;
  element("cross").hidden = element("tick").hidden = false;
  Object.assign(element("cross").style, { left: `${100 * point[0]}%`, top: `${100 * point[1]}%` });
  element("tick").style.left = `${100 * toShare(metres)}%`;
}

function pointAt(x, y) {
  point = [clamp(x, 0, 1), clamp(y, 0, 1)];
  measure();
}

// ------------------------------------------------------------------------------------------------------- the pictures
/* Decode a file into {canvas, pixels, width, height}; an Error says what is wrong with it. */
async function readPicture(file, name) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(async () => {
    const start = await file.slice(4, 12).text();
    if (/^ftyp(he|mi|ms)/.test(start)) {
      throw new Error(`${name} is HEIC, an iPhone's format, which this browser cannot read. Save it as JPEG.`);
    }
    const damaged = "damaged, or of a kind that this browser cannot read";
    throw new Error(`${name} is ${file.type.startsWith("image/") ? damaged : "not a picture"}.`);
  });
  const { width, height } = bitmap;
  const [shorter, longer] = [width, height].sort((a, b) => a - b);
  if (shorter < MIN_SIDE || longer > MAX_ASPECT * shorter) {
    const expected = `sides of at least ${MIN_SIDE} pixels, one at most ${MAX_ASPECT} times the other`;
    throw new Error(`${name}: expected ${expected}; found ${width} × ${height}.`);
  }
  const scale = Math.min(1, MAX_SIDE / longer);
  const [columns, rows] = [width, height].map((side) => Math.round(side * scale));
  const canvas = create("canvas");
  const context = resized(canvas, columns, rows);
  context.fillStyle = "white"; // for transparent parts
  context.fillRect(0, 0, columns, rows);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, columns, rows);
  return { canvas, pixels: context.getImageData(0, 0, columns, rows), width, height };
}

/* Give a canvas a size, which empties it, and return what draws on it. */
function resized(canvas, width, height) {
  Object.assign(canvas, { width, height });
  return canvas.getContext("2d", { willReadFrequently: true });
}

function fillSlots(pair) {
  for (const slot of SLOTS) {
    const box = document.querySelector(`[data-slot=${slot}]`);
    const canvas = box.querySelector("canvas");
    const picture = pair[slot]?.canvas;
    box.classList.toggle("wanted", !picture && SLOTS.some((name) => pair[name]));
    canvas.ariaLabel = picture ? `The ${slot}` : `No ${slot} yet`;
    const context = resized(canvas, picture?.width ?? 160, picture?.height ?? 160);
    if (picture) {
      context.drawImage(picture, 0, 0);
    }
  }
  element("swap").disabled = !(pair.photo && pair.background);
}

/* Take the reader's files, {slot: file}, beside those taken before. */
async function takeFiles(files) {
  const pair = own;
  try {
    for (const [slot, file] of Object.entries(files)) {
      pair[slot] = await readPicture(file, file.name);
    }
    if (pair === own) {
      predictOwn();
    }
  } catch (error) {
    say(error.message, true);
  }
}

function predictOwn() {
  press(null);
  fillSlots(own);
  const { photo, background } = own;
  if (!photo || !background) {
    const missing = photo ? "background: the same place without the object" : "photo: the same place with the object";
    say(`Now choose the ${missing}.`);
  } else if (photo.width !== background.width || photo.height !== background.height) {
    const found = `${photo.width} × ${photo.height} and ${background.width} × ${background.height}`;
    say(`Photo and background: expected equal sizes, found ${found} pixels.`, true);
  } else {
    predict({ photo, background, note: "Your own photos." });
    bringIntoView();
  }
}

// ------------------------------------------------------------------------------------------------------- the examples
async function choose(button) {
  const none = {};
  own = none;
  press(button);
  try {
    const read = async (slot) => readPicture(await (await fetch(button.dataset[slot])).blob(), button.dataset[slot]);
    const [photo, background] = await Promise.all(SLOTS.map(read));
    if (own === none && !own.photo && !own.background) { // otherwise the reader has gone on
      fillSlots({ photo, background });
      predict({ photo, background, note: button.dataset.note });
    }
  } catch (error) {
    say(`This pair could not be loaded (${error.message}).`, true);
  }
}

function press(button) {
  for (const other of document.querySelectorAll(".thumb")) {
    other.ariaPressed = String(other === button);
  }
}

function bringIntoView() {
  if (Math.abs(element("mask").getBoundingClientRect().top) > innerHeight / 2) {
    element("results").scrollIntoView();
  }
}

// ------------------------------------------------------------------------------------- the reader's mouse and keyboard
for (const button of document.querySelectorAll(".thumb")) {
  button.addEventListener("click", () => {
    choose(button);
    bringIntoView();
  });
}
element("threshold").addEventListener("input", () => shown && drawMask());
element("cutout").addEventListener("click", saveCutout);
element("swap").addEventListener("click", () => {
  const pair = own.photo ? own : shown;
  own = { photo: pair.background, background: pair.photo };
  predictOwn();
});

for (const kind of ["pointerdown", "pointermove"]) {
  element("depth").addEventListener(kind, ({ offsetX, offsetY, target }) => {
    pointAt(offsetX / target.clientWidth, offsetY / target.clientHeight);
  });
}
element("depth").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (step) {
    event.preventDefault();
    const [x, y] = point ?? [0.5, 0.5];
    pointAt(x + step[0] / 40, y + step[1] / 40);
  }
});

for (const input of document.querySelectorAll("[data-slot] input")) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = ""; // so that the same file can be chosen again
    if (file) {
      takeFiles({ [input.closest("[data-slot]").dataset.slot]: file });
    }
  });
}
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const files = [...event.dataTransfer.files];
  const free = own.photo && !own.background ? "background" : "photo";
  const slot = event.target.closest("[data-slot]")?.dataset.slot ?? free;
  if (files.length === 1) {
    takeFiles({ [slot]: files[0] });
  } else if (files.length === 2) {
    takeFiles({ photo: files[0], background: files[1] });
  } else {
    say(`Expected one or two photos, found ${files.length} files.`, true);
  }
});

element("nearer").addEventListener("click", () => view?.move(0, 0, 1.25));
element("farther").addEventListener("click", () => view?.move(0, 0, 0.8));
element("reset").addEventListener("click", () => view?.reset());
if (!view) {
  element("space").parentElement.textContent = "This browser shows no points in space: it has no WebGL.";
}

say("Loading the network …");
const bar = new ImageData(256, 1);
new Uint32Array(bar.data.buffer).set(colors);
resized(element("bar"), 256, 1).putImageData(bar, 0, 0);
choose(document.querySelector(".thumb"));
