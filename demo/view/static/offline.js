// Says when the server no longer answers, or was restarted: in both cases this page's session has ended.
const bar = element.querySelector(".lm-offline"), EVERY = 4000;
const config = window.gradio_config || {}, ask = (config.root || "") + (config.api_prefix || "/gradio_api") + "/app_id";
let known = null;

async function look() {
  let words = "";
  try {
    const answer = await fetch(ask, { cache: "no-store", signal: AbortSignal.timeout(EVERY) });
    const id = answer.ok ? (await answer.json()).app_id : known;
    known = known === null ? id : known;
    if (id !== known) words = bar.dataset.restarted;
  } catch (error) {
    words = known === null ? "" : bar.dataset.unreachable;
  }
  bar.textContent = words;
  bar.hidden = !words;
}
setInterval(() => document.hidden || look(), EVERY);
look();
