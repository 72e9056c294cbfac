// The top bar: goes to another page, opens tabs, copies the permalink, and restores the state in an address.
// The selection's part of a permalink comes from the server.
const pickers = element.querySelector(".lm-pickers"), here = pickers.dataset;
const asked = new URLSearchParams(location.search);
const KEPT = ["hide", "__theme"], CONTENT = ["map", "choose", "request", "results"]; // an address that hides all of these hides nothing

function addressOf(dataset, preset) {
  const path = JSON.parse(here.paths)[dataset + "\n" + preset];
  return path === undefined ? null : new URL((window.gradio_config.root || location.origin).replace(/\/$/, "") + "/" + path);
}
function redirect() {
  const dataset = asked.get("dataset") || here.dataset, preset = asked.get("preset") || here.preset;
  if (dataset === here.dataset && preset === here.preset) return;
  const address = addressOf(dataset, preset);
  if (address) { address.search = asked; location.replace(address); }
}
function pick() {
  const chosen = (name) => { const list = element.querySelector(`[data-pick=${name}]`); return list ? list.value : here[name]; };
  const address = addressOf(chosen("dataset"), chosen("preset"));
  for (const name of KEPT) if (asked.has(name)) address.searchParams.set(name, asked.get(name));
  location.assign(address);
}

const slug = (words) => words.trim().toLowerCase().replace(/[^a-z0-9]+/g, "-");
const tabs = () => [...document.querySelectorAll("#lm-tabs [role=tab]")];
const until = async (find) => {
  for (let i = 0; i < 100; i++) { const found = find(); if (found) return found; await new Promise((done) => setTimeout(done, 100)); }
  return null;
};
async function open(name, calm) {
  const tab = await until(() => tabs().find((button) => slug(button.textContent) === name));
  if (!tab) return;
  tab.click();
  tab.scrollIntoView({ block: "nearest", inline: "center" });
  if (!calm) tab.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}
async function showStep(step) {
  document.body.dataset.step = step;
  await open("learn", true);
  const card = await until(() => document.getElementById("lesson-" + step));
  if (card) card.scrollIntoView({ block: "center" });
}
function restore() {
  const hidden = (asked.get("hide") || "").split(",");
  if (!CONTENT.every((part) => hidden.includes(part))) for (const part of hidden) if (/^[a-z]+$/.test(part)) document.body.classList.add("lm-hide-" + part);
  const step = asked.get("step"), tab = asked.get("tab");
  if (/^[1-5]$/.test(step || "")) showStep(step);
  else if (tab) open(JSON.parse(here.renamed)[tab] || tab);
}

async function link(button) {
  const known = await server.linked({ token: props.token });
  if (!known) return;
  const { fits, partial, ...parts } = known;
  if (!fits) { trigger("click"); return; }
  const address = addressOf(here.dataset, here.preset), shown = tabs().find((tab) => tab.ariaSelected === "true");
  const name = shown && shown !== tabs()[0] ? slug(shown.textContent) : "", step = name === "learn" && document.body.dataset.step;
  Object.assign(parts, step ? { step } : { tab: name }, { hide: asked.get("hide") });
  for (const [key, value] of Object.entries(parts)) if (value) address.searchParams.set(key, value);
  const text = address.href.replace(/%2C/g, ",");
  history.replaceState(null, "", text);
  const words = button.textContent;
  try { await navigator.clipboard.writeText(text); button.textContent = partial ? button.dataset.partial : button.dataset.copied; } catch (error) { button.textContent = button.dataset.shown; }
  setTimeout(() => { button.textContent = words; }, 2500);
}

element.addEventListener("change", (event) => { if (event.target.matches("[data-pick]")) pick(); });
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.open) open(button.dataset.open); else link(button);
});
const follow = (event) => {
  const card = event.target.closest && event.target.closest(".lm-step");
  if (card) document.body.dataset.step = card.id.replace("lesson-", "");
};
document.addEventListener("focusin", follow);
// Gradio's own buttons take no attributes from Python.
until(() => document.getElementById("lm-forget")).then((button) => { if (button) button.dataset.testid = "forget"; });
const own = element.querySelector("[data-own]"); // from the site's root, whichever of its pages this is
if (own) own.href = new URL(own.dataset.own, (window.gradio_config.root || location.origin).replace(/\/$/, "") + "/");
redirect();
restore();
