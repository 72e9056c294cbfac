// Hands the text of a chosen receipts file to Python; nothing is uploaded, so nothing is stored.
element.addEventListener("change", async (event) => {
  const input = event.target.closest("[data-receipts]"), file = input && input.files[0];
  if (!file) return;
  const text = file.size > Number(input.dataset.most) ? "" : await file.text();
  trigger("click", { size: file.size, text });
  input.value = "";
});
