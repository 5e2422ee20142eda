// SPDX-License-Identifier: GPL-2.0
// A JavaScript engine's side of wring-bench: "open PATH" and "run N" come in, one line each goes out.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

let run = null;

function answer(line) {
  const [verb, argument] = line.split(" ");
  if (verb === "open") {
    const module = new WebAssembly.Module(readFileSync(argument));
    run = new WebAssembly.Instance(module, {}).exports.run;
    return "ok";
  }
  // Processor time of the whole process: compilation in the background counts, which is why there are rounds.
  const before = process.cpuUsage();
  const checksum = BigInt.asUintN(64, run(Number(argument)));
  const used = process.cpuUsage(before);
  return `ok ${checksum} ${(used.user + used.system) * 1000}`;
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    process.stdout.write(answer(line) + "\n");
  } catch (error) {
    process.stdout.write("error " + String(error).split("\n")[0] + "\n");
  }
}
