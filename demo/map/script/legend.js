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
  for (let i = 0; i < n; i++) if (!absent[i]) sizes.set(scheme.codes[i], (sizes.get(scheme.codes[i]) || 0) + 1);
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
