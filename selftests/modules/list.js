// SPDX-License-Identifier: GPL-2.0
// selftests/modules.list: what is in it, where the files are, and what the test programs beside this file share.
'use strict';
const { createHash } = require('node:crypto');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const kRoot = path.join(__dirname, '../..');
// Where fetched files are kept: NAME.wasm.
const kCache = process.env.WRING_MODULES || path.join(kRoot, 'build/modules');

function readList() {
  const entries = [];
  for (const line of fs.readFileSync(path.join(kRoot, 'selftests/modules.list'), 'utf8').split('\n')) {
    if (!line || line.startsWith('#')) continue;
    const match = /^(\S+) (\S+) (\S+) ([0-9a-f]{64}) (\S+)(?: refused: (.+))?$/.exec(line);
    if (!match) throw new Error(`modules.list: cannot read "${line}"`);
    const [, name, from, file, sha256, tags, refused] = match;
    entries.push({ name, from, file, sha256, tags: tags.split(','), refused });
  }
  return entries;
}

// Where an entry's file is, or would be.
const cachePath = (entry) => path.join(kCache, entry.tags.includes('engine') ? entry.name : entry.name + '.wasm');

function checksum(file) {
  try {
    return createHash('sha256').update(fs.readFileSync(file)).digest('hex');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}
const isFetched = (entry) => checksum(cachePath(entry)) === entry.sha256;

// Options are --NAME VALUE, with the defaults given; returns null, and says why, if there are others.
function parseOptions(argv, defaults) {
  const options = { ...defaults };
  for (let i = 0; i < argv.length; i += 2) {
    const name = argv[i].replace(/^--/, '');
    if (!argv[i].startsWith('--') || !(name in options) || i + 1 === argv.length) {
      const names = Object.keys(defaults).map((n) => `[--${n} ${n.toUpperCase()}]`);
      console.error(`usage: ${path.basename(process.argv[1])} ${names.join(' ')}`);
      return null;
    }
    options[name] = argv[i + 1];
  }
  return options;
}

// The entries with that tag, or that name; all modules for "all".
function select(tag) {
  const wanted = (e) => tag === 'all' ? !e.tags.includes('engine') : e.tags.includes(tag) || e.name === tag;
  return readList().filter(wanted);
}

// Runs a program to its end: {status, signal, stdout, stderr}. It is killed after `seconds`.
function run(program, args, seconds = 3600) {
  return new Promise((resolve) => {
    const child = spawn(program, args,
      { stdio: ['ignore', 'pipe', 'pipe'], timeout: seconds * 1000, killSignal: 'SIGKILL' });
    const out = { stdout: '', stderr: '' };
    child.stdout.on('data', (data) => { out.stdout += data; });
    child.stderr.on('data', (data) => { out.stderr += data; });
    child.on('error', (error) => resolve({ ...out, status: -1, signal: null, stderr: error.message }));
    child.on('close', (status, signal) => resolve({ ...out, status, signal }));
  });
}
// What went wrong, in one line: node writes a stack after its error, others end with what matters.
function complaint(result) {
  const how = result.signal ? `killed by ${result.signal}` : `status ${result.status}`;
  const lines = (result.stderr || result.stdout).trim().split('\n').filter((line) => line !== 'Aborted');
  const text = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.slice(-3).join('; ');
  return `${text || 'no message'} (${how})`;
}

// Does `work` for every item, as many at a time as there are processors; the answers are in the items' order.
async function forAll(items, work) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]);
    }
  };
  await Promise.all(os.cpus().map(worker));
  return results;
}

// Lines of TAP. skip: the reason, if there was nothing to test.
let failures = 0, tests = 0;
function report(good, text, skip) {
  tests++;
  if (!good) failures++;
  console.log(`${good ? 'ok' : 'not ok'} - ${text.replace(/[\n#]/g, ' ')}${skip ? ` # SKIP ${skip}` : ''}`);
}
function finish() {
  console.log(`1..${tests}`);
  process.exitCode = failures ? 1 : 0;
}

module.exports = { kRoot, readList, cachePath, checksum, isFetched, parseOptions, select, run, complaint, forAll,
  report, finish };
