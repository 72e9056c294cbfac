// The map: draws points on a canvas and turns gestures into a selection.
// Property names are never written as quoted strings here: Gradio would take them for events of the component.
const root = element.querySelector(".map"), stage = root.querySelector(".stage"), card = root.querySelector(".card");
// Layers from below: halos of touched clusters, all points, those that stand out (selected, or in a touched cluster), gestures.
const under = root.querySelector(".under"), base = root.querySelector(".points"), front = root.querySelector(".front"), over = root.querySelector(".over"), counter = root.querySelector(".count");
const legend = root.querySelector(".legend"), hint = root.querySelector(".hint"), palettes = root.querySelector(".colors"), operation = root.querySelector(".op select");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const COLORS = ["#2f6db3", "#d97a1f", "#1d9270", "#b33f7d", "#7757b4", "#9c8412", "#3a9fc4", "#8a5637", "#cb4b43", "#5a6d77"];
const DARK = ["#74a9e8", "#f0a252", "#4fc7a1", "#e07fb4", "#ab92e4", "#d3bd4d", "#6fcbea", "#c2906f", "#f0857e", "#9db1bb"];
const NOWHERE = 65535, SHAPES = 6, PAD = 26;

const POINTS = 1, HALOS = 2, FRONT = 3, MANY = 6000;
let n = 0, xs = new Float32Array(0), ys = new Float32Array(0), grid = null;
let schemes = {}, active = null, hidden = new Set();
let picked = new Uint8Array(0), forgotten = new Uint8Array(0), lastForgotten = "", recent = [], latest = "", recentSince = 0;
let touched = new Set(), locked = null, working = false;
let width = 0, height = 0, ratio = 1, sx = 1, sy = 1, view = { k: 1, x: 0, y: 0 }, moved = false;
let tool = stage.dataset.tool = "lasso", path = null, sprites = new Map(), stale = new Set(), pulse = null, hovered = -1, frame = 0, running = false;
const cards = new Map();

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
  const foot = hint.offsetHeight ? 18 : 0; // the hint lies below the points, where there is one
  sx = Math.max(10, width - 2 * PAD); sy = Math.max(10, height - 2 * PAD - foot);
  if (sx > sy * 1.7) sx = sy * 1.7;
  if (sy > sx * 1.4) sy = sx * 1.4;
  view = { k: 1, x: (width - sx) / 2, y: (height - foot - sy) / 2 }; moved = false;
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
  for (const canvas of [under, base, front, over]) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
  if (!moved) fit(); else { view.x += (width - oldW) / 2; view.y += (height - oldH) / 2; }
  invalidate();
}

