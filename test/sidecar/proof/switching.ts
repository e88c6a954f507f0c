/** Rounds through all modes while everybody speaks with everybody, certificates are renewed and pods replaced. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as z from 'zod';
import { annotations, type Mode } from '../../../src/api/index.ts';
import { MESHED } from '../installation.ts';
import { outcomeOf, type Speaker } from './clients.ts';
import { lineSchema, makeReportDirectory, reportSchema } from './reports.ts';
import type { Town } from './town.ts';
import { load, ports, talker } from './workloads.ts';

/** A round takes some 10 s: `npm test` has few of them, `npm run proof` has 20. */
const ROUNDS = Number(process.env['SWITCH_ROUNDS'] ?? 4);
const round: readonly Mode[] = ['Permissive', 'Strict', 'Permissive', 'Disabled', 'Strict'];

/** Over a new connection each time, to pods that are replaced. */
const talked = [
  `http1://crowd:${ports.http}`,
  `http2://crowd:${ports.http}`,
  `websocket://crowd:${ports.http}`,
  `grpc://crowd:${ports.grpc}`,
  `lines://crowd:${ports.lines}`,
  `tls://crowd:${ports.tls}`,
  `greeter://crowd:${ports.greeter}`,
];
/** Over connections that are kept: to a pod that stays. */
const kept = [`lines://anchor:${ports.lines}`, `grpc://anchor:${ports.grpc}`, `greeter://anchor:${ports.greeter}`];

export function switching(town: () => Town): void {
  let directory: string;
  let steady: Speaker;

  const control = async (command: string): Promise<string> =>
    await outcomeOf(town().installation.cluster, steady, ['/talk', 'control', command]);
  const kubectl = async (...words: readonly string[]): Promise<string> =>
    await town().installation.cluster.kubectl([...words, '-n', MESHED]);
  const restart = async (deployment: string): Promise<void> => {
    await kubectl('rollout', 'restart', deployment);
    await town().installation.rolledOut(MESHED, deployment);
  };
  const revisions = async (): Promise<string> =>
    await kubectl('get', 'wcert', '-o', 'jsonpath={range .items[*]}{.metadata.name}={.status.revision} {end}');

  /** What happens meanwhile, by the round in which it begins. */
  const meanwhile = new Map<number, () => Promise<unknown>>([
    [1, () => kubectl('annotate', 'wcert', '--all', `${annotations.renewAt}=${new Date().toISOString()}`)],
    [2, () => restart('deployment/crowd')],
    [3, () => restart('deployment/rolled')],
  ]);

  beforeAll(async () => {
    directory = await makeReportDirectory();
    const { installation } = town();
    const of = (name: string) => ({ namespace: MESHED, name });
    await installation.turn('Permissive');
    await installation.apply(...talker(of('crowd'), 2), ...talker(of('anchor')));
    for (const name of ['crowd', 'anchor']) await installation.rolledOut(MESHED, `deployment/${name}`);
    await installation.apply(
      ...load(of('steady'), directory, [...talked, ...kept.map((url) => `keep+${url}`)]),
      ...load(of('rolled'), directory, talked),
    );
    for (const name of ['steady', 'rolled']) await installation.rolledOut(MESHED, `deployment/${name}`);
    steady = await town().speaker(MESHED, 'steady');
  });

  afterAll(async () => {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  });

  describe(`${ROUNDS} rounds through all modes`, () => {
    beforeAll(async () => {
      const before = await revisions();
      const begun: Promise<unknown>[] = [];
      for (let number = 1; number <= ROUNDS; number++) {
        const more = meanwhile.get(number);
        if (more !== undefined) begun.push(more());
        for (const mode of round) {
          await town().installation.turn(mode);
          // These are plaintext, and have to go when it is Strict.
          if (mode === 'Disabled') await control('renew');
        }
      }
      await Promise.all(begun);
      expect(numbersIn(await revisions())).toEqual(numbersIn(before).map((revision) => revision + 1));
      await kubectl('scale', 'deployment/rolled', '--replicas=0');
      await kubectl('wait', '--for=delete', 'pod', '-l', 'app=rolled', '--timeout=60s');
    }, 600_000);

    test('fail no request of a client that stays', async () => {
      const { events, talks } = reportSchema.parse(JSON.parse(await control('report')));
      expect(events.filter(({ kind }) => kind === 'failed')).toEqual([]);
      for (const url of talked) expect(talks[url], url).toBeGreaterThan(ROUNDS);
    });

    test('fail no request of clients that are replaced', async () => {
      const files = await readdir(directory);
      const lines = await Promise.all(files.filter((file) => file.startsWith('rolled-')).map(linesIn));
      expect(lines.flat().filter(({ kind }) => kind !== 'ended')).toEqual([]);
      expect(lines.flat()).toHaveLength(2);
    });

    test('cut no connection of mutual TLS, and each of plaintext once, when it becomes Strict', async () => {
      const { events } = reportSchema.parse(JSON.parse(await control('report')));
      const cuts = events.filter(({ kind }) => kind === 'cut').map(({ what }) => what);
      const times = kept.flatMap((url) =>
        ['steady', 'renewed'].map((sort) => [`${sort} ${url}`, cuts.filter((cut) => cut === `${sort} ${url}`).length]),
      );
      expect(times).toEqual(
        kept.flatMap((url) => [
          [`steady ${url}`, 0],
          [`renewed ${url}`, ROUNDS],
        ]),
      );
    });
  });

  async function linesIn(file: string): Promise<z.output<typeof lineSchema>[]> {
    const text = await readFile(join(directory, file), 'utf8');
    return text.split('\n').flatMap((line) => (line === '' ? [] : [lineSchema.parse(JSON.parse(line))]));
  }
}

function numbersIn(text: string): number[] {
  return [...text.matchAll(/=(\d+)/g)].map(([, digits]) => Number(digits));
}
