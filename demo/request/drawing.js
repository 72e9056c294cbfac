// A sheet to draw on, or to lay a photo on. What is on it travels as PNG in the component's value, and only when Python asks for it:
// with Ask and Teach. A photo is scaled here, so that no more leaves the browser than the model looks at.
const root = element.querySelector(".drawing"), sheet = root.querySelector(".sheet"), hint = root.querySelector(".blank"), seen = root.querySelector("figure");
const g = sheet.getContext("2d", { willReadFrequently: true }), SIDE = sheet.width;
const strokes = () => props.strokes === "yes";
let last = null, exact = "", examples = 0;

function blank() {
  g.fillStyle = strokes() ? "#000" : "#fff"; g.fillRect(0, 0, SIDE, SIDE);
  g.strokeStyle = strokes() ? "#fff" : "#1b3a6b"; g.lineWidth = SIDE / 9; g.lineCap = g.lineJoin = "round";
  exact = ""; hint.hidden = false; root.toggleAttribute("data-inked", false); seen.hidden = true;
  props.value = "";
}
function inked() {
  hint.hidden = true; root.toggleAttribute("data-inked", true); seen.hidden = true;
  props.value = exact || sheet.toDataURL("image/png");
}
const at = (event) => {
  const box = sheet.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
};
function stroke(from, to) {
  g.beginPath(); g.moveTo(...from); g.lineTo(to[0] + 0.01, to[1]); g.stroke();
}
sheet.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  event.preventDefault(); sheet.setPointerCapture(event.pointerId);
  if (exact) blank();
  last = at(event); hint.hidden = true; stroke(last, last);
});
sheet.addEventListener("pointermove", (event) => {
  if (!last) return;
  for (const step of event.getCoalescedEvents().length ? event.getCoalescedEvents() : [event]) { const to = at(step); stroke(last, to); last = to; }
});
for (const end of ["pointerup", "pointercancel"]) sheet.addEventListener(end, () => { if (last) { last = null; inked(); } });

function lay(source, smooth, send) {
  const picture = new Image();
  picture.onload = () => {
    blank();
    const scale = Math.max(SIDE / picture.width, SIDE / picture.height), w = picture.width * scale, h = picture.height * scale;
    g.imageSmoothingEnabled = smooth; g.drawImage(picture, (SIDE - w) / 2, (SIDE - h) / 2, w, h);
    exact = send || ""; inked();
  };
  picture.onerror = () => { hint.hidden = false; hint.textContent = root.dataset.unreadable; };
  picture.src = source;
}
root.querySelector("input").addEventListener("change", (event) => {
  const file = event.target.files && event.target.files[0];
  event.target.value = "";
  if (file) { const source = URL.createObjectURL(file); lay(source, true, ""); setTimeout(() => URL.revokeObjectURL(source), 10000); }
});
root.querySelector("[data-do=clear]").addEventListener("click", blank);
root.querySelector("[data-do=example]").addEventListener("click", () => {
  const all = JSON.parse(props.examples || "[]");
  if (all.length) { const source = all[examples++ % all.length]; lay(source, false, source); }
});

// What was taught stays here, in the browser, for the result's card: once it is forgotten, the server has no copy.
function keep() {
  if (!props.seen) return;
  const { row, src } = JSON.parse(props.seen);
  if (row !== null) (window.lmeraserTaught = window.lmeraserTaught || {})[row] = src;
  seen.querySelector("img").src = src; seen.hidden = false;
}
watch(Object.keys({ seen: 1 }), keep);
watch(Object.keys({ sheet: 1 }), blank);
blank();
