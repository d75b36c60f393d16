// Starts the program. All else is page_js.go.
const go = new Go();
WebAssembly.instantiateStreaming(fetch("page.wasm"), go.importObject)
  .then((result) => go.run(result.instance))
  .catch((problem) => { document.querySelector("#state").textContent = `the program could not be loaded: ${problem.message}`; });
