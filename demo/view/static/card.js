// A taught picture that was forgotten is left in the browser alone; and a new card comes into view, wherever the page was.

// The page may still grow above it for a moment, so it is looked at more than once, until the visitor scrolls.
function show(card) {
  const map = document.querySelector(".map"), beside = map && map.getBoundingClientRect().right <= card.getBoundingClientRect().left;
  const boxes = [card, document.querySelector(".lm-proved") || card, ...(beside ? [map] : [])].map((part) => part.getBoundingClientRect());
  const room = beside ? 10 : 40; // what lies above may change its height once more
  const top = Math.min(...boxes.map((box) => box.top)) - room, beyond = Math.max(...boxes.map((box) => box.bottom)) + 10 - innerHeight;
  if (top < 0 || beyond > 0) scrollBy({ top: top < 0 ? top : Math.min(top, beyond) });
}
function fill() {
  element.querySelectorAll("[data-taught]").forEach((image) => {
    const known = (window.lmeraserTaught || {})[image.dataset.taught];
    if (known) image.src = known; else image.remove();
  });
  const card = element.querySelector(".lm-card.fresh");
  if (!card || card.dataset.seen) return;
  card.dataset.seen = "yes";
  const looks = [50, 200, 450].map((wait) => setTimeout(() => card.isConnected && show(card), wait));
  for (const moved of ["wheel", "touchmove", "keydown"]) addEventListener(moved, () => looks.forEach(clearTimeout), { once: true, passive: true });
}
watch(Object.keys({ value: 1 }), fill);
fill();
