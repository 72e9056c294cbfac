// --- hovering -----------------------------------------------------------------------------------------------------
function point(x, y) {
  const i = nearest(x, y, 10);
  if (i !== hovered) hover(i);
}
async function hover(i) {
  hovered = i; overlay(performance.now());
  if (i < 0) { card.hidden = true; return; }
  if (!cards.has(i)) {
    try { cards.set(i, await server.thumbnail({ token: props.token, row: i })); } catch (error) { return; }
  }
  if (hovered !== i || !cards.get(i)) return;
  const { src, title, lines } = cards.get(i);
  card.querySelector("img").src = src; card.querySelector("b").textContent = title; card.querySelector("span").textContent = lines.join("\n");
  card.hidden = false;
  const x = px(i) + 16 + card.offsetWidth > width ? px(i) - 16 - card.offsetWidth : px(i) + 16;
  card.style.transform = `translate(${Math.max(6, x)}px, ${Math.max(6, Math.min(height - card.offsetHeight - 6, py(i) - card.offsetHeight / 2))}px)`;
}
