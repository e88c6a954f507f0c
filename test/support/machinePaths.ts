// A path of somebody's machine in a tracked file works nowhere else, and tells about that machine. Written so that these lines do not match themselves.
const homes = ['/root', '/home/[a-z][\\w.-]*', '/Users/[A-Za-z][\\w.-]*'];
const pattern = new RegExp(`(?<![\\w.~/-])(?:${homes.join('|')})/[\\w.-]+`, 'g');

/** The paths below a home directory that stand in `text`, with their lines. */
export function machinePaths(text: string): { readonly line: number; readonly path: string }[] {
  return text
    .split('\n')
    .flatMap((line, index) => [...line.matchAll(pattern)].map(([path]) => ({ line: index + 1, path })));
}