// --- drawing ------------------------------------------------------------------------------------------------------
const dark = () => document.body.classList.contains("dark") || document.documentElement.classList.contains("dark");
const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
function trace(g, shape, x, y, r) {
  const q = r * 1.16;
  g.beginPath();
  if (shape === 0) g.arc(x, y, r, 0, 7);
  else if (shape === 1) g.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
  else if (shape === 2) { g.moveTo(x, y - q); g.lineTo(x + q, y + q * 0.8); g.lineTo(x - q, y + q * 0.8); }
  else if (shape === 3) { g.moveTo(x, y - r * 1.3); g.lineTo(x + r * 1.3, y); g.lineTo(x, y + r * 1.3); g.lineTo(x - r * 1.3, y); }
  else if (shape === 4) { g.moveTo(x, y + q); g.lineTo(x + q, y - q * 0.8); g.lineTo(x - q, y - q * 0.8); }
  else { const a = r * 0.44; g.rect(x - a, y - q, 2 * a, 2 * q); g.rect(x - q, y - a, 2 * q, 2 * a); }
  g.closePath();
}
const colorOf = (code) => code === NOWHERE ? (dark() ? "#6b7d83" : "#9aa9ae") : (dark() ? DARK : COLORS)[code % COLORS.length];
const shapeOf = (code) => code === NOWHERE ? 0 : (code + Math.floor(code / COLORS.length)) % SHAPES;
function sprite(code, chosen, r) {
  const key = (code === NOWHERE ? -1 : code % 60) + (chosen ? 1000 : 0);
  let made = sprites.get(key);
  if (made) return made;
  const size = Math.ceil((r * 1.35 + (chosen ? 4.5 : 1)) * 2 * ratio), g = (made = document.createElement("canvas")).getContext("2d");
  made.width = made.height = size; g.scale(ratio, ratio);
  const c = size / ratio / 2;
  if (chosen) { trace(g, shapeOf(code), c, c, r + 2.6); g.fillStyle = css("--ink"); g.fill(); trace(g, shapeOf(code), c, c, r + 1.2); g.fillStyle = css("--field"); g.fill(); }
  trace(g, shapeOf(code), c, c, r); g.fillStyle = colorOf(code); g.fill();
  sprites.set(key, made);
  return made;
}
// Only layers that changed are redrawn: all points together cost the most, so a selection leaves them alone.
function redraw(...layers) {
  for (const layer of layers) stale.add(layer);
  if (!frame) frame = requestAnimationFrame(() => { frame = 0; draw(); });
}
function invalidate(fresh_sprites = true) {
  if (fresh_sprites) sprites.clear();
  redraw(POINTS, HALOS, FRONT);
}
function draw() {
  const g = front.getContext("2d"), codes = schemes[active] && schemes[active].codes;
  if (!n || !codes) return;
  if (stale.has(POINTS)) paintPoints(base.getContext("2d"), codes);
  if (stale.has(HALOS)) contour();
  if (stale.has(FRONT)) paintFront(g, codes);
  stale.clear();
  overlay(performance.now());
}
function stamper(g, codes) {
  const r = radius();
  g.setTransform(ratio, 0, 0, ratio, 0, 0); g.clearRect(0, 0, width, height);
  return (i, chosen) => {
    const x = px(i), y = py(i);
    if (x < -9 || y < -9 || x > width + 9 || y > height + 9) return;
    const picture = sprite(codes[i], chosen, r), size = picture.width / ratio;
    g.drawImage(picture, x - size / 2, y - size / 2, size, size);
  };
}
// Many points are set pixel by pixel: without a graphics card that takes a tenth of the time of as many drawn images.
function pixelStamp(code, faint) {
  const picture = sprite(code, false, radius()), size = picture.width, data = picture.getContext("2d").getImageData(0, 0, size, size);
  if (faint) for (let i = 3; i < data.data.length; i += 4) data.data[i] *= 0.07;
  return { size, pixels: new Uint32Array(data.data.buffer) };
}
function over32(p, q) {
  const a = p >>> 24, b = 255 - a, mix = (shift) => ((((p >>> shift) & 255) * a + ((q >>> shift) & 255) * b) / 255) << shift;
  return (mix(0) | mix(8) | mix(16) | (Math.max(a, q >>> 24) << 24)) >>> 0;
}
function setPixels(g, codes, ...passes) {
  const w = g.canvas.width, h = g.canvas.height, image = new ImageData(w, h), out = new Uint32Array(image.data.buffer);
  for (const { wanted, faint } of passes) {
    const stamps = new Map();
    for (let i = 0; i < n; i++) {
      if (forgotten[i] || !wanted(i)) continue;
      const code = codes[i], key = code === NOWHERE ? -1 : code % 60;
      let stamp = stamps.get(key);
      if (!stamp) stamps.set(key, (stamp = pixelStamp(code, faint)));
      const { size, pixels } = stamp, left = Math.round(px(i) * ratio - size / 2), top = Math.round(py(i) * ratio - size / 2);
      if (left < 0 || top < 0 || left + size > w || top + size > h) continue;
      for (let y = 0, from = 0, to = top * w + left; y < size; y++, to += w - size) for (let x = 0; x < size; x++, from++, to++) {
        const p = pixels[from], a = p >>> 24;
        if (a === 255 || (a && !out[to])) out[to] = p; else if (a) out[to] = over32(p, out[to]);
      }
    }
  }
  g.putImageData(image, 0, 0);
}
function paintPoints(g, codes) {
  const shown = (i) => !hidden.has(codes[i]), unwanted = (i) => hidden.has(codes[i]);
  if (n >= MANY) return setPixels(g, codes, ...(hidden.size ? [{ wanted: unwanted, faint: true }] : []), { wanted: shown });
  const stamp = stamper(g, codes);
  g.globalAlpha = 0.07;
  if (hidden.size) for (let i = 0; i < n; i++) if (!forgotten[i] && unwanted(i)) stamp(i, false);
  g.globalAlpha = 0.92;
  for (let i = 0; i < n; i++) if (!forgotten[i] && shown(i)) stamp(i, false);
}
function paintFront(g, codes) {
  const stamp = stamper(g, codes), wanted = (i) => locked[i] && !picked[i] && !hidden.has(codes[i]);
  base.style.opacity = locked ? 0.26 : 1;
  g.globalAlpha = 0.92;
  if (locked && n >= MANY) setPixels(g, codes, { wanted });
  else if (locked) for (let i = 0; i < n; i++) if (!forgotten[i] && wanted(i)) stamp(i, false);
  g.globalAlpha = 1;
  for (let i = 0; i < n; i++) if (picked[i] && !forgotten[i]) stamp(i, true);
}
function contour() {
  const clusters = schemes.cluster && schemes.cluster.codes, g = under.getContext("2d"), r = radius() + 6;
  g.clearRect(0, 0, under.width, under.height);
  if (!clusters || !touched.size) return;
  const groups = new Map();
  let members = 0;
  for (let i = 0; i < n; i++) if (!forgotten[i] && touched.has(clusters[i])) { members++; if (!groups.has(clusters[i])) groups.set(clusters[i], []); groups.get(clusters[i]).push(i); }
  if (members > 4000) return;
  const color = css("--halo"), part = document.createElement("canvas"), p = part.getContext("2d");
  part.width = under.width; part.height = under.height; p.scale(ratio, ratio);
  for (const rows of groups.values()) {
    const discs = (q) => { const d = new Path2D(); for (const i of rows) { d.moveTo(px(i) + q, py(i)); d.arc(px(i), py(i), q, 0, 7); } return d; };
    p.globalCompositeOperation = "source-over"; p.clearRect(0, 0, width, height);
    p.fillStyle = color; p.globalAlpha = touched.size > 12 ? 0.5 : 1; p.fill(discs(r));
    p.globalCompositeOperation = "destination-out"; p.globalAlpha = 1; p.fill(discs(r - 1.4));
    p.globalCompositeOperation = "destination-over"; p.globalAlpha = 0.15; p.fill(discs(r - 1));
    g.drawImage(part, 0, 0);
  }
}
function beat() {
  if (working && !pulse && !still.matches) pulse = under.animate([{ opacity: 1 }, { opacity: 0.25 }, { opacity: 1 }], { duration: 1300, iterations: Infinity });
  if (!working && pulse) { pulse.cancel(); pulse = null; }
}
function overlay(now) {
  const g = over.getContext("2d");
  g.setTransform(1, 0, 0, 1, 0, 0); g.clearRect(0, 0, over.width, over.height);
  if (!n) return;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  const age = now - recentSince, fading = recent.length && age < 4200;
  if (fading) crosses(g, still.matches ? 1 : Math.max(0, Math.min(1, (4200 - age) / 1600)));
  g.globalAlpha = 1;
  if (path) outline(g);
  else if (hovered >= 0) { trace(g, 0, px(hovered), py(hovered), radius() + 5); g.strokeStyle = css("--ink"); g.lineWidth = 1.6; g.stroke(); }
  animate(fading);
}
function crosses(g, alpha) {
  const r = radius() + 1.5;
  g.globalAlpha = alpha; g.strokeStyle = css("--ink"); g.lineWidth = 2.2; g.lineCap = "round"; g.beginPath();
  for (const i of recent) { const x = px(i), y = py(i); g.moveTo(x - r, y - r); g.lineTo(x + r, y + r); g.moveTo(x + r, y - r); g.lineTo(x - r, y + r); }
  g.stroke();
}
function outline(g) {
  g.beginPath();
  if (tool === "box") g.rect(path[0][0], path[0][1], path[path.length - 1][0] - path[0][0], path[path.length - 1][1] - path[0][1]);
  else path.forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
  const color = css("--accent");
  g.closePath(); g.fillStyle = color; g.globalAlpha = 0.1; g.fill();
  g.globalAlpha = 1; g.strokeStyle = color; g.lineWidth = 1.6; g.setLineDash([5, 4]); g.stroke(); g.setLineDash([]);
}
function animate(on) {
  if (!on || running) return;
  running = true;
  requestAnimationFrame((now) => { running = false; overlay(now); });
}

