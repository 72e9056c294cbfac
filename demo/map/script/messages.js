// --- from Python --------------------------------------------------------------------------------------------------
function readPaint() {
  if (!props.paint) return;
  const sent = JSON.parse(props.paint), known = Object.keys(schemes).join();
  schemes = Object.fromEntries(Object.entries(sent.schemes).map(([key, s]) => [key, { ...s, late: !s.codes, codes: s.codes ? codesOf(s.codes) : (schemes[key] || {}).codes }]));
  if (!schemes[active] || known !== Object.keys(schemes).join()) { active = sent.active; hidden = new Set(); }
  cards.clear(); refused.clear(); showColors(); showLegend(); relock(); invalidate();
  if (schemes[active].late) fetchCodes(active).then(() => { showLegend(); invalidate(); });
}
// A picture of one's own that is gone leaves its place behind only until the next selection; a row that another one takes is a new picture.
function readOwn() {
  const places = new Map((props.own ? JSON.parse(props.own) : []).map(([row, x, y]) => [row, [x, y]]));
  for (let i = filed; i < n; i++) {
    const [x, y] = places.get(i) || [0, 0];
    if (here[i] && places.has(i) && Math.fround(x) === xs[i] && Math.fround(y) === ys[i]) continue;
    if (here[i] && !places.has(i)) ghosts.set(i, [xs[i], ys[i]]); else ghosts.delete(i);
    here[i] = places.has(i); xs[i] = x; ys[i] = y; picked[i] &= here[i]; dropPicture(i);
  }
  tellAbsent(); buildGrid(); tally(); showLegend(); invalidate();
}
function tellAbsent() {
  for (let i = 0; i < n; i++) { absent[i] = forgotten[i] || !here[i]; if (absent[i]) dropPicture(i); }
}
function readMarks() {
  if (!props.marks) return;
  const sent = JSON.parse(props.marks), left = sent.forgotten !== lastForgotten;
  if (left) { lastForgotten = sent.forgotten; forgotten = bitsOf(lastForgotten, n); tellAbsent(); }
  touched = new Set(sent.touched); done = new Set(sent.done); working = sent.working;
  if (sent.recent !== latest) { latest = sent.recent; recent = rowsOf(bitsOf(latest, n)); crossed = recent.length > 0; }
  root.toggleAttribute("data-working", working);
  advise(working ? advice : ""); countLegend(); relock(); beat();
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
    filed = flat.length / 2; n = Math.max(filed, props.n || 0); xs = new Float32Array(n); ys = new Float32Array(n);
    for (let i = 0; i < filed; i++) { xs[i] = flat[2 * i]; ys[i] = flat[2 * i + 1]; }
  } catch (error) {
    root.toggleAttribute("data-broken", true); root.querySelector(".veil span").textContent = root.dataset.failed; return;
  }
  picked = new Uint8Array(n); forgotten = new Uint8Array(n); here = new Uint8Array(n).fill(1, 0, filed); absent = new Uint8Array(n); lastForgotten = latest = "";
  resize(); readOwn(); readPaint(); readMarks(); readValue();
  root.toggleAttribute("data-ready", true);
  if (waiting) waiting.cancel(); // unseen, it would still be painted
}
watch(Object.keys({ paint: 1 }), () => n && readPaint());
watch(Object.keys({ marks: 1 }), () => n && readMarks());
watch(Object.keys({ value: 1 }), () => n && readValue());
watch(Object.keys({ own: 1 }), () => n && readOwn());
watch(Object.keys({ points: 1 }), load);
new ResizeObserver(resize).observe(stage);
new MutationObserver(() => { invalidate(); showLegend(); }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
root.lmeraser = { position: (i) => [px(i), py(i)], count: total, size: () => n, filed: () => filed };
load();
