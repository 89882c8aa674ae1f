"""The script that hashes an edited text, under Node with a page of the least that it touches."""

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from services.audit_log import web
from tests.servers.roll import required_adapters

SCRIPT = Path(web.__file__).with_name("static") / "hash.js"
TEXT = "Päätös: myönnetään.\nRad två, 🙂"
PAGE = """
const fs = require("fs"), vm = require("vm");
const made = () => ({
  listeners: {}, value: "", textContent: "", files: [], hidden: true, dataset: { done: "done", failed: "failed" },
  addEventListener(name, act) { this.listeners[name] = act; } });
const parts = { "[data-hash-text]": made(), "[data-hash-file]": made(), "[data-hash-said]": made() };
const box = Object.assign(made(), { querySelector: (name) => parts[name] });
const target = made();
const document = { querySelector: (name) => (name === "[data-hash]" ? box : target) };
const given = JSON.parse(fs.readFileSync(0, "utf8"));
const world = { document, crypto: globalThis.crypto, TextEncoder, Uint8Array };
vm.runInNewContext(fs.readFileSync(given.path, "utf8"), world);
const seen = [];
const settled = () => new Promise((done) => setTimeout(done, 50));
(async () => {
  const text = parts["[data-hash-text]"], file = parts["[data-hash-file]"], said = parts["[data-hash-said]"];
  for (const typed of ["first", given.text]) { text.value = typed; text.listeners.input(); }
  await settled(); seen.push([target.value, said.textContent, box.hidden]);
  text.value = ""; text.listeners.input();
  await settled(); seen.push([target.value, said.textContent, box.hidden]);
  file.files = [{ arrayBuffer: async () => new TextEncoder().encode(given.text).buffer }]; file.listeners.change();
  await settled(); seen.push([target.value, said.textContent, box.hidden]);
  file.files = [{ arrayBuffer: async () => { throw new Error("gone"); } }]; file.listeners.change();
  await settled(); seen.push([target.value, said.textContent, box.hidden]);
  console.log(JSON.stringify(seen));
})();
"""


def test_a_text_or_a_file_becomes_its_sha_256() -> None:
    node = shutil.which("node")
    if node is None:
        if "node" in required_adapters():
            pytest.fail("node is required here and was not found")
        pytest.skip("node was not found: the script that hashes edited texts is NOT tested here")
    given = json.dumps({"path": str(SCRIPT), "text": TEXT})
    done = subprocess.run([node, "-e", PAGE], input=given, capture_output=True, text=True, check=True, timeout=60)
    digest = sha256(TEXT.encode()).hexdigest()
    typed, cleared, chosen, failed = json.loads(done.stdout)
    assert typed == [digest, "done", False], "what was typed last"
    assert cleared == ["", "", False]
    assert chosen == [digest, "done", False]
    assert failed == ["", "failed", False]
