import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuardedDirectory } from '../cluster/index.ts';
import { cgroupHierarchies } from './machine.ts';

/**
 * Makes a cgroup of this name in every hierarchy that is mounted, which goes, with those below it, when the directory does: no process is left in them
 * then. The kernel may take a moment to see that.
 */
export function makeCgroups(guarded: GuardedDirectory, name: string): void {
  const roots = cgroupHierarchies(readFileSync('/proc/self/mountinfo', 'utf8')).map(({ path }) => join(path, name));
  const words = roots.map((root) => `'${root.replaceAll("'", "'\\''")}'`).join(' ');
  guarded.undo(
    'cgroups',
    `for attempt in $(seq 100); do
  left=
  for root in ${words}; do
    [ -d "$root" ] || continue
    find "$root" -depth -type d -exec rmdir {} \\;
    [ -d "$root" ] && left=1
  done
  [ -z "$left" ] && exit 0
  sleep 0.1
done
`,
  );
  for (const root of roots) mkdirSync(root, { recursive: true });
}
