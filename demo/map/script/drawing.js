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
const ordered = () => Boolean(schemes[active] && schemes[active].ordered);
const colorOf = (code) => {
  if (code === NOWHERE) return dark() ? "#6b7d83" : "#9aa9ae";
  const colors = ordered() ? (dark() ? DARK_LEVELS : LEVELS) : dark() ? DARK : COLORS;
  return colors[code % colors.length];
};
const shapeOf = (code) => code === NOWHERE ? 0 : (code + Math.floor(code / COLORS.length)) % SHAPES;
// How a point is drawn: like most, as one of a visitor's own pictures, as selected, or as one of very many that are.
const PLAIN = 0, OWN = 1, CHOSEN = 2, CROWDED = 3, CROWD = 1500;
function sprite(code, look, r) {
  const name = (code === NOWHERE ? -1 : code % 60) + look * 1000;
  let made = sprites.get(name);
  if (made) return made;
  const large = (look === CROWDED ? r * 1.15 + 0.4 : look ? r * 1.35 + 0.8 : r) * (ordered() && code !== NOWHERE ? 0.85 + 0.16 * code : 1), size = Math.ceil((large * 1.35 + [1, 6, 8, 3][look]) * 2 * ratio);
  const g = (made = document.createElement("canvas")).getContext("2d");
  made.width = made.height = size; g.scale(ratio, ratio);
  const c = size / ratio / 2, ring = (shape, extra, color) => { trace(g, shape, c, c, large + extra); g.fillStyle = color; g.fill(); };
  if (look === CHOSEN) { g.globalAlpha = 0.3; ring(0, 7, css("--halo")); g.globalAlpha = 1; }
  if (look >= CHOSEN) { ring(shapeOf(code), look === CROWDED ? 1.9 : 3, css("--ink")); ring(shapeOf(code), look === CROWDED ? 0.7 : 1.4, css("--sheet")); }
  if (look === OWN) { ring(0, 4, css("--sheet")); g.lineWidth = 2; g.strokeStyle = css("--accent"); g.stroke(); }
  ring(shapeOf(code), 0, colorOf(code));
  sprites.set(name, made);
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
  if (stale.has(POINTS)) { openAlbum(); paintPoints(base.getContext("2d"), codes); }
  if (stale.has(HALOS)) contour();
  if (stale.has(FRONT)) paintFront(g, codes);
  stale.clear();
  overlay();
}
function stamper(g, codes) {
  const r = radius();
  g.setTransform(ratio, 0, 0, ratio, 0, 0); g.clearRect(0, 0, width, height);
  return (i, look) => {
    const x = px(i), y = py(i);
    if (album && pictures.has(i)) return stampPicture(g, i, codes[i], look);
    if (x < -9 || y < -9 || x > width + 9 || y > height + 9) return;
    const picture = sprite(codes[i], look, r), size = picture.width / ratio;
    g.drawImage(picture, x - size / 2, y - size / 2, size, size);
  };
}
// Many points are set pixel by pixel: without a graphics card that takes a tenth of the time of as many drawn images.
function pixelStamp(code, faint, look) {
  const picture = sprite(code, look, radius()), size = picture.width, data = picture.getContext("2d").getImageData(0, 0, size, size);
  if (faint) for (let i = 3; i < data.data.length; i += 4) data.data[i] *= 0.07;
  return { size, pixels: new Uint32Array(data.data.buffer) };
}
function over32(p, q) {
  const a = p >>> 24, b = 255 - a, mix = (shift) => ((((p >>> shift) & 255) * a + ((q >>> shift) & 255) * b) / 255) << shift;
  return (mix(0) | mix(8) | mix(16) | (Math.max(a, q >>> 24) << 24)) >>> 0;
}
function setPixels(g, codes, ...passes) {
  const w = g.canvas.width, h = g.canvas.height, image = new ImageData(w, h), out = new Uint32Array(image.data.buffer);
  for (const { wanted, faint, look = PLAIN } of passes) {
    const stamps = new Map();
    for (let i = 0; i < n; i++) {
      if (absent[i] || !wanted(i)) continue;
      const code = codes[i], key = code === NOWHERE ? -1 : code % 60;
      let stamp = stamps.get(key);
      if (!stamp) stamps.set(key, (stamp = pixelStamp(code, faint, look)));
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
  if (n >= MANY && !album) return setPixels(g, codes, ...(hidden.size ? [{ wanted: unwanted, faint: true }] : []), { wanted: shown });
  const stamp = stamper(g, codes);
  g.globalAlpha = 0.07;
  if (hidden.size && !album) for (let i = 0; i < n; i++) if (!absent[i] && unwanted(i)) stamp(i, PLAIN);
  g.globalAlpha = album ? 1 : 0.92;
  for (let level = 0; level < (ordered() ? LEVELS.length : 1); level++) // the higher, the further in front
    for (let i = 0; i < n; i++) if (!absent[i] && shown(i) && (!ordered() || codes[i] % LEVELS.length === level)) stamp(i, PLAIN);
}
function paintFront(g, codes) {
  const stamp = stamper(g, codes), wanted = (i) => locked[i] && !picked[i] && !hidden.has(codes[i]), clusters = schemes.cluster && schemes.cluster.codes;
  const look = total() > CROWD ? CROWDED : CHOSEN, quick = n >= MANY && !album, chosen = { wanted: (i) => picked[i], look };
  base.style.opacity = locked ? 0.24 : 1;
  if (quick && (locked || look === CROWDED)) setPixels(g, codes, ...(locked ? [{ wanted }] : []), ...(look === CROWDED ? [chosen] : []));
  else if (locked) for (let i = 0; i < n; i++) if (!absent[i] && wanted(i)) { g.globalAlpha = working && !done.has(clusters[i]) ? 0.5 : 0.92; stamp(i, PLAIN); }
  g.globalAlpha = 1;
  for (let i = filed; i < n; i++) if (free(i)) stamp(i, OWN);
  if (crossed) crosses(g);
  if (!quick || look === CHOSEN) for (let i = 0; i < n; i++) if (picked[i] && !absent[i]) stamp(i, look);
}
function contour() {
  const left = new Set([...touched].filter((c) => !done.has(c)));
  const known = schemes.cluster && touched.size ? membersOf(schemes.cluster.codes) : null;
  halos(under.getContext("2d"), left, known, 0.15); halos(lit.getContext("2d"), done, known, 0.42);
}
// Returns the rows of each touched cluster; null where there are too many to draw around.
function membersOf(clusters) {
  const groups = new Map();
  let members = 0;
  for (let i = 0; i < n; i++) if (!absent[i] && touched.has(clusters[i])) { members++; if (!groups.has(clusters[i])) groups.set(clusters[i], []); groups.get(clusters[i]).push(i); }
  return members > 4000 ? null : groups;
}
function halos(g, wanted, groups, filling) {
  g.clearRect(0, 0, under.width, under.height);
  if (!groups || !wanted.size) return;
  const color = css("--halo"), part = document.createElement("canvas"), p = part.getContext("2d"), r = (album ? album.side * 0.7 : radius()) + 6;
  part.width = under.width; part.height = under.height; p.scale(ratio, ratio);
  for (const [cluster, rows] of groups) {
    if (!wanted.has(cluster)) continue;
    const discs = (q) => { const d = new Path2D(); for (const i of rows) { d.moveTo(px(i) + q, py(i)); d.arc(px(i), py(i), q, 0, 7); } return d; };
    p.globalCompositeOperation = "source-over"; p.clearRect(0, 0, width, height);
    p.fillStyle = color; p.globalAlpha = touched.size > 12 ? 0.5 : 1; p.fill(discs(r));
    p.globalCompositeOperation = "destination-out"; p.globalAlpha = 1; p.fill(discs(r - 1.4));
    p.globalCompositeOperation = "destination-over"; p.globalAlpha = filling; p.fill(discs(r - 1));
    g.drawImage(part, 0, 0);
  }
}
function beat() {
  if (working && !pulse && !still.matches) pulse = under.animate([{ opacity: 1 }, { opacity: 0.25 }, { opacity: 1 }], { duration: 1300, iterations: Infinity });
  if (!working && pulse) { pulse.cancel(); pulse = null; }
}
function overlay() {
  const g = over.getContext("2d");
  g.setTransform(1, 0, 0, 1, 0, 0); g.clearRect(0, 0, over.width, over.height);
  if (!n) return;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (path) outline(g);
  else if (hovered >= 0) { trace(g, 0, px(hovered), py(hovered), album ? album.side * 0.75 : radius() + 5); g.strokeStyle = css("--ink"); g.lineWidth = 1.6; g.stroke(); }
}
// Where the pictures of the last request lay, until the next selection.
function crosses(g) {
  const many = recent.length > 40, r = radius() * (many ? 0.9 : 1.1) + 1.5;
  g.lineCap = "round"; g.beginPath();
  for (const i of recent) {
    const ghost = ghosts.get(i);
    if (!here[i] && !ghost) continue;
    const x = ghost ? ghost[0] * sx * view.k + view.x : px(i), y = ghost ? ghost[1] * sy * view.k + view.y : py(i);
    g.moveTo(x - r, y - r); g.lineTo(x + r, y + r); g.moveTo(x + r, y - r); g.lineTo(x - r, y + r);
  }
  g.strokeStyle = css("--field"); g.lineWidth = many ? 3.2 : 4.6; g.stroke(); g.strokeStyle = css("--ink"); g.lineWidth = many ? 1.5 : 2.2; g.stroke();
}
function uncross() { crossed = false; ghosts.clear(); }
function outline(g) {
  g.beginPath();
  if (tool === "box") g.rect(path[0][0], path[0][1], path[path.length - 1][0] - path[0][0], path[path.length - 1][1] - path[0][1]);
  else path.forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
  const color = css("--accent");
  g.closePath(); g.fillStyle = color; g.globalAlpha = 0.1; g.fill();
  g.globalAlpha = 1; g.strokeStyle = color; g.lineWidth = 1.6; g.setLineDash([5, 4]); g.stroke(); g.setLineDash([]);
}
