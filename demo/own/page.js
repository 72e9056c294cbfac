// Sends images, shows what was read of them, opens the lab on them, deletes them. The token of the set is in the address after '#'.
const main = document.querySelector("main"), find = (selector) => main.querySelector(selector);
const words = JSON.parse(document.getElementById("words").innerHTML.replace(/&amp;/g, "&"));
const PARALLEL = 4, LOOK = 400; // files sent at once; ms between two looks
let token = location.hash.slice(1), busy = false;

const show = (selector, shown) => { find(selector).hidden = !shown; };
const number = (value) => Number(value).toLocaleString("en-US");
function node(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}
function fail(text) {
  show(".error", Boolean(text)); find(".error").textContent = text || "";
  if (text) requestAnimationFrame(() => find(".error").scrollIntoView({ block: "center" }));
}
function work(text, share) {
  show(".work", Boolean(text));
  if (!text) return;
  find(".work p").textContent = text;
  find(".work i").style.width = share === null ? "100%" : Math.round(100 * share) + "%";
}
async function call(method, path, body, raw) {
  let answer;
  try { answer = await fetch("own/" + path, { method, body: raw ? body : body && JSON.stringify(body), headers: { "x-lmeraser": "1" } }); }
  catch (error) { throw new Error(words.offline); }
  const said = await answer.json().catch(() => ({ error: answer.status + " " + answer.statusText }));
  if (!answer.ok) { if (answer.status === 404) forgetToken(); throw new Error(said.error); }
  return said;
}
function forgetToken() { token = ""; history.replaceState(null, "", location.pathname); }
function rest(state) {
  busy = false;
  main.dataset.state = state;
  work("");
  show(".drop", state !== "opened"); show(".how", state === "sent" || state === "read"); show(".report", state === "read" || state === "opened");
  show(".end", Boolean(token)); find("[data-testid=open]").hidden = state !== "read" && state !== "opened";
  const check = find("[data-testid=check]");
  check.textContent = state === "read" ? check.dataset.again : check.dataset.first;
}
async function guarded(action, state) {
  if (busy) return;
  busy = true; fail(""); show(".done", false);
  try { await action(); } catch (error) { fail(error.message); rest(token ? state || main.dataset.state : "empty"); }
}

// Files: from a choice, or dropped, folders included.
async function dropped(transfer) {
  const entries = [], files = []; // all are taken before the first wait, after which the browser takes them away
  for (const item of transfer.items) {
    const entry = item.webkitGetAsEntry && item.webkitGetAsEntry(), file = entry ? null : item.getAsFile();
    if (entry) entries.push(entry); else if (file) files.push({ file, path: file.name });
  }
  const walk = async (entry, path) => {
    if (entry.isFile) { files.push({ file: await new Promise((done, no) => entry.file(done, no)), path: path + entry.name }); return; }
    const reader = entry.createReader();
    for (;;) { // a reader gives a hundred entries at a time
      const some = await new Promise((done, no) => reader.readEntries(done, no));
      if (!some.length) return;
      for (const inner of some) await walk(inner, path + entry.name + "/");
    }
  };
  for (const entry of entries) await walk(entry, "");
  return files;
}
async function send(files) {
  if (!files.length) throw new Error(words.few);
  const before = token;
  token = (await call("POST", "new")).token;
  history.replaceState(null, "", "#" + token);
  if (before) call("DELETE", before).catch(() => {});
  const total = files.reduce((sum, { file }) => sum + file.size, 0) || 1, waiting = [...files];
  let sent = 0;
  const lane = async () => {
    for (let next; (next = waiting.shift());) {
      await call("PUT", token + "/file?path=" + encodeURIComponent(next.path), next.file, true);
      sent += next.file.size;
      work(`${words.uploading}: ${number(files.length - waiting.length)} / ${number(files.length)}`, sent / total);
    }
  };
  work(words.uploading, 0);
  await Promise.all(Array.from({ length: PARALLEL }, lane));
  await check();
}
async function take(name) {
  token = (await call("POST", "new", { name })).token;
  history.replaceState(null, "", "#" + token);
  await check();
}
async function check() {
  const form = find(".how");
  await call("POST", token + "/check", Object.fromEntries(new FormData(form)));
  await follow();
}
async function follow() {
  for (;;) {
    const state = await call("GET", token + "/state");
    if (state.stage === "read") { report(state); rest(state.opened ? "opened" : "read"); return; }
    if (state.stage === "failed") { find(".how details").open = state.error.includes("“Column"); fail(state.error); rest("sent"); return; }
    if (!state.stage) { rest("sent"); return; }
    work(state.total ? `${words.checking}: ${number(state.done)} / ${number(state.total)}` : words.checking, state.total ? state.done / state.total : null);
    await new Promise((done) => setTimeout(done, LOOK));
  }
}

