() => setTimeout(() => document.querySelector("#lm-report-file").click(), 150)
