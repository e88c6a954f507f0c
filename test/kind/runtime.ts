import { readFileSync, writeFileSync } from 'node:fs';

const CAP_SYS_RESOURCE = 24n;

/** Whether this machine may give a privileged container all capabilities, as Docker does: some have lost one for good. */
export function hasSysResource(status = readFileSync('/proc/self/status', 'utf8')): boolean {
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  return ((BigInt(`0x${bounding}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
}

/** Writes a program that is runc, but for containers that ask for CAP_SYS_RESOURCE, which they do not get. */
export function writeRuntime(file: string): void {
  writeFileSync(file, script, { mode: 0o755 });
}

const script = `#!/bin/sh
# What a container may do stands in its bundle, what a command in it may do in a file of its own.
set -eu
before=
for word in "$@"; do
  file=
  case "$before" in
    --bundle) file="$word/config.json" ;;
    --process) file="$word" ;;
  esac
  if [ -n "$file" ]; then sed -i -e 's/"CAP_SYS_RESOURCE",//g' -e 's/,"CAP_SYS_RESOURCE"//g' "$file"; fi
  before="$word"
done
exec runc "$@"
`;
