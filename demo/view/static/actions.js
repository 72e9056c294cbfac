// The small actions under the selection: adding by likeness or group, saving the selection, opening a saved one.
// A file is read here, in the browser: only its text travels, and nothing of it is stored on the server.
const MOST = 1000000;
function save({ name, text }) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
}
element.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.add) { trigger("click", { add: button.dataset.add }); return; }
  const file = await server.saved({ token: props.token });
  if (file) save(file);
});
element.addEventListener("change", async (event) => {
  const file = event.target.files && event.target.files[0];
  if (!file) return;
  event.target.value = "";
  trigger("upload", file.size > MOST ? { size: file.size } : { text: await file.text() });
});
