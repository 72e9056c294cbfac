// The movable threshold of the membership test: the page holds all scores, so the line responds at once.
// Property names are never written as quoted strings here: Gradio would take them for events of the component.
const BINS = 40, HEIGHT = 230, BASE = 118, TALL = 92, SIDE = 8;
const within = (list, share) => list[Math.min(list.length - 1, Math.max(0, Math.round(share * (list.length - 1))))];
const ascending = (a, b) => a - b;

function chosen(figure) {
  const pick = (name) => figure.querySelector(`input[data-${name}]:checked`).dataset[name];
  const attack = JSON.parse(figure.dataset.scores)[pick(`attack`)];
  const all = Object.values(attack).flatMap((m) => [...m.members, ...m.others]).sort(ascending);
  const low = all.length ? within(all, 0.01) : 0, high = all.length ? within(all, 0.99) : 1;
  return { ...attack[pick(`model`)], low, high: high > low ? high : low + 1 };
}
function counts(list, low, high) {
  const bins = new Array(BINS).fill(0);
  for (const value of list) bins[Math.min(BINS - 1, Math.max(0, Math.floor((value - low) / (high - low) * BINS)))] += 1 / list.length;
  return bins;
}
function bars(bins, width, top, up, caught, at) {
  const step = (width - 2 * SIDE) / BINS;
  return bins.map((share, i) => {
    const h = TALL * share / top, x = SIDE + i * step;
    return h ? `<rect class="${caught}${(i + 0.5) / BINS >= at ? ` on` : ``}" x="${x + 0.8}" width="${Math.max(1, step - 1.6)}" y="${up ? BASE - 3 - h : BASE + 3}" height="${h}" rx="1.500"/>` : ``;
  }).join(``);
}
function draw(figure) {
  const words = JSON.parse(figure.dataset.words), { members, others, low, high } = chosen(figure);
  const place = figure.querySelector(`.lm-drawing`), width = place.clientWidth || 720;
  const slider = figure.querySelector(`input[type=range]`), at = slider.value / slider.max, threshold = low + at * (high - low);
  const a = counts(members, low, high), b = counts(others, low, high), top = Math.max(...a, ...b, 0.001), x = SIDE + at * (width - 2 * SIDE);
  place.innerHTML = `<svg viewBox="0 0 ${width} ${HEIGHT}"><text x="${SIDE}" y="14">${words.members} (${members.length})</text>`
    + `<text x="${SIDE}" y="${HEIGHT - 4}">${words.others} (${others.length})</text>${bars(a, width, top, true, `member`, at)}${bars(b, width, top, false, `other`, at)}`
    + `<path class="base" d="M${SIDE} ${BASE}H${width - SIDE}"/><path class="line" d="M${x} 20V${HEIGHT - 18}"/></svg>`;
  const share = (list) => list.length ? Math.round(100 * list.filter((v) => at === 0 || v >= threshold).length / list.length) : 0;
  const said = words.readout.replace(`#`, share(members)).replace(`#`, share(others));
  figure.querySelector(`.lm-readout`).textContent = said;
  slider.setAttribute(`aria-valuetext`, said);
}
const redraw = () => { const figure = element.querySelector(`.lm-threshold`); if (figure) draw(figure); };
element.addEventListener(`input`, redraw);
element.addEventListener(`change`, redraw);
new ResizeObserver(redraw).observe(element);
watch(Object.keys({ value: 1 }), redraw);
redraw();
