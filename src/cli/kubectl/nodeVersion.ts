/** Whether Node is one that the plugin runs on: kubectl starts it with whatever `node` is on the PATH. Pure. */

/** The oldest that it is tested with, as in package.json. */
const OLDEST = 24;

/** @param version as in `24.1.0`. @returns what is wrong with it; undefined: nothing. */
export function problemOfNode(version: string): string | undefined {
  const [major = ''] = version.split('.');
  if (Number(major) >= OLDEST) return undefined;
  return `it needs Node ${OLDEST} or newer, and the node on your PATH is ${version}: put a newer one before it`;
}
