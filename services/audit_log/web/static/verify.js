"use strict";
/* Verifies one entry of the log in the browser: hashes by Web Crypto (RFC 6962), notes as c2sp.org/signed-note and
 * c2sp.org/tlog-checkpoint. This file comes from the same server as the entry, so it convinces nobody who distrusts the
 * server: that is what the verifier on another machine is for. Tests run this same file under Node. */

const verifier = (() => {
  const ED25519 = 1;
  const KEY_ID_BYTES = 4;
  const HASH_BYTES = 32;
  const PRIME = 2n ** 255n - 19n;
  const ORDER_8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
  // Under the eight points with these y coordinates a signature can fit every message.
  const SMALL_ORDER = [0n, 1n, PRIME - 1n, ORDER_8, PRIME - ORDER_8];
  const LARGEST = 2n ** 63n - 1n;

  const utf8 = (text) => new TextEncoder().encode(text);
  const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const equal = (left, right) => left.length === right.length && left.every((byte, at) => byte === right[at]);

  function joined(...parts) {
    const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  /* The bytes of base64 in its one canonical spelling. */
  function fromBase64(text) {
    let binary;
    try {
      binary = atob(text);
    } catch {
      throw new Error("not base64");
    }
    if (btoa(binary) !== text) throw new Error("base64 that is not in its canonical form");
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  }

  const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const leafHash = (entry) => sha256(joined(Uint8Array.of(0), entry));
  const nodeHash = (left, right) => sha256(joined(Uint8Array.of(1), left, right));

  /* Skips the levels on which a node has no sibling (RFC 9162, 2.1.3.2). */
  function lift(first, last) {
    let [low, high] = [first, last];
    while (low > 0n && (low & 1n) === 0n) [low, high] = [low >> 1n, high >> 1n];
    return [low, high];
  }

  /* The root to which a proof leads from a leaf; null when the proof has another length than the tree's shape asks. */
  async function inclusionRoot(index, size, leaf, proof) {
    if (index < 0n || index >= size || leaf.length !== HASH_BYTES) return null;
    let [first, last, found] = [index, size - 1n, leaf];
    for (const hash of proof) {
      if (last === 0n || hash.length !== HASH_BYTES) return null;
      if ((first & 1n) === 1n || first === last) {
        found = await nodeHash(hash, found);
        [first, last] = lift(first, last);
      } else {
        found = await nodeHash(found, hash);
      }
      [first, last] = [first >> 1n, last >> 1n];
    }
    return last === 0n ? found : null;
  }

  /* Whether the tree of `old` entries is the beginning of the other one (RFC 9162, 2.1.4.2). */
  async function isConsistent(old, size, oldRoot, root, proof) {
    if (old < 0n || old > size) return false;
    if (old === size) return proof.length === 0 && equal(oldRoot, root);
    if (old === 0n) return proof.length === 0 && equal(oldRoot, await sha256(new Uint8Array()));
    const hashes = (old & (old - 1n)) === 0n ? [oldRoot, ...proof] : proof;
    if (!hashes.length || hashes.some((hash) => hash.length !== HASH_BYTES)) return false;
    let [first, last] = [old - 1n, size - 1n];
    while ((first & 1n) === 1n) [first, last] = [first >> 1n, last >> 1n];
    let [oldFound, found] = [hashes[0], hashes[0]];
    for (const hash of hashes.slice(1)) {
      if (last === 0n) return false;
      if ((first & 1n) === 1n || first === last) {
        oldFound = await nodeHash(hash, oldFound);
        found = await nodeHash(hash, found);
        [first, last] = lift(first, last);
      } else {
        found = await nodeHash(found, hash);
      }
      [first, last] = [first >> 1n, last >> 1n];
    }
    return last === 0n && equal(oldFound, oldRoot) && equal(found, root);
  }

  /* A signed note: its text, which is what is signed, and its signature lines. */
  function parseNote(note) {
    const at = note.lastIndexOf("\n\n");
    if (at < 0 || !note.endsWith("\n") || /[\x00-\x09\x0b-\x1f\x7f]/.test(note)) throw new Error("not a signed note");
    const signatures = note.slice(at + 2, -1).split("\n").map((line) => {
      const found = /^\u2014 ([^ +]+) (\S+)$/.exec(line);
      if (!found) throw new Error("not a signature line");
      const payload = fromBase64(found[2]);
      if (payload.length <= KEY_ID_BYTES) throw new Error("a signature line holds no signature");
      return { name: found[1], id: hex(payload.slice(0, KEY_ID_BYTES)), signature: payload.slice(KEY_ID_BYTES) };
    });
    return { text: note.slice(0, at + 1), signatures };
  }

  function parseCheckpoint(text) {
    const lines = text.split("\n").slice(0, -1);
    if (lines.length < 3 || lines.some((line) => !line)) throw new Error("not a checkpoint");
    const [origin, size, root] = lines;
    if (!/^(0|[1-9][0-9]{0,18})$/.test(size) || BigInt(size) > LARGEST) throw new Error("not a checkpoint's size");
    const hash = fromBase64(root);
    if (hash.length !== HASH_BYTES) throw new Error("not a checkpoint's root");
    return { origin, size: BigInt(size), root: hash };
  }

  async function parseKey(text) {
    const found = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text.trim());
    if (!found) throw new Error("not a verifier key");
    const material = fromBase64(found[3]);
    if (material.length !== 1 + HASH_BYTES || material[0] !== ED25519) throw new Error("not an Ed25519 key");
    const id = hex((await sha256(joined(utf8(`${found[1]}\n`), material))).slice(0, KEY_ID_BYTES));
    if (id !== found[2]) throw new Error("the key's id does not fit: it was mistyped or altered");
    const bytes = material.slice(1);
    const y = BigInt(`0x${hex(Uint8Array.from(bytes).reverse())}`) & (2n ** 255n - 1n);
    if (y >= PRIME || SMALL_ORDER.includes(y)) throw new Error("a key of small order: forged signatures would fit it");
    return { name: found[1], id, bytes };
  }

  /* The checkpoint in a note that the key signed. Throws: it did not, or the checkpoint is of another log. */
  async function openCheckpoint(note, key) {
    const { text, signatures } = parseNote(note);
    const mine = signatures.filter((one) => one.name === key.name && one.id === key.id);
    if (!mine.length) throw new Error("not signed by this key");
    const publicKey = await crypto.subtle.importKey("raw", key.bytes, { name: "Ed25519" }, false, ["verify"]);
    for (const one of mine) {
      const good = await crypto.subtle.verify({ name: "Ed25519" }, publicKey, one.signature, utf8(text));
      if (!good) throw new Error("the signature does not fit the text");
    }
    const checkpoint = parseCheckpoint(text);
    if (checkpoint.origin !== key.name) throw new Error("the checkpoint is of another log");
    return checkpoint;
  }

  const without = (error) => (error.name === "NotSupportedError" ? null : false);

  /* Every step with its outcome: true, false, or null when it could not be looked at.
   * given: index, entry (bytes), shown (text), proof (hashes), note; perhaps key, kept, consistency (hashes).
   * The verdict is "good" only when the signature of a key from outside was verified, "bad" when anything is wrong. */
  async function verify(given) {
    const steps = [];
    const tell = (name, ok, detail = "") => steps.push({ name, ok, detail });
    tell("shown", given.shown === new TextDecoder().decode(given.entry));
    const leaf = await leafHash(given.entry);
    tell("leaf", equal(leaf, given.leaf), hex(leaf));
    const checkpoint = await stepPath(given, leaf, tell);
    const key = await stepSignature(given, tell);
    await stepKept(given, checkpoint, key, tell);
    const wrong = steps.some((step) => step.ok === false);
    const signed = steps.find((step) => step.name === "signature").ok === true;
    const unseen = Boolean(given.kept) && steps.find((step) => step.name === "kept").ok === null;
    return { steps, verdict: wrong ? "bad" : signed && !unseen ? "good" : "open" };
  }

  async function stepPath(given, leaf, tell) {
    try {
      const checkpoint = parseCheckpoint(parseNote(given.note).text);
      const root = await inclusionRoot(given.index, checkpoint.size, leaf, given.proof);
      tell("path", root !== null && equal(root, checkpoint.root), root === null ? "" : hex(root));
      return checkpoint;
    } catch (error) {
      tell("path", false, error.message);
      return null;
    }
  }

  async function stepSignature(given, tell) {
    if (!given.key) {
      tell("signature", null);
      return null;
    }
    try {
      const key = await parseKey(given.key);
      await openCheckpoint(given.note, key);
      tell("signature", true, key.name);
      return key;
    } catch (error) {
      tell("signature", without(error), error.message);
      return null;
    }
  }

  async function stepKept(given, checkpoint, key, tell) {
    if (!given.kept || !checkpoint) {
      tell("kept", null);
      return;
    }
    try {
      const kept = key ? await openCheckpoint(given.kept, key) : parseCheckpoint(parseNote(given.kept).text);
      const good =
        kept.origin === checkpoint.origin &&
        (await isConsistent(kept.size, checkpoint.size, kept.root, checkpoint.root, given.consistency ?? []));
      tell("kept", good, String(kept.size));
    } catch (error) {
      tell("kept", without(error), error.message);
    }
  }

  return {
    fromBase64, hex, inclusionRoot, isConsistent, leafHash, openCheckpoint, parseCheckpoint, parseKey, parseNote, verify,
  };
})();