// --- selecting ----------------------------------------------------------------------------------------------------
const free = (i) => !forgotten[i] && !(schemes[active] && hidden.has(schemes[active].codes[i]));
function buildGrid() {
  const cells = Math.max(1, Math.min(256, Math.round(Math.sqrt(n / 3)))), heads = new Int32Array(cells * cells).fill(-1), next = new Int32Array(n);
  const cell = (v) => Math.max(0, Math.min(cells - 1, Math.floor(v * cells)));
  for (let i = 0; i < n; i++) { const c = cell(ys[i]) * cells + cell(xs[i]); next[i] = heads[c]; heads[c] = i; }
  grid = { cells, heads, next, cell };
}
function nearest(x, y, reach) {
  if (!grid) return -1;
  const x0 = grid.cell((x - reach - view.x) / (sx * view.k)), x1 = grid.cell((x + reach - view.x) / (sx * view.k));
  const y0 = grid.cell((y - reach - view.y) / (sy * view.k)), y1 = grid.cell((y + reach - view.y) / (sy * view.k));
  let best = -1, limit = reach * reach;
  for (let cy = y0; cy <= y1; cy++) for (let cx = x0; cx <= x1; cx++)
    for (let i = grid.heads[cy * grid.cells + cx]; i >= 0; i = grid.next[i]) {
      if (!free(i)) continue;
      const d = (px(i) - x) ** 2 + (py(i) - y) ** 2;
      if (d < limit) { limit = d; best = i; }
    }
  return best;
}
function inside(polygon, x, y) {
  let odd = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [ax, ay] = polygon[i], [bx, by] = polygon[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}
function caught() {
  const xsP = path.map((p) => p[0]), ysP = path.map((p) => p[1]), hit = new Uint8Array(n);
  let [l, r, t, b] = [Math.min(...xsP), Math.max(...xsP), Math.min(...ysP), Math.max(...ysP)];
  if (tool === "box") { const a = path[0], z = path[path.length - 1]; [l, r, t, b] = [Math.min(a[0], z[0]), Math.max(a[0], z[0]), Math.min(a[1], z[1]), Math.max(a[1], z[1])]; }
  for (let i = 0; i < n; i++) {
    const x = px(i), y = py(i);
    if (x >= l && x <= r && y >= t && y <= b && free(i) && (tool === "box" || inside(path, x, y))) hit[i] = 1;
  }
  return hit;
}
function combine(hit, event) {
  if (working) return;
  const way = event.shiftKey && event.altKey ? "common" : event.shiftKey ? "add" : event.altKey ? "remove" : operation.value;
  for (let i = 0; i < n; i++) picked[i] = way === "add" ? picked[i] | hit[i] : way === "remove" ? picked[i] & ~hit[i] : way === "common" ? picked[i] & hit[i] : hit[i];
  emit();
}
function clear() { if (working) return; picked.fill(0); emit(); }
function total() { let count = 0; for (let i = 0; i < n; i++) count += picked[i]; return count; }
function tally() {
  const count = total();
  counter.textContent = count ? root.dataset.many.replace("#", count.toLocaleString("en")) : root.dataset.none;
  counter.classList.toggle("on", count > 0);
  root.dataset.count = count;
  advise(working && hint.classList.contains("busy"));
  return count;
}
// Below the points: how to select while nothing is selected; and why selecting is disabled while a request runs.
function advise(busy) {
  hint.textContent = busy ? root.dataset.busy : root.dataset.hint;
  hint.classList.toggle("busy", busy);
  hint.style.opacity = busy || root.dataset.count === "0" ? 1 : 0;
}
function emit() {
  const count = tally();
  redraw(FRONT);
  props.value = { n, count, bits: packBits(picked) };
  trigger("select", { count });
}

// --- gestures -----------------------------------------------------------------------------------------------------
const pointers = new Map();
let grip = null;
const at = (event) => { const box = stage.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
function spread() { const [a, b] = [...pointers.values()]; return { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, d: Math.hypot(a[0] - b[0], a[1] - b[1]) || 1 }; }
stage.addEventListener("pointerdown", (event) => {
  if (event.button > 1 || !n) return;
  stage.setPointerCapture(event.pointerId); pointers.set(event.pointerId, at(event)); hover(-1);
  if (pointers.size === 2) { path = null; grip = spread(); }
  else if (tool === "pan" || event.button === 1 || working) {
    grip = { pan: at(event), view: { ...view } };
    if (working && tool !== "pan" && event.button === 0) advise(true);
  }
  else path = [at(event)];
});
stage.addEventListener("pointermove", (event) => {
  if (!pointers.has(event.pointerId)) { if (event.pointerType === "mouse") point(...at(event)); return; }
  pointers.set(event.pointerId, at(event));
  if (pointers.size === 2 && grip && grip.d) {
    const now = spread();
    view.x += now.x - grip.x; view.y += now.y - grip.y; zoomAt(now.x, now.y, now.d / grip.d); grip = now;
  } else if (grip && grip.pan) {
    const [x, y] = at(event);
    view.x = grip.view.x + x - grip.pan[0]; view.y = grip.view.y + y - grip.pan[1]; moved = true; invalidate(false);
  } else if (path) {
    const [x, y] = at(event), last = path[path.length - 1];
    if (Math.hypot(x - last[0], y - last[1]) > 3) { path.push([x, y]); overlay(performance.now()); }
  }
});
function lift(event) {
  pointers.delete(event.pointerId);
  if (path && event.type === "pointerup") {
    const [x, y] = at(event), drag = path.length > 2;
    if (drag) combine(caught(), event);
    else {
      const i = nearest(x, y, event.pointerType === "touch" ? 20 : 12), hit = new Uint8Array(n);
      if (i >= 0) { hit[i] = 1; if (event.pointerType === "touch") point(x, y); }
      if (i >= 0 || total()) combine(hit, i >= 0 && picked[i] && event.shiftKey ? { altKey: true } : event);
    }
  }
  path = null;
  if (!pointers.size) grip = null;
  overlay(performance.now());
}
stage.addEventListener("pointerup", lift);
stage.addEventListener("pointercancel", lift);
stage.addEventListener("pointerleave", () => hover(-1));
stage.addEventListener("wheel", (event) => { event.preventDefault(); zoomAt(...at(event), Math.exp(-event.deltaY * 0.0016)); }, { passive: false });
stage.addEventListener("dblclick", () => { fit(); invalidate(); });
stage.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
  if (step) { view.x += step[0]; view.y += step[1]; moved = true; invalidate(); event.preventDefault(); }
  else if (event.key === "+" || event.key === "=") zoomAt(width / 2, height / 2, 1.3);
  else if (event.key === "-") zoomAt(width / 2, height / 2, 1 / 1.3);
  else if (event.key === "0") { fit(); invalidate(); }
  else if (event.key === "Escape") { path = null; clear(); }
});
root.querySelectorAll("button[data-tool]").forEach((button) => button.addEventListener("click", () => {
  tool = stage.dataset.tool = button.dataset.tool;
  root.querySelectorAll("button[data-tool]").forEach((b) => b.setAttribute("aria-pressed", b === button));
}));
root.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => {
  if (button.dataset.zoom === "fit") { fit(); invalidate(); } else zoomAt(width / 2, height / 2, button.dataset.zoom === "in" ? 1.4 : 1 / 1.4);
}));

