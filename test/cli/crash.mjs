// Loaded into a program by `node --import`: at its n-th change of the file system the program is killed (CRASH=kill) or the disk is full (CRASH=full).
import { createRequire, syncBuiltinESMExports } from 'node:module';

const promises = createRequire(import.meta.url)('node:fs/promises');
const { CRASH: what, CRASH_AT: at } = process.env;
let steps = 0;

function step(name) {
  steps += 1;
  if (steps !== Number(at)) return;
  if (what === 'kill') process.kill(process.pid, 'SIGKILL');
  throw Object.assign(new Error(`ENOSPC: no space left on device, ${name}`), { code: 'ENOSPC' });
}

function hinder(object, name) {
  const original = object[name];
  object[name] = async function (...args) {
    // Making room works on a full disk, too.
    if (what === 'kill' || !['rm', 'unlink'].includes(name)) step(name);
    return await original.apply(this, args);
  };
}

for (const name of ['mkdir', 'symlink', 'rename', 'rm', 'unlink', 'chmod']) hinder(promises, name);
const open = promises.open;
promises.open = async (...args) => {
  step('open');
  const file = await open(...args);
  for (const name of ['writeFile', 'chown', 'chmod', 'sync', 'close']) {
    if (what === 'kill' || name !== 'close') hinder(file, name);
  }
  return file;
};
syncBuiltinESMExports();
