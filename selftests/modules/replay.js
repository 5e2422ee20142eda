// SPDX-License-Identifier: GPL-2.0
// Makes the calls of a plan (wring-host plan) in V8 and prints the record that wring-host fuzz-diff compares with.
//
// Usage: node replay.js MODULE PROVIDER PLAN
'use strict';
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { fromBits, hex, isNumeric, kTypes, numberText, toBits, trapName } = require('../fuzz/v8.js');

const kPage = 65536;
const kZeros = Buffer.alloc(kPage);

// Whatever may be a NaN, alike, at any alignment: addresses may be odd.
function withoutNans(page) {
  const bytes = Buffer.from(page);
  for (let i = 3; i < bytes.length; i++) {
    if ((bytes[i] & 0x7f) !== 0x7f || bytes[i - 1] < 0x80) continue;
    if (bytes[i - 1] === 0x80 && !bytes[i - 2] && !bytes[i - 3]) continue;
    bytes.fill(0xff, i - 3, i + 1);
    i += 3;
  }
  return bytes;
}

// As add_digest in ../host/fuzz_diff.cc.
function addDigest(module, instance, hash, normalize) {
  for (const { name } of WebAssembly.Module.exports(module)) {
    const item = instance.exports[name];
    if (item instanceof WebAssembly.Memory) {
      const bytes = Buffer.from(item.buffer);
      hash.update(`memory of ${bytes.length / kPage}:`);
      for (let at = 0; at < bytes.length; at += kPage) {
        const page = bytes.subarray(at, at + kPage);
        if (page.equals(kZeros)) continue;
        hash.update(`${at / kPage}=`);
        hash.update(normalize(page));
      }
    } else if (item instanceof WebAssembly.Global && isNumeric(item)) {
      hash.update(`global ${numberText(item.value)};`);
    }
  }
}

function main([file, providerFile, planFile]) {
  const module = new WebAssembly.Module(fs.readFileSync(file));
  const providerModule = new WebAssembly.Module(fs.readFileSync(providerFile));
  const plan = JSON.parse(fs.readFileSync(planFile, 'utf8'));
  const exported = WebAssembly.Module.exports(module);
  const record = { module: path.basename(file), provider: path.basename(providerFile), instantiate: 'ok', calls: [] };
  let provider, instance, skipping = false;

  const instantiate = () => {
    provider = new WebAssembly.Instance(providerModule);
    // Imports are looked up in their order, however they are named.
    let next = 0;
    const imports = new Proxy({}, { get: () => new Proxy({}, { get: () => provider.exports[next++] }) });
    instance = new WebAssembly.Instance(module, imports);
  };
  const digest = (normalize) => {
    const hash = createHash('sha256');
    addDigest(providerModule, provider, hash, normalize);
    addDigest(module, instance, hash, normalize);
    return hash.digest('hex').slice(0, 16);
  };
  try {
    instantiate();
  } catch (error) {
    record.instantiate = trapName(error);
  }
  const calls = record.instantiate === 'ok' ? plan.calls ?? [] : [];
  calls.forEach(({ f, args, results, fresh }, i) => {
    // Other stacks end elsewhere: what the instance is like then says nothing.
    if (skipping && !fresh) return;
    if (fresh) instantiate();
    const call = { f, fresh, args: args.map(([type, value]) => [kTypes[type], value]) };
    try {
      const values = args.map(([type, value]) => fromBits(type, BigInt(value)));
      const answer = instance.exports[exported[f].name](...values);
      const answers = results.length === 1 ? [answer] : results.length ? [...answer] : [];
      call.ret = answers.map((value, j) => [kTypes[results[j]], hex(toBits(results[j], value))]);
    } catch (error) {
      call.trap = trapName(error);
    }
    if (i + 1 === calls.length || calls[i + 1].fresh) {
      call.state = digest((page) => Buffer.from(page));
      call.state_without_nans = digest(withoutNans);
    }
    record.calls.push(call);
    skipping = call.trap === 'stack-exhausted';
  });
  console.log(JSON.stringify(record));
}

main(process.argv.slice(2));
