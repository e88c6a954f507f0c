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
import { ipv6Name, ports } from './workloads.ts';

interface Said {
  readonly payload: string;
  readonly outcome: Outcome;
}

const modes: readonly Mode[] = ['Permissive', 'Strict', 'Disabled'];
const ways = {
  'between meshed pods': { namespace: MESHED, app: 'cart', to: MESHED },
  'from a plain pod': { namespace: PLAIN, app: 'stranger', to: MESHED },
  'from a meshed pod to a plain one': { namespace: MESHED, app: 'cart', to: PLAIN },
} as const;
type Way = keyof typeof ways;
const families = { IPv4: 'web', IPv6: ipv6Name('web') } as const;
type Family = keyof typeof families;
const familyNames: readonly Family[] = ['IPv4', 'IPv6'];

const payloadOf = (): string => `payload-${randomBytes(6).toString('hex')}`;

export function protocolsInModes(town: () => Town): void {
  describe.each(modes)('in %s', (mode) => {
    const said = new Map<string, Said>();
    let wire: Buffer;
    const key = (way: string, family: Family, protocol: string): string => `${way}, ${family}: ${protocol}`;

    beforeAll(async () => {
      const { installation } = town();
      await installation.turn(mode);
      const capture = await Capture.start(installation.cluster, installation.node, printProgress);
      for (const [way, { app, namespace, to }] of Object.entries(ways)) {
        const speaker = await town().speaker(namespace, app);
        for (const family of familyNames) {
          for (const client of clients) {
            const payload = payloadOf();
            const outcome = await town().says(speaker, client, `${families[family]}.${to}`, payload);
            said.set(key(way, family, client.protocol), { payload, outcome });
          }
        }
      }
      const end = payloadOf();
      const stranger = await town().speaker(PLAIN, 'stranger');
      await outcomeOf(installation.cluster, stranger, ['/talk', 'ask', `lines://web:${ports.lines}`, end]);
      wire = await capture.stop(end);
    });

    const saidBy = (way: Way, family: Family, protocol: string): Said => {
      const found = said.get(key(way, family, protocol));
      if (found === undefined) throw new Error(`${protocol} was not spoken`);
      return found;
    };
    const isOnTheWire = (text: string): boolean => wire.includes(text, 0, 'latin1');

    describe.each(familyNames)('over %s', (family) => {
      describe.each(['between meshed pods', 'from a meshed pod to a plain one'] as const)('%s', (way) => {
        test.each(clients)('$protocol works', ({ protocol }) => {
          const { outcome, payload } = saidBy(way, family, protocol);
          expect(outcome).toBe(`heard ${payload}`);
        });
      });

      describe('from a plain pod', () => {
        test.each(clients)(`$protocol ${mode === 'Strict' ? 'is refused' : 'works'}`, ({ protocol }) => {
          const { outcome, payload } = saidBy('from a plain pod', family, protocol);
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
            expect(isOnTheWire(saidBy('between meshed pods', family, client.protocol).payload)).toBe(expected);
          },
        );

        // So the capture hears what there is.
        test.each(legible)('$protocol with a plain pod is legible', ({ protocol }) => {
          expect(isOnTheWire(saidBy('from a meshed pod to a plain one', family, protocol).payload)).toBe(true);
          if (mode !== 'Strict') expect(isOnTheWire(saidBy('from a plain pod', family, protocol).payload)).toBe(true);
        });
      });
    });

    describe('on the wire', () => {
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
