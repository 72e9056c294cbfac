// --- pictures: on hovering, and in place of points where few are in view -------------------------------------------
function point(x, y) {
  const i = nearest(x, y, album ? album.side * 0.6 : 10);
  if (i !== hovered) hover(i);
}
async function hover(i) {
  hovered = i; overlay();
  if (i < 0) { card.hidden = true; return; }
  showCard(i, cards.get(i) || sketch(i));
  if (cards.has(i)) return;
  let sent = null;
  try { sent = await ask({ row: i }); } catch (error) { return; }
  if (sent && !absent[i]) cards.set(i, sent);
  if (hovered === i) { if (sent) showCard(i, sent); else card.hidden = true; }
}
// What the browser knows of a picture before it has it.
function sketch(i) {
  const name = (scheme) => (scheme && scheme.codes && scheme.codes[i] !== NOWHERE ? scheme.names[scheme.codes[i]] : "");
  return { src: pictures.has(i) ? pictures.get(i).src : "", title: schemes.class ? `${schemes.class.title} ${name(schemes.class)}` : "", lines: ["…", name(schemes.cluster)] };
}
function showCard(i, { src, title, lines }) {
  const image = card.querySelector("img");
  if (src) image.src = src; else image.removeAttribute("src");
  card.toggleAttribute("data-waiting", !src);
  card.querySelector("b").textContent = title; card.querySelector("span").textContent = lines.join("\n");
  card.hidden = false;
  const gap = album ? album.side * 0.7 + 8 : 16, x = px(i) + gap + card.offsetWidth > width ? px(i) - gap - card.offsetWidth : px(i) + gap;
  card.style.transform = `translate(${Math.max(6, x)}px, ${Math.max(6, Math.min(height - card.offsetHeight - 6, py(i) - card.offsetHeight / 2))}px)`;
}

const MOST_PICTURES = 150, MOST_KEPT = 900, pictures = new Map(), refused = new Set(); // by row
let album = null, fetching = false, later = 0;
// Finds out whether few enough points are in view to be shown as pictures, and asks for those that are missing.
function openAlbum() {
  const rows = [];
  if (view.k >= 1.6) for (let i = 0; i < n && rows.length <= MOST_PICTURES; i++) {
    if (!free(i)) continue;
    const x = px(i), y = py(i);
    if (x > 0 && y > 0 && x < width && y < height) rows.push(i);
  }
  album = rows.length && rows.length <= MOST_PICTURES ? { rows, side: Math.max(18, Math.min(44, 0.5 * Math.sqrt((width * height) / rows.length))) } : null;
  clearTimeout(later);
  if (album && album.rows.some(missing)) later = setTimeout(fetchPictures, 60);
}
const missing = (i) => !pictures.has(i) && !refused.has(i);
async function fetchPictures() {
  if (fetching || !album) return;
  const rows = album.rows.filter(missing);
  fetching = true;
  try {
    const sent = new Map(((await ask({ rows })) || {}).pictures || []);
    await Promise.all(rows.map(async (i) => { if (sent.has(i)) await keepPicture(i, sent.get(i)); else refused.add(i); }));
  } catch (error) { rows.forEach((i) => refused.add(i)); }
  fetching = false;
  while (pictures.size > MOST_KEPT) pictures.delete(pictures.keys().next().value);
  invalidate(false);
}
async function keepPicture(i, src) {
  const image = new Image();
  image.src = src;
  try { await image.decode(); } catch (error) { refused.add(i); return; }
  if (!absent[i]) pictures.set(i, image);
}
function dropPicture(i) { pictures.delete(i); cards.delete(i); refused.delete(i); if (hovered === i) hover(-1); }
function stampPicture(g, i, code, look) {
  const side = album.side * (look ? 1.2 : 1), x = px(i) - side / 2, y = py(i) - side / 2;
  const frame = (extra, color) => { g.fillStyle = color; g.beginPath(); g.roundRect(x - extra, y - extra, side + 2 * extra, side + 2 * extra, 3 + extra); g.fill(); };
  if (look >= CHOSEN) { g.globalAlpha = 0.3; frame(8, css("--halo")); g.globalAlpha = 1; frame(4.4, css("--ink")); frame(3, css("--sheet")); }
  if (look === OWN) { frame(5, css("--accent")); frame(3, css("--sheet")); }
  frame(2, colorOf(code));
  g.imageSmoothingEnabled = false; g.drawImage(pictures.get(i), x, y, side, side);
  trace(g, shapeOf(code), x + side, y + side, 5.4); g.fillStyle = css("--sheet"); g.fill();
  trace(g, shapeOf(code), x + side, y + side, 4); g.fillStyle = colorOf(code); g.fill();
}