// The report
function list(items, name) { const made = node("ul", undefined, name); for (const item of items) made.append(node("li", item)); return made; }
function report({ report: told, gallery, ready }) {
  const box = find(".report"), facts = node("dl"), counts = (pairs) => Object.entries(pairs).map(([name, n]) => `${name} ${number(n)}`).join(", ");
  const rows = [[words.read, number(told.read)], [words.size, `${told.size[1]} x ${told.size[0]} px`], [words.splits, counts(told.splits)]];
  if (told.subjects) rows.push([words.subjects, number(told.subjects)]);
  if (Object.keys(told.repaired).length) rows.push([words.repaired, counts(told.repaired)]);
  if (ready) rows.push([words.ready, ready]);
  for (const [term, value] of rows) facts.append(node("dt", term), node("dd", value));
  const parts = [facts];
  if (told.warnings.length) {
    const notes = node("div", undefined, "notes");
    notes.append(node("h2", words.warnings), list(told.warnings));
    parts.push(notes);
  }
  const folded = told.skipped.map(({ reason, names, count }) => [`${number(count)} x ${reason}`, names]);
  if (told.renamed.length) folded.push([`${words.renamed}: ${number(told.renamed.length)}`, told.renamed.map(({ name, new: now }) => `${name} → ${now}`)]);
  if (folded.length) {
    const left = node("div");
    left.append(node("h2", `${words.left}: ${number(told.skipped.reduce((sum, { count }) => sum + count, 0))}`));
    for (const [title, names] of folded) { const more = node("details"); more.append(node("summary", title), list(names)); left.append(more); }
    parts.push(left);
  }
  const pictures = node("div", undefined, "gallery"), classes = node("div");
  for (const { name, pictures: shown } of gallery) {
    const card = node("div"), row = node("p");
    for (const source of shown) { const image = node("img"); image.src = source; image.alt = ""; image.onload = () => { if (image.naturalWidth <= 32) image.className = "tiny"; }; row.append(image); }
    card.append(node("b", name), node("span", number(told.classes[name])), row);
    pictures.append(card);
  }
  classes.append(node("h2", `${words.classes}: ${number(Object.keys(told.classes).length)}`), pictures);
  box.replaceChildren(...parts, classes);
}

const drop = find(".drop");
addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); const files = dropped(event.dataTransfer); guarded(async () => send(await files)); });
drop.addEventListener("change", (event) => {
  const files = [...event.target.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  event.target.value = "";
  guarded(() => send(files));
});
for (const button of main.querySelectorAll("[data-set]")) button.addEventListener("click", () => guarded(() => take(button.dataset.set)));
find(".how").addEventListener("submit", (event) => { event.preventDefault(); guarded(check); });
find("[data-testid=open]").addEventListener("click", () => guarded(async () => {
  work(words.opening, null);
  location.assign((await call("POST", token + "/open")).address);
}));
find("[data-testid=delete]").addEventListener("click", () => guarded(async () => {
  work(words.deleting, null);
  const said = await call("DELETE", token);
  forgetToken(); rest("empty");
  find(".done").textContent = said.text; find(".done").classList.toggle("bad", !said.clean); show(".done", true);
}));
if (token) guarded(follow, "empty");
