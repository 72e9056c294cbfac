// --- colors and legend --------------------------------------------------------------------------------------------
let wanted = null;
function showColors() {
  palettes.replaceChildren(...Object.entries(schemes).map(([name, scheme]) => {
    const button = document.createElement("button");
    button.type = "button"; button.textContent = scheme.title; button.dataset.scheme = name; if (scheme.about) button.title = scheme.about;
    button.setAttribute("role", "radio"); button.setAttribute("aria-checked", name === active); button.tabIndex = name === active ? 0 : -1;
    button.setAttribute("aria-busy", name === wanted && name !== active);
    button.addEventListener("click", () => choose(name));
    button.addEventListener("keydown", (event) => {
      const names = Object.keys(schemes), move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!move) return;
      const next = names[(names.indexOf(name) + move + names.length) % names.length];
      choose(next); palettes.querySelector(`[data-scheme=${next}]`).focus();
    });
    return button;
  }));
}
// Colors that take a moment to compute are asked for when they are first wanted; the map keeps its colors until they come.
async function choose(name) {
  wanted = name;
  if (!schemes[name].codes) { showColors(); await fetchCodes(name); }
  if (wanted !== name || !schemes[name]) return;
  wanted = null;
  if (schemes[name].codes) { active = name; hidden = new Set(); }
  showColors(); showLegend(); invalidate();
  if (!working) advise("");
}
async function fetchCodes(name) {
  let sent = null;
  try { sent = await ask({ scheme: name }); } catch (error) { return; }
  if (sent && schemes[name]) schemes[name].codes = codesOf(sent.codes);
}
const codesOf = (text) => new Uint16Array(bytes(text).buffer), MANY_ENTRIES = 24;
let entries = new Map(); // by code: its buttons and its size
function showLegend() {
  const scheme = schemes[active], sizes = new Map();
  if (!scheme || !scheme.codes) return;
  for (let i = 0; i < n; i++) if (!absent[i]) sizes.set(scheme.codes[i], (sizes.get(scheme.codes[i]) || 0) + 1);
  entries = new Map(scheme.names.map((name, code) => [code, name]).filter(([code]) => sizes.has(code)).map(([code, name]) => [code, entry(code, name, sizes.get(code), scheme.abouts && scheme.abouts[code])]));
  legend.replaceChildren(everyone(), ...(entries.size > MANY_ENTRIES ? [finder()] : []), ...[...entries.values()].map((e) => e.box));
  legend.toggleAttribute("data-many", entries.size > MANY_ENTRIES);
  countLegend();
}
function button(kind, label, press) {
  const made = document.createElement("button");
  made.type = "button"; made.className = kind; made.addEventListener("click", press);
  if (label) { made.title = label; made.setAttribute("aria-label", label); }
  return made;
}
const EYE = `<svg viewBox="0 0 20 20" aria-hidden="true"><path d="M2.500 10c1.800-3.300 4.300-5 7.500-5s5.700 1.700 7.500 5c-1.800 3.300-4.300 5-7.500 5s-5.700-1.700-7.500-5Z"/><circle cx="10" cy="10" r="2.300"/><path class="off" d="M4 16 16 4"/></svg>`;
function entry(code, name, size, about) {
  const box = document.createElement("span"), mark = document.createElement("canvas"), g = mark.getContext("2d"), share = document.createElement("small");
  mark.width = mark.height = 28; g.scale(2, 2); trace(g, shapeOf(code), 7, 7, 4.6); g.fillStyle = colorOf(code); g.fill();
  share.style.minWidth = `${shareOf(size, size).length * 0.5}em`; // so that counting moves nothing
  const pick = button("pick", "", (event) => selectGroup(code, event)), eye = button("eye", root.dataset.show.replace("#", name), () => show(code, hidden.has(code)));
  pick.append(mark, name, share); pick.title = about || root.dataset.pick.replace("#", name); eye.innerHTML = EYE;
  box.className = "entry"; box.dataset.name = name.toLowerCase(); box.append(eye, pick);
  return { box, pick, eye, share, size };
}
const shareOf = (some, all) => (some ? root.dataset.share.replace("#", some.toLocaleString("en")) : "#").replace("#", all.toLocaleString("en"));
function selectGroup(code, event) {
  const hit = new Uint8Array(n), codes = schemes[active].codes;
  if (hidden.has(code)) show(code, true);
  for (let i = 0; i < n; i++) if (codes[i] === code && free(i)) hit[i] = 1;
  combine(hit, event);
}
function show(code, on) { on ? hidden.delete(code) : hidden.add(code); tellHidden(); invalidate(false); }
function everyone() {
  const made = button("all", root.dataset.showall, () => { hidden = new Set(hidden.size ? [] : entries.keys()); tellHidden(); invalidate(false); });
  made.innerHTML = EYE; made.append(root.dataset.all);
  return made;
}
function finder() {
  const box = document.createElement("input");
  box.type = "search"; box.placeholder = root.dataset.find; box.setAttribute("aria-label", root.dataset.find);
  box.addEventListener("input", () => { for (const e of entries.values()) e.box.hidden = !e.box.dataset.name.includes(box.value.trim().toLowerCase()); });
  return box;
}
function tellHidden() {
  for (const [code, e] of entries) { e.eye.setAttribute("aria-pressed", !hidden.has(code)); e.box.toggleAttribute("data-hidden", hidden.has(code)); }
  if (legend.firstChild) legend.firstChild.setAttribute("aria-pressed", !hidden.size);
}
// Says how many of each group are selected, and lets groups be selected only while no request runs.
function countLegend() {
  const codes = schemes[active] && schemes[active].codes, some = new Map();
  if (!codes) return;
  for (let i = 0; i < n; i++) if (picked[i] && !absent[i]) some.set(codes[i], (some.get(codes[i]) || 0) + 1);
  for (const [code, e] of entries) {
    e.share.textContent = shareOf(some.get(code), e.size); e.box.toggleAttribute("data-some", some.has(code)); e.pick.disabled = working;
  }
  tellHidden();
}
