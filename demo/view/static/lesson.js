// The lesson: prints the worksheet, and keeps given answers when the page redraws the steps.
const answers = new Map();
element.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) window.print(); });
element.addEventListener("change", (event) => { if (event.target.name) answers.set(event.target.name, event.target.value); });
watch(Object.keys({ value: 1 }), () => {
  for (const [name, value] of answers) {
    const input = element.querySelector(`input[name=${name}][value="${value}"]`);
    if (input) input.checked = true;
  }
});