// --- hovering -----------------------------------------------------------------------------------------------------
function point(x, y) {
  const i = nearest(x, y, 10);
  if (i !== hovered) hover(i);
}
async function hover(i) {
  hovered = i; overlay(performance.now());
  if (i < 0) { card.hidden = true; return; }
  if (!cards.has(i)) {
    try { cards.set(i, await server.thumbnail({ token: props.token, row: i })); } catch (error) { return; }
  }
  if (hovered !== i || !cards.get(i)) return;
  const { src, title, lines } = cards.get(i);
  card.querySelector("img").src = src; card.querySelector("b").textContent = title; card.querySelector("span").textContent = lines.join("\n");
  card.hidden = false;
  const x = px(i) + 16 + card.offsetWidth > width ? px(i) - 16 - card.offsetWidth : px(i) + 16;
  card.style.transform = `translate(${Math.max(6, x)}px, ${Math.max(6, Math.min(height - card.offsetHeight - 6, py(i) - card.offsetHeight / 2))}px)`;
}

// --- colors and legend --------------------------------------------------------------------------------------------
function showColors() {
  palettes.replaceChildren(...Object.entries(schemes).map(([key, scheme]) => {
    const button = document.createElement("button");
    button.type = "button"; button.textContent = scheme.title; button.dataset.scheme = key;
    button.setAttribute("role", "radio"); button.setAttribute("aria-checked", key === active); button.tabIndex = key === active ? 0 : -1;
    button.addEventListener("click", () => choose(key));
    button.addEventListener("keydown", (event) => {
      const keys = Object.keys(schemes), move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (move) { choose(keys[(keys.indexOf(key) + move + keys.length) % keys.length]); palettes.querySelector("[aria-checked=true]").focus(); }
    });
    return button;
  }));
}
function choose(key) { active = key; hidden = new Set(); showColors(); showLegend(); invalidate(); }
function showLegend() {
  const scheme = schemes[active], sizes = new Map();
  if (!scheme) return;
  for (let i = 0; i < n; i++) if (!forgotten[i]) sizes.set(scheme.codes[i], (sizes.get(scheme.codes[i]) || 0) + 1);
  legend.replaceChildren(everyone(scheme, sizes), ...scheme.names.map((name, code) => [name, code]).filter(([, code]) => sizes.has(code)).map(([name, code]) => {
    const button = document.createElement("button"), mark = document.createElement("canvas"), g = mark.getContext("2d");
    mark.width = mark.height = 28; g.scale(2, 2); trace(g, shapeOf(code), 7, 7, 4.6); g.fillStyle = colorOf(code); g.fill();
    button.type = "button"; button.append(mark, name); button.title = `${name}: ${sizes.get(code).toLocaleString("en")}`;
    button.setAttribute("aria-pressed", !hidden.has(code));
    button.addEventListener("click", () => { hidden.has(code) ? hidden.delete(code) : hidden.add(code); button.setAttribute("aria-pressed", !hidden.has(code)); tellAll(); invalidate(false); });
    return button;
  }));
  tellAll();
}
function everyone(scheme, sizes) {
  const button = document.createElement("button");
  button.type = "button"; button.className = "all"; button.textContent = root.dataset.all;
  button.addEventListener("click", () => { hidden = new Set(hidden.size ? [] : sizes.keys()); showLegend(); invalidate(false); });
  return button;
}
function tellAll() { legend.firstChild.setAttribute("aria-pressed", !hidden.size); }

