// SPDX-License-Identifier: GPL-2.0
// V8's values and traps in the terms of fuzz-diff's records.
'use strict';

function trapName(error) {
  if (error instanceof RangeError && /call stack/.test(error.message)) return 'stack-exhausted';
  if (WebAssembly.Exception && error instanceof WebAssembly.Exception) return 'uncaught-exception';
  if (!(error instanceof WebAssembly.RuntimeError)) throw error;
  const names = [[/unreachable/, 'unreachable'], [/memory access out of bounds/, 'oob-memory'],
    [/(divide|remainder) by zero/, 'div-by-zero'], [/float unrepresentable/, 'bad-float-to-int'],
    [/unrepresentable/, 'div-overflow'], [/unaligned/, 'unaligned-atomic'],
    [/null pointer/, 'null-reference'],
    [/table index is out of bounds|table access/, 'oob-table'],
    [/signature mismatch|null function/, 'indirect-call']];
  for (const [pattern, name] of names) if (pattern.test(error.message)) return name;
  return 'other:' + error.message;
}

const kTypes = { i: 'i32', l: 'i64', f: 'f32', d: 'f64' };
const view = new DataView(new ArrayBuffer(8));

// The bits of a value of that type, and back.
function toBits(type, value) {
  if (type === 'f') view.setFloat32(0, value);
  if (type === 'd') view.setFloat64(0, value);
  if (type === 'f') return BigInt(view.getUint32(0));
  if (type === 'd') return view.getBigUint64(0);
  return BigInt.asUintN(type === 'i' ? 32 : 64, BigInt(value));
}
function fromBits(type, bits) {
  view.setBigUint64(0, type === 'i' || type === 'f' ? bits << 32n & 0xffffffff00000000n : bits);
  switch (type) {
    case 'i': return view.getInt32(0);
    case 'f': return view.getFloat32(0);
    case 'd': return view.getFloat64(0);
    default: return view.getBigInt64(0);
  }
}
const hex = (bits) => '0x' + bits.toString(16);
const numberText = (value) => Number.isNaN(value) ? 'nan' : Object.is(value, -0) ? '-0' : String(value);

// A vector cannot be read from JavaScript.
function isNumeric(global) {
  try {
    return ['number', 'bigint'].includes(typeof global.value);
  } catch {
    return false;
  }
}

module.exports = { fromBits, hex, isNumeric, kTypes, numberText, toBits, trapName };
