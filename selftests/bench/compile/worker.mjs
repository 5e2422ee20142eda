// SPDX-License-Identifier: GPL-2.0
// Compiles a module in a JavaScript engine: node FLAGS worker.mjs FILE PROVIDER TIMES prints, per time, one line with the
// ns to compile and the ns from bytes to an instance; then the KiB the process grew to at most. The provider's exports
// are the module's imports.
import { readFileSync } from "node:fs";

const [file, provider, times] = process.argv.slice(2);
const bytes = readFileSync(file);
const stubs = new WebAssembly.Module(readFileSync(provider));
// Engines keep what they compiled of equal bytes: a custom section makes each time's different.
const fresh = (i) => i === 0 ? bytes : Buffer.concat([bytes, Buffer.from([0, 6, 1, 0x78, i, i >> 8, i >> 16, 0])]);
const before = process.memoryUsage().rss / 1024;

function cpu_ns() {
  const used = process.cpuUsage();
  return (used.user + used.system) * 1000;
}

function instantiate(module) {
  const { exports } = new WebAssembly.Instance(stubs);
  // Imports are looked up in their order, however they are named.
  let next = 0;
  const imports = new Proxy({}, { get: () => new Proxy({}, { get: () => exports[next++] }) });
  try {
    new WebAssembly.Instance(module, imports);
  } catch (error) {
    // A trap is an end of the start like any other.
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
  }
}

for (let i = 0; i < Number(times); i++) {
  const module_bytes = fresh(i);
  const start = cpu_ns();
  const module = new WebAssembly.Module(module_bytes);
  const compiled = cpu_ns();
  instantiate(module);
  console.log(compiled - start, cpu_ns() - start);
}
console.log(Math.max(0, process.resourceUsage().maxRSS - before));