const page = (() => {
  const KEPT_KEY = "valvomo.verifier-key";

  async function asked(address) {
    const answer = await fetch(address, { cache: "no-store" });
    if (!answer.ok) throw new Error(`${answer.status} ${address}`);
    return answer.json();
  }

  const hashes = (texts) => texts.map(verifier.fromBase64);

  /* Entry, proof and, for a kept checkpoint, the proof that leads from it to the same newest checkpoint. */
  async function collected(index, kept) {
    const entry = await asked(`/api/v1/log/entries/${index}`);
    const size = kept ? verifier.parseCheckpoint(verifier.parseNote(kept).text).size : null;
    for (let tries = 0; tries < 5; tries += 1) {
      const proof = await asked(`/api/v1/log/proof?index=${index}`);
      if (size === null || size > verifier.parseCheckpoint(verifier.parseNote(proof.checkpoint).text).size)
        return { entry, proof, consistency: [] };
      const since = await asked(`/api/v1/log/proof?old_size=${size}`);
      if (since.checkpoint === proof.checkpoint) return { entry, proof, consistency: hashes(since.proof) };
    }
    throw new Error("the log was signed again and again meanwhile; try once more");
  }

  function remembered() {
    try {
      return localStorage.getItem(KEPT_KEY) ?? "";
    } catch {
      return "";
    }
  }

  function remember(key) {
    try {
      localStorage.setItem(KEPT_KEY, key);
    } catch {
      /* a browser that keeps nothing asks again */
    }
  }

  function show(section, { steps, verdict }) {
    const texts = section.dataset;
    const list = section.querySelector("[data-steps]");
    list.replaceChildren(
      ...steps.map((step) => {
        const item = document.createElement("li");
        const mark = document.createElement("strong");
        mark.textContent = { true: texts.yes, false: texts.no, null: texts.unseen }[String(step.ok)];
        mark.className = { true: "is-good", false: "lost", null: "quiet" }[String(step.ok)];
        item.append(mark, ` ${texts[step.name]} `);
        if (step.detail) {
          const detail = document.createElement("code");
          detail.textContent = step.detail;
          item.append(detail);
        }
        return item;
      }),
    );
    const told = section.querySelector("[data-verdict]");
    told.textContent = { good: texts.good, bad: texts.bad, open: texts.open }[verdict];
    told.className = { good: "calm", bad: "calm is-bad", open: "calm is-open" }[verdict];
  }

  function fail(section, error) {
    section.querySelector("[data-steps]").replaceChildren();
    const told = section.querySelector("[data-verdict]");
    told.textContent = `${section.dataset.failed} ${error.message}`;
    told.className = "calm is-open";
  }

  async function run(section) {
    const key = section.querySelector("[name=key]").value.trim();
    const pasted = section.querySelector("[name=kept]").value.replaceAll("\r\n", "\n").trim();
    const kept = pasted ? `${pasted}\n` : "";
    try {
      const { entry, proof, consistency } = await collected(section.dataset.index, kept);
      const outcome = await verifier.verify({
        index: BigInt(section.dataset.index),
        entry: verifier.fromBase64(entry.entry),
        leaf: Uint8Array.from(entry.leaf_hash.match(/../g), (byte) => Number.parseInt(byte, 16)),
        shown: document.querySelector("[data-raw]").textContent,
        proof: hashes(proof.proof),
        note: proof.checkpoint,
        key,
        kept,
        consistency,
      });
      if (outcome.verdict === "good") remember(key);
      show(section, outcome);
    } catch (error) {
      fail(section, error);
    }
  }

  function start() {
    const section = document.querySelector("[data-verify]");
    if (!section) return;
    if (!globalThis.crypto?.subtle) {
      section.querySelector("[data-verdict]").textContent = section.dataset.insecure;
      return;
    }
    const form = section.querySelector("form");
    form.hidden = false;
    section.querySelector("[data-verdict]").textContent = "";
    section.querySelector("[name=key]").value = remembered();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run(section);
    });
    if (new URLSearchParams(location.search).get("verify") === "1") run(section);
  }

  return { start };
})();

if (typeof module === "undefined") page.start();
else module.exports = verifier;
