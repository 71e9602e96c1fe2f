/* The network, in a worker of its own so that the page never stops. It does what maskdepth_utils/inference/predictor.py
   does: make both pictures 160 pixels wide, run the network, and bring mask and depth back to the photo's size.

   The page sends {photo, background}, two ImageData of equal size, and gets {mask, depth, smooth, milliseconds}:
   probabilities and metres, one for each pixel of the photo, and the mask at a size for the screen; or {failure: why}.
   While the files arrive it gets {loaded: bytes}. */

import * as ort from "./ort.js";

const SIZE = 160; // pixels: the width of the pictures that the network was trained on
const TALLEST = 2; // times as tall as wide: taller pictures are made smaller
const SCREEN = 640; // pixels: a mask is drawn at least this wide

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

const session = start();
session.catch(() => {}); // who asks for a prediction hears of an error

onmessage = async ({ data }) => {
  try {
    postMessage(await predict(data.photo, data.background));
  } catch (error) {
    postMessage({ failure: error.message });
  }
};

async function start() {
  ort.env.wasm.numThreads = 1; // more need HTTP headers that most hosts do not send
  ort.env.wasm.wasmBinary = await download("ort.wasm");
  return ort.InferenceSession.create(await download("maskdepthnet.onnx"), { executionProviders: ["wasm"] });
}

async function download(name) {
  const response = await fetch(name);
  if (!response.ok) {
    throw new Error(`${name}: the server answered ${response.status}`);
  }
  const reader = response.body.getReader();
  const parts = [];
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    postMessage({ loaded: part.value.length });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function predict(photo, background) {
  const network = await session;
  const begin = performance.now();
  const { width, height } = photo;
  const scale = Math.min(SIZE / width, (TALLEST * SIZE) / height);
  const small = { width: Math.max(1, round(width * scale)), height: Math.max(1, round(height * scale)) };
  const outputs = await network.run({ image: toTensor(photo, small), background: toTensor(background, small) });
  // Its metres hold for a picture 160 pixels wide. A tall one is narrower, so things look farther than they are.
  const depth = resize(outputs.depth.data, 1, small, photo).map((metres) => (metres * small.width) / SIZE);
  // Logits are enlarged, not probabilities: their step at an edge is steeper, which keeps the edge sharper.
  const logits = outputs.mask.data.map((p) => Math.log(Math.max(p, 1e-30) / Math.max(1 - p, 3e-8)));
  const mask = resize(logits, 1, small, photo).map(sigmoid);
  const factor = Math.max(1, Math.ceil(SCREEN / width));
  const screen = { width: factor * width, height: factor * height };
  const smooth = { ...screen, mask: factor === 1 ? mask : resize(logits, 1, small, screen).map(sigmoid) };
  return { mask, depth, smooth, milliseconds: performance.now() - begin };
}

/* Red, green and blue from 0 to 1, one colour after the other, as the network expects them. */
function toTensor(picture, { width, height }) {
  const pixels = resize(picture.data, 4, picture, { width, height });
  const area = width * height;
  const values = Float32Array.from({ length: 3 * area }, (_, i) => {
    return Math.round(pixels[4 * (i % area) + Math.floor(i / area)]) / 255;
  });
  return new ort.Tensor("float32", values, [1, 3, height, width]);
}

/* A picture's values, `channels` for each pixel, at another size: averaged over areas if made smaller, interpolated if
   made larger, as OpenCV does. First along the rows, then along the columns. */
function resize(values, channels, from, to) {
  if (from.width === to.width && from.height === to.height) {
    return Float32Array.from(values);
  }
  const mix = to.width * to.height < from.width * from.height ? coveredPixels : nearestPixels;
  const wide = new Float32Array(from.height * to.width * channels);
  mix(from.width, to.width).forEach(({ first, weights }, x) => {
    for (let y = 0; y < from.height; y++) {
      const [source, target] = [(y * from.width + first) * channels, (y * to.width + x) * channels];
      for (let tap = 0; tap < weights.length; tap++) {
        for (let c = 0; c < channels; c++) {
          wide[target + c] += weights[tap] * values[source + tap * channels + c];
        }
      }
    }
  });
  const line = to.width * channels;
  const result = new Float32Array(to.height * line);
  mix(from.height, to.height).forEach(({ first, weights }, y) => {
    for (let tap = 0; tap < weights.length; tap++) {
      for (let i = 0; i < line; i++) {
        result[y * line + i] += weights[tap] * wide[(first + tap) * line + i];
      }
    }
  });
  return result;
}

/* For each new pixel: the old pixels that it covers, each weighted by the covered part of it. */
function coveredPixels(from, to) {
  const step = from / to;
  return Array.from({ length: to }, (_, i) => {
    const [begin, end] = [i * step, Math.min(from, (i + 1) * step)];
    const [first, last] = [Math.floor(begin + 1e-3), Math.ceil(end - 1e-3)];
    const covered = (pixel) => Math.min(pixel + 1, end) - Math.max(pixel, begin);
    return { first, weights: Array.from({ length: last - first }, (_, k) => covered(first + k) / (end - begin)) };
  });
}

/* For each new pixel: the two old pixels on either side of its centre. */
function nearestPixels(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const centre = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    const first = Math.floor(centre);
    return { first, weights: first === centre ? [1] : [first + 1 - centre, centre - first] };
  });
}

/* The nearest whole number; of two equally near ones the even one, as Python takes it. */
function round(x) {
  const up = Math.round(x);
  return up - x === 0.5 && up % 2 ? up - 1 : up;
}
