// --- selecting ----------------------------------------------------------------------------------------------------
const free = (i) => !absent[i] && !(schemes[active] && hidden.has(schemes[active].codes[i]));
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
  [l, r, t, b] = [Math.max(l, 0), Math.min(r, width), Math.max(t, 0), Math.min(b, height)]; // what is out of sight is not meant
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
  if (count) uncross();
  countLegend(); advise(working ? advice : "");
  return count;
}
// Below the points: how to select while nothing is selected, what the marks mean when something is, and why a gesture did nothing.
let advice = "", fading = 0;
function advise(about, seconds = 0) {
  const chosen = root.dataset.count !== "0", words = about || (finger.matches ? (stage.hasAttribute("data-drawing") ? "drawing" : "touch") : "hint");
  clearTimeout(fading);
  if (seconds) fading = setTimeout(() => advise(""), 1000 * seconds);
  advice = about;
  hint.textContent = (!about && schemes[active] && schemes[active].about) || root.dataset[words];
  hint.classList.toggle("busy", Boolean(about));
  hint.classList.toggle("on", Boolean(about) || !chosen);
  key.classList.toggle("on", chosen && !about);
  key.querySelector("b").textContent = root.dataset[working ? "retraining" : "retrain"];
  key.toggleAttribute("data-touched", touched.size > 0); key.toggleAttribute("data-done", done.size > 0);
}
function emit() {
  const count = tally();
  redraw(FRONT);
  props.value = { n, count, bits: packBits(picked) };
  trigger("select", { count });
}
