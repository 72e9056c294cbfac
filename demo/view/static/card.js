// A taught picture that was forgotten is left in the browser alone; and a new card comes into view, wherever the page was.

function fill() {
  element.querySelectorAll("[data-taught]").forEach((image) => {
    const known = (window.lmeraserTaught || {})[image.dataset.taught];
    if (known) image.src = known; else image.remove();
  });
  const card = element.querySelector(".lm-card.fresh");
  if (!card || card.dataset.seen) return;
  card.dataset.seen = "yes";
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const map = document.querySelector(".map"), beside = map && map.getBoundingClientRect().right <= card.getBoundingClientRect().left;
    const boxes = [card, document.querySelector(".lm-proved") || card, ...(beside ? [map] : [])].map((part) => part.getBoundingClientRect());
    const top = Math.min(...boxes.map((box) => box.top)) - 10, beyond = Math.max(...boxes.map((box) => box.bottom)) + 10 - innerHeight;
    if (top < 0 || beyond > 0) scrollBy({ top: top < 0 ? top : Math.min(top, beyond) });
  }));
}
watch(Object.keys({ value: 1 }), fill);
fill();
