"use strict";
/* Puts cases to the browser's verifier: {path, cases} as JSON on standard input, outcomes as JSON on standard output. */

const input = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const verifier = require(input.path);
const bytes = (text) => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
const all = (texts) => (texts ?? []).map(bytes);

const ask = {
  async inclusion(given) {
    const root = await verifier.inclusionRoot(BigInt(given.index), BigInt(given.size), bytes(given.leaf_hash), all(given.proof));
    return root !== null && verifier.hex(root) === given.root;
  },
  consistency(given) {
    const sizes = [BigInt(given.old_size), BigInt(given.new_size)];
    return verifier.isConsistent(...sizes, bytes(given.old_root), bytes(given.new_root), all(given.proof));
  },
  async note(given) {
    const checkpoint = await verifier.openCheckpoint(given.note, await verifier.parseKey(given.key));
    return [checkpoint.origin, String(checkpoint.size), verifier.hex(checkpoint.root)];
  },
  async entry(given) {
    const { steps, verdict } = await verifier.verify({
      ...given,
      index: BigInt(given.index),
      entry: bytes(given.entry),
      leaf: bytes(given.leaf),
      proof: all(given.proof),
      consistency: all(given.consistency),
    });
    return { verdict, steps: Object.fromEntries(steps.map((step) => [step.name, step.ok])) };
  },
};

async function main() {
  const outcomes = [];
  for (const one of input.cases) {
    try {
      outcomes.push(await ask[one.kind](one));
    } catch (error) {
      outcomes.push({ error: error.message });
    }
  }
  process.stdout.write(JSON.stringify(outcomes));
}

main();
