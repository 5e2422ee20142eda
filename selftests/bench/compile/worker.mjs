// SPDX-License-Identifier: GPL-2.0
// Compiles a module in a JavaScript engine: node FLAGS worker.mjs FILE EXPORT TIMES prints, per time, one line with the
// ns to compile and the ns from bytes to the first call's return; then the KiB the process grew to at most.
import { readFileSync } from "node:fs";

const [file, name, times] = process.argv.slice(2);
const bytes = readFileSync(file);
// Engines keep what they compiled of equal bytes: a custom section makes each time's different.
const fresh = (i) => Buffer.concat([bytes, Buffer.from([0, 6, 1, 0x78, i, i >> 8, i >> 16, 0])]);
const before = process.memoryUsage().rss / 1024;

function cpu_ns() {
  const used = process.cpuUsage();
  return (used.user + used.system) * 1000;
}

for (let i = 0; i < Number(times); i++) {
  const module_bytes = fresh(i);
  const start = cpu_ns();
  const module = new WebAssembly.Module(module_bytes);
  const compiled = cpu_ns();
  new WebAssembly.Instance(module, {}).exports[name](0);
  console.log(compiled - start, cpu_ns() - start);
}
console.log(Math.max(0, process.resourceUsage().maxRSS - before));
