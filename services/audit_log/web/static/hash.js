// Hashes an edited text in the browser, so that only its SHA-256 is sent. Neither field has a name: forms leave them out.
"use strict";

(() => {
  const box = document.querySelector("[data-hash]");
  const target = document.querySelector("input[name=edited]");
  if (!box || !target) return;
  const text = box.querySelector("[data-hash-text]");
  const file = box.querySelector("[data-hash-file]");
  const said = box.querySelector("[data-hash-said]");
  box.hidden = false;
  let newest = 0;

  const fill = async (read) => {
    const mine = ++newest;
    try {
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await read()));
      if (mine !== newest) return; // what was typed later counts
      target.value = Array.from(digest, (one) => one.toString(16).padStart(2, "0")).join("");
      said.textContent = box.dataset.done;
    } catch {
      target.value = ""; // or the hash of what was there before would be sent
      said.textContent = box.dataset.failed;
    }
  };

  const clear = () => {
    newest += 1;
    target.value = "";
    said.textContent = "";
  };

  text.addEventListener("input", () => {
    if (text.value === "") clear();
    else fill(async () => new TextEncoder().encode(text.value));
  });
  file.addEventListener("change", () => {
    if (!file.files.length) clear();
    else fill(() => file.files[0].arrayBuffer());
  });
})();
