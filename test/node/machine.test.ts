import { expect, test } from 'vitest';
import { cgroupHierarchies, obstacles } from './machine.ts';

const disk = '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw';
const v1 = (controller: string) =>
  `30 25 0:26 / /sys/fs/cgroup/${controller} rw,nosuid shared:9 - cgroup cgroup rw,${controller}`;
const v2 = '31 25 0:27 / /sys/fs/cgroup rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate';
const inContainer = '32 25 0:28 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory';
const text = (...lines: readonly string[]) => [disk, ...lines].join('\n');

test('the hierarchies of both versions are found', () => {
  expect(cgroupHierarchies(text(v1('cpu,cpuacct'), v2))).toEqual([
    { path: '/sys/fs/cgroup/cpu,cpuacct', controllers: ['rw', 'cpu', 'cpuacct'] },
    { path: '/sys/fs/cgroup', controllers: undefined },
  ]);
});

test.each([
  ['all of version 1', [v1('cpu,cpuacct'), v1('cpuset'), v1('memory')], []],
  ['version 1 with version 2 for names only', [v1('cpu,cpuacct'), v1('cpuset'), v1('memory'), v2], []],
  ['version 2', [v2], []],
  ['version 1 without one', [v1('cpu,cpuacct'), v1('memory')], ['cgroups are mounted without the controllers cpuset']],
  ['none', [], ['no cgroups are mounted']],
  ['only those of a container', [inContainer], ['no cgroups are mounted']],
])('what is missing with %s is said', (_, lines, problems) => {
  expect(obstacles({ platform: 'linux', uid: 0, mountinfo: () => text(...lines) })).toEqual(problems);
});

test.each([
  ['darwin', 0, 'this is not Linux'],
  ['linux', 1_000, 'it needs root, for namespaces, mounts and cgroups'],
] as const)('on %s, user %i: %s', (platform, uid, problem) => {
  expect(obstacles({ platform, uid, mountinfo: () => text(v2) })).toEqual([problem]);
});
