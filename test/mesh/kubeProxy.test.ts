/** Where connections to Services go, compared with kube-proxy's own code. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { familyOf } from '../../src/mesh/address.ts';
import { places, service, slicesOf, type World, worlds } from '../../src/mesh/builders.fixture.ts';
import { candidatesOf, type Place, selectEndpoints } from '../../src/mesh/index.ts';
import { moduleDirectory } from '../cluster/versions.ts';
import { goProgram } from '../support/goProgram.ts';
import { printProgress } from '../support/progress.ts';

const program = await goProgram(moduleDirectory, printProgress, 'kubeproxy');

const answerSchema = z.array(
  z.object({ family: z.enum(['IPv4', 'IPv6']), port: z.number(), endpoints: z.array(z.string()) }),
);
type Answer = z.output<typeof answerSchema>;

interface Question {
  readonly world: World;
  readonly place: Place;
}

async function kubeProxy(questions: readonly Question[]): Promise<readonly Answer[]> {
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const output = text(child.stdout);
  for (const { world, place } of questions) {
    const labels = place.zone === '' ? {} : { 'topology.kubernetes.io/zone': place.zone };
    const asked = { service: world.service, endpointSlices: world.slices, node: place.node, labels };
    child.stdin.write(`${JSON.stringify(asked)}\n`);
  }
  child.stdin.end();
  const lines = (await output).trimEnd().split('\n');
  return lines.map((line) => answerSchema.parse(JSON.parse(line)));
}

function ours({ world, place }: Question): Answer {
  const { clusterIPs, localOnly, ports } = service(world.service);
  return clusterIPs.flatMap((clusterIP) =>
    ports.map(({ name, number: port }) => {
      const family = familyOf(clusterIP);
      const chosen = selectEndpoints(candidatesOf(slicesOf(world), name, family), localOnly, place);
      const written = chosen.map((one) => `${family === 'IPv6' ? `[${one.address}]` : one.address}:${one.port}`);
      return { family, port, endpoints: written };
    }),
  );
}

/** Which endpoints, in no order. */
function sorted(answer: Answer): Answer {
  const key = ({ family, port }: Answer[number]): string => `${family} ${port}`;
  return answer
    .map((one) => ({ ...one, endpoints: one.endpoints.toSorted() }))
    .toSorted((one, other) => (key(one) < key(other) ? -1 : 1));
}

test('every client is led where kube-proxy would lead it', async () => {
  const questions = fc.sample(worlds, 3000).flatMap((world) => places.map((place) => ({ world, place })));
  const answers = await kubeProxy(questions);
  expect(answers.length).toBe(questions.length);
  const compared = questions.map((question, index) => ({
    question,
    expected: sorted(answers[index] ?? []),
    found: sorted(ours(question)),
  }));
  const wrong = compared.filter(({ expected, found }) => JSON.stringify(expected) !== JSON.stringify(found));
  expect(JSON.stringify(wrong[0], undefined, 1)).toBeUndefined();
  // Worlds in which nobody is led anywhere would compare well.
  const asked = compared.flatMap(({ expected }) => expected);
  expect(asked.filter(({ endpoints }) => endpoints.length > 0).length).toBeGreaterThan(asked.length / 10);
});
