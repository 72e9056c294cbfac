// The map: draws points on a canvas and turns gestures into a selection. component.py joins the files of this folder in one scope.
// Property names are never written as quoted strings here: Gradio would take them for events of the component.
const root = element.querySelector(".map"), stage = root.querySelector(".stage"), card = root.querySelector(".card");
// Layers from below: halos of clusters that are still to be retrained, of those that have been, all points, those that stand out
// (in a touched cluster, a visitor's own, forgotten just now, selected), gestures.
const under = root.querySelector(".under"), base = root.querySelector(".points"), front = root.querySelector(".front"), over = root.querySelector(".over"), counter = root.querySelector(".count");
const lit = root.querySelector(".lit"), key = root.querySelector(".key"), legend = root.querySelector(".legend"), hint = root.querySelector(".hint"), palettes = root.querySelector(".colors");
const operation = root.querySelector(".op select"), drawer = root.querySelector(".draw"), finger = matchMedia("(pointer: coarse)");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const COLORS = ["#2f6db3", "#d97a1f", "#1d9270", "#b33f7d", "#7757b4", "#9c8412", "#3a9fc4", "#8a5637", "#cb4b43", "#5a6d77"];
const DARK = ["#74a9e8", "#f0a252", "#4fc7a1", "#e07fb4", "#ab92e4", "#d3bd4d", "#6fcbea", "#c2906f", "#f0857e", "#9db1bb"];
const LEVELS = ["#8fa3ab", "#5b8fc0", "#8a5fb8", "#cf5a83", "#d9480f"], DARK_LEVELS = ["#5f747c", "#6aa5dc", "#b08be6", "#f07ea6", "#ff9152"]; // of an ordered scheme
const NOWHERE = 65535, SHAPES = 6, PAD = 26;

const POINTS = 1, HALOS = 2, FRONT = 3, MANY = 6000;
// Rows from `filed` on are spare: they stand for a visitor's own pictures, as far as there are any. `absent` rows are not on the map.
let n = 0, filed = 0, xs = new Float32Array(0), ys = new Float32Array(0), here = new Uint8Array(0), absent = new Uint8Array(0), grid = null;
let schemes = {}, active = null, hidden = new Set();
let picked = new Uint8Array(0), forgotten = new Uint8Array(0), lastForgotten = "", recent = [], latest = "", crossed = false;
let touched = new Set(), done = new Set(), locked = null, working = false;
let width = 0, height = 0, ratio = 1, sx = 1, sy = 1, view = { k: 1, x: 0, y: 0 }, moved = false;
let tool = stage.dataset.tool = "lasso", path = null, sprites = new Map(), stale = new Set(), pulse = null, hovered = -1, frame = 0;
const cards = new Map(), ghosts = new Map(); // ghosts: where one's own pictures lay that were forgotten just now
const ask = (what) => server.thumbnail({ token: props.token, ...what });

// --- codes --------------------------------------------------------------------------------------------------------
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const bitsOf = (text, size) => {
  const packed = bytes(text), out = new Uint8Array(size);
  for (let i = 0; i < size; i++) out[i] = (packed[i >> 3] >> (i & 7)) & 1;
  return out;
};
const rowsOf = (mask) => { const rows = []; for (let i = 0; i < mask.length; i++) if (mask[i]) rows.push(i); return rows; };
const packBits = (mask) => {
  const packed = new Uint8Array((mask.length + 7) >> 3);
  for (let i = 0; i < mask.length; i++) if (mask[i]) packed[i >> 3] |= 1 << (i & 7);
  let text = "";
  for (let i = 0; i < packed.length; i += 8192) text += String.fromCharCode(...packed.subarray(i, i + 8192));
  return btoa(text);
};

// --- view ---------------------------------------------------------------------------------------------------------
const px = (i) => xs[i] * sx * view.k + view.x;
const py = (i) => ys[i] * sy * view.k + view.y;
const radius = () => Math.max(1.3, Math.min(4.6, 0.30 * Math.sqrt((width * height) / Math.max(n, 1)))) * Math.min(2.2, Math.pow(view.k, 0.35));
function fit() {
  const foot = 18, top = drawer.offsetHeight ? 34 : 0; // for the hint, and the button where there is one
  sx = Math.max(10, width - 2 * PAD); sy = Math.max(10, height - 2 * PAD - foot - top);
  if (sx > sy * 1.7) sx = sy * 1.7;
  if (sy > sx * 1.4) sy = sx * 1.4;
  view = { k: 1, x: (width - sx) / 2, y: (height + top - foot - sy) / 2 }; moved = false;
}
function zoomAt(x, y, factor) {
  const k = Math.max(0.7, Math.min(40, view.k * factor)), f = k / view.k;
  view = { k, x: x - (x - view.x) * f, y: y - (y - view.y) * f }; moved = true; invalidate();
}
function resize() {
  const box = stage.getBoundingClientRect();
  if (!box.width || !box.height) return;
  const oldW = width, oldH = height;
  width = box.width; height = box.height; ratio = Math.min(2, devicePixelRatio || 1);
  for (const canvas of [under, lit, base, front, over]) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
  if (!moved) fit(); else { view.x += (width - oldW) / 2; view.y += (height - oldH) / 2; }
  invalidate();
}
