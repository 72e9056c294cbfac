// --- gestures -----------------------------------------------------------------------------------------------------
const pointers = new Map();
let grip = null;
const at = (event) => { const box = stage.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
function spread() { const [a, b] = [...pointers.values()]; return { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, d: Math.hypot(a[0] - b[0], a[1] - b[1]) || 1 }; }
// One finger scrolls the page (the browser does that), taps select; two fingers move and zoom. Drawing or the hand takes one finger, too.
const ours = (event) => event.pointerType !== "touch" || tool === "pan" || stage.hasAttribute("data-drawing");
let tap = null;
stage.addEventListener("pointerdown", (event) => {
  if (event.button > 1 || !n || event.target.closest("button")) return;
  stage.setPointerCapture(event.pointerId); pointers.set(event.pointerId, at(event)); hover(-1);
  tap = pointers.size === 1 && !ours(event) ? at(event) : null;
  if (pointers.size === 2) { path = null; grip = spread(); }
  else if (tool === "pan" || event.button === 1 || working) {
    grip = { pan: ours(event) && at(event), view: { ...view } };
    if (working && tool !== "pan" && event.button === 0) advise("busy");
  }
  else if (!tap) path = [at(event)];
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
    if (Math.hypot(x - last[0], y - last[1]) > 3) { path.push([x, y]); overlay(); }
  } else if (tap && Math.hypot(at(event)[0] - tap[0], at(event)[1] - tap[1]) > 12) { tap = null; if (!working) advise("finger", 5); }
});
function lift(event) {
  const [x, y] = at(event), up = event.type === "pointerup";
  pointers.delete(event.pointerId);
  if (path && up && path.length > 2) lasso(event);
  else if (path && up) pick(x, y, 12, event);
  else if (tap && up && !working) pick(x, y, 20, event);
  path = tap = null;
  if (!pointers.size) grip = null;
  overlay();
}
function lasso(event) {
  const hit = caught();
  if (hit.includes(1)) combine(hit, event); else advise("empty", 5);
}
// Selects the point that was clicked or tapped; a click beside all points clears, a tap there does nothing.
function pick(x, y, reach, event) {
  const i = nearest(x, y, album ? Math.max(reach, album.side * 0.6) : reach), hit = new Uint8Array(n), touch = event.pointerType === "touch";
  if (i >= 0) { hit[i] = 1; if (touch) hover(i); }
  if (i >= 0 || (total() && !touch)) combine(hit, i >= 0 && picked[i] && event.shiftKey ? { altKey: true } : event);
}
stage.addEventListener("pointerup", lift);
stage.addEventListener("pointercancel", lift);
stage.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") hover(-1); });
stage.addEventListener("touchmove", (event) => { if (event.touches.length > 1 && event.cancelable) event.preventDefault(); }, { passive: false }); // the page would scroll
drawer.addEventListener("click", () => {
  drawer.textContent = root.dataset[stage.toggleAttribute("data-drawing") ? "stop" : "draw"];
  if (tool === "pan") root.querySelector("[data-tool=lasso]").click();
  if (!working) advise("");
});
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
