import { expect, test } from 'vitest';
import { machinePaths } from './machinePaths.ts';

const home = (name: string) => ['', name, 'me', 'project'].join('/');

test.each([
  [`cd ${home('home')}`, [home('home')]],
  [`"${home('Users')}/x"`, [`${home('Users')}`]],
  ['https://example.com/root/cause', []],
  ['src/home/me/project', []],
  ['/tmp/anything', []],
  ['~/.kube/config', []],
])('in %j', (text, paths) => {
  expect(machinePaths(text).map(({ path }) => path)).toEqual(paths);
});

test('says the line', () => {
  expect(machinePaths(`\n\n${home('home')}\n`)).toEqual([{ line: 3, path: home('home') }]);
});