// --- from Python --------------------------------------------------------------------------------------------------
function readPaint() {
  if (!props.paint) return;
  const sent = JSON.parse(props.paint), known = Object.keys(schemes).join();
  schemes = Object.fromEntries(Object.entries(sent.schemes).map(([key, s]) => [key, { ...s, codes: new Uint16Array(bytes(s.codes).buffer) }]));
  if (!schemes[active] || known !== Object.keys(schemes).join()) { active = sent.active; hidden = new Set(); }
  cards.clear(); showColors(); showLegend(); relock(); invalidate();
}
function readMarks() {
  if (!props.marks) return;
  const sent = JSON.parse(props.marks), left = sent.forgotten !== lastForgotten;
  if (left) { lastForgotten = sent.forgotten; forgotten = bitsOf(lastForgotten, n); }
  touched = new Set(sent.touched); working = sent.working;
  if (sent.recent !== latest) { latest = sent.recent; recent = rowsOf(bitsOf(latest, n)); recentSince = performance.now(); }
  root.toggleAttribute("data-working", working);
  if (!working) advise(false);
  relock(); beat();
  if (left) { showLegend(); invalidate(); } else redraw(HALOS, FRONT);
}
function relock() {
  const clusters = schemes.cluster && schemes.cluster.codes;
  locked = null;
  if (!touched.size || !clusters) return;
  const chosen = new Uint8Array(NOWHERE + 1);
  touched.forEach((c) => { chosen[c] = 1; });
  locked = new Uint8Array(n);
  for (let i = 0; i < n; i++) locked[i] = chosen[clusters[i]];
}
function readValue() {
  const sent = props.value;
  picked = sent && sent.bits && sent.n === n ? bitsOf(sent.bits, n) : new Uint8Array(n);
  tally(); redraw(FRONT);
}
const waiting = still.matches ? null : root.querySelector(".veil i").animate([{ backgroundPosition: "-60px 0" }, { backgroundPosition: "120px 0" }], { duration: 1200, iterations: Infinity });
async function load() {
  if (!props.points) return;
  const config = window.gradio_config || {};
  try {
    const answer = await fetch((config.root || "") + (config.api_prefix || "/gradio_api") + "/file=" + props.points);
    if (!answer.ok) throw new Error(answer.status);
    const flat = new Float32Array(await answer.arrayBuffer());
    n = flat.length / 2; xs = flat.filter((_, i) => i % 2 === 0); ys = flat.filter((_, i) => i % 2 === 1);
  } catch (error) {
    root.toggleAttribute("data-broken", true); root.querySelector(".veil span").textContent = root.dataset.failed; return;
  }
  picked = new Uint8Array(n); forgotten = new Uint8Array(n); lastForgotten = latest = "";
  buildGrid(); resize(); readPaint(); readMarks(); readValue();
  root.toggleAttribute("data-ready", true);
  if (waiting) waiting.cancel(); // unseen, it would still be painted
}
watch(Object.keys({ paint: 1 }), () => n && readPaint());
watch(Object.keys({ marks: 1 }), () => n && readMarks());
watch(Object.keys({ value: 1 }), () => n && readValue());
watch(Object.keys({ points: 1 }), load);
new ResizeObserver(resize).observe(stage);
new MutationObserver(() => { invalidate(); showLegend(); }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
root.lmeraser = { position: (i) => [px(i), py(i)], count: total, size: () => n };
load();
