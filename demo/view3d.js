/* Points in space that can be turned, drawn by WebGL: each pixel of the photo stands where its depth puts it. */

const VERTEX_SHADER = `
  attribute vec3 position;
  attribute vec3 color;
  uniform vec2 turn;      // radians: to the side, and up
  uniform float pivot;    // metres: the depth around which the points turn
  uniform float distance; // metres from the eye to it
  uniform vec2 focal;     // of the view, in halves of its width and height
  uniform float spacing;  // between the pixels' rays, times the view's focal length in pixels
  varying vec3 shade;
  void main() {
    vec3 p = position - vec3(0.0, 0.0, pivot);
    p.xz = mat2(cos(turn.x), -sin(turn.x), sin(turn.x), cos(turn.x)) * p.xz;
    p.yz = mat2(cos(turn.y), sin(turn.y), -sin(turn.y), cos(turn.y)) * p.yz;
    p.z += distance;
    gl_Position = vec4(focal.x * p.x, -focal.y * p.y, p.z - 0.2, p.z);
    gl_PointSize = clamp(1.7 * spacing * position.z / p.z, 1.0, 64.0);
    shade = color;
  }`;
const FRAGMENT_SHADER = `
  precision mediump float;
  varying vec3 shade;
  void main() { gl_FragColor = vec4(shade, 1.0); }`;
const SLOPE = Math.tan(Math.PI / 6); // of the outermost rays of a camera with a field of view of 60 degrees
const FINEST = 256; // points along the longer side
const STEEPEST = 0.1; // change of the depth from point to point on one surface
const START = { side: 0.35, up: 0.15, away: 1.3 };

export function createView(canvas) {
  const gl = canvas.getContext("webgl", { antialias: false });
  if (!gl) {
    return null;
  }
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  gl.enable(gl.DEPTH_TEST);
  const uniform = (name) => gl.getUniformLocation(program, name);
  const buffers = { position: gl.createBuffer(), color: gl.createBuffer() };
  const pose = { ...START };
  let count = 0;
  let pivot = 3;
  let columns = 1;
  let wanted = 0;

  function fill(name, values, type) {
    const place = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 3, type, type === gl.UNSIGNED_BYTE, 0, 0);
  }

  /* Show a photo, ImageData, whose pixels have these depths in metres. */
  function show(photo, depth) {
    const { width, height, data } = photo;
    const step = Math.ceil(Math.max(width, height) / FINEST);
    columns = Math.ceil(width / step);
    pivot = depth.slice().sort()[depth.length >> 1];
    const [positions, colors] = [[], []];
    for (let y = step; y < height - step; y += step) {
      for (let x = step; x < width - step; x += step) {
        const pixel = y * width + x;
        const z = depth[pixel];
        const around = [-step, step, -step * width, step * width].map((offset) => depth[pixel + offset]);
        if (around.every((other) => Math.abs(other - z) < STEEPEST * z)) { // nothing is between an object and its wall
          const scale = (2 * SLOPE * z) / width; // metres per pixel
          positions.push((x + 0.5 - width / 2) * scale, (y + 0.5 - height / 2) * scale, z);
          colors.push(...data.subarray(4 * pixel, 4 * pixel + 3));
        }
      }
    }
    count = positions.length / 3;
    fill("position", new Float32Array(positions), gl.FLOAT);
    fill("color", new Uint8Array(colors), gl.UNSIGNED_BYTE);
    reset();
  }

  function draw() {
    wanted = 0;
    const sharpness = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * sharpness);
    canvas.height = Math.round(canvas.clientHeight * sharpness);
    const focal = Math.min(canvas.width, canvas.height) / 2 / SLOPE; // pixels
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniform2f(uniform("turn"), pose.side, pose.up);
    gl.uniform1f(uniform("pivot"), pivot);
    gl.uniform1f(uniform("distance"), pivot * pose.away);
    gl.uniform2f(uniform("focal"), (2 * focal) / canvas.width, (2 * focal) / canvas.height);
    gl.uniform1f(uniform("spacing"), ((2 * SLOPE) / columns) * focal);
    gl.drawArrays(gl.POINTS, 0, count);
  }

  function redraw() {
    wanted ||= requestAnimationFrame(draw);
  }

  /* Turn by radians to the side and up, and come nearer by a factor. */
  function move(side, up, factor = 1) {
    pose.side = Math.min(Math.max(pose.side + side, -1.5), 1.5);
    pose.up = Math.min(Math.max(pose.up + up, -1), 1.5);
    pose.away = Math.min(Math.max(pose.away / factor, 0.3), 4);
    redraw();
  }

  function reset() {
    Object.assign(pose, START);
    redraw();
  }

  const keys = {
    ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1],
    "+": [0, 0, 1.2], "-": [0, 0, 1 / 1.2],
  };
  canvas.addEventListener("keydown", (event) => {
    if (keys[event.key]) {
      event.preventDefault();
      move(...keys[event.key]);
    }
  });
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) {
      move((3 * event.movementX) / canvas.clientWidth, (2 * event.movementY) / canvas.clientHeight);
    }
  });
  new ResizeObserver(redraw).observe(canvas);
  return { show, move, reset };
}
