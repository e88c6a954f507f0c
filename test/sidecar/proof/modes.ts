/** Every protocol in every mode, from a pod in the mesh and from one that is not, and what of it can be read on the way. */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Mode } from '../../../src/api/index.ts';
import { MESH_ALPN, serverFirstName } from '../../../src/envoy/index.ts';
import { printProgress } from '../../support/progress.ts';
import { MESHED, PLAIN } from '../installation.ts';
import { Capture } from './capture.ts';
import { clients, type Outcome, outcomeOf } from './clients.ts';
import type { Town } from './town.ts';
import { ports } from './workloads.ts';

interface Said {
  readonly payload: string;
  readonly outcome: Outcome;
}

const modes: readonly Mode[] = ['Permissive', 'Strict', 'Disabled'];
const ways = {
  'between meshed pods': { namespace: MESHED, app: 'cart', host: `web.${MESHED}` },
  'from a plain pod': { namespace: PLAIN, app: 'stranger', host: `web.${MESHED}` },
  'from a meshed pod to a plain one': { namespace: MESHED, app: 'cart', host: `web.${PLAIN}` },
} as const;
type Way = keyof typeof ways;

const payloadOf = (): string => `payload-${randomBytes(6).toString('hex')}`;

export function protocolsInModes(town: () => Town): void {
  describe.each(modes)('in %s', (mode) => {
    const said = new Map<string, Said>();
    let wire: Buffer;
    const key = (way: string, protocol: string): string => `${way}: ${protocol}`;

    beforeAll(async () => {
      const { installation } = town();
      await installation.turn(mode);
      const capture = await Capture.start(installation.cluster, installation.node, printProgress);
      for (const [way, { app, host, namespace }] of Object.entries(ways)) {
        const speaker = await town().speaker(namespace, app);
        for (const client of clients) {
          const payload = payloadOf();
          said.set(key(way, client.protocol), { payload, outcome: await town().says(speaker, client, host, payload) });
        }
      }
      const end = payloadOf();
      const stranger = await town().speaker(PLAIN, 'stranger');
      await outcomeOf(installation.cluster, stranger, ['/talk', 'ask', `lines://web:${ports.lines}`, end]);
      wire = await capture.stop(end);
    });

    const saidBy = (way: Way, protocol: string): Said => {
      const found = said.get(key(way, protocol));
      if (found === undefined) throw new Error(`${protocol} was not spoken`);
      return found;
    };
    const isOnTheWire = (text: string): boolean => wire.includes(text, 0, 'latin1');

    describe.each(['between meshed pods', 'from a meshed pod to a plain one'] as const)('%s', (way) => {
      test.each(clients)('$protocol works', ({ protocol }) => {
        const { outcome, payload } = saidBy(way, protocol);
        expect(outcome).toBe(`heard ${payload}`);
      });
    });

    describe('from a plain pod', () => {
      test.each(clients)(`$protocol ${mode === 'Strict' ? 'is refused' : 'works'}`, ({ protocol }) => {
        const { outcome, payload } = saidBy('from a plain pod', protocol);
        expect(outcome).toBe(mode === 'Strict' ? 'refused' : `heard ${payload}`);
      });
    });

    describe('on the wire', () => {
      const legible = clients.filter((client) => client.legible);
      const meshed = mode === 'Disabled' ? 'legible' : 'illegible';

      test.each(clients)(
        `$protocol between meshed pods is ${meshed}, where it is not encrypted by itself`,
        (client) => {
          const expected = mode === 'Disabled' && client.legible;
          expect(isOnTheWire(saidBy('between meshed pods', client.protocol).payload)).toBe(expected);
        },
      );

      // So the capture hears what there is.
      test.each(legible)('$protocol with a plain pod is legible', ({ protocol }) => {
        expect(isOnTheWire(saidBy('from a meshed pod to a plain one', protocol).payload)).toBe(true);
        if (mode !== 'Strict') expect(isOnTheWire(saidBy('from a plain pod', protocol).payload)).toBe(true);
      });

      test(`${mode === 'Disabled' ? 'no' : 'the'} handshakes of the mesh are there`, () => {
        const length = String.fromCharCode(MESH_ALPN.length);
        const marks = [
          `${length}${MESH_ALPN}`,
          ...[ports.mariadb, ports.annotated, ports.greeter].map(serverFirstName),
        ];
        expect(marks.map(isOnTheWire)).toEqual(marks.map(() => mode !== 'Disabled'));
      });
    });
  });
}
