import { describe, expect, test } from 'vitest';
import type { ServiceRecord } from '../../inventory/index.ts';
import { MESH, type PolicySketch, policy } from '../../policy/builders.fixture.ts';
import type { PolicyRecord } from '../../policy/index.ts';
import { CliError } from '../end.ts';
import { type ExplainQuestion, explain } from './explain.ts';
import { explanationText } from './explainText.ts';
import { facts, identityAnswer, inboundAnswer, issuedAs, makeIdentity, SPIFFE_ID } from './proxy/builders.fixture.ts';
import { parseSubject, readSubject, type Subject } from './subject.ts';

const web = subject({ containers: [{ ports: [{ containerPort: 8080, name: 'http' }, { containerPort: 9090 }] }] });

function subject(spec: object, status: object = {}, asked = 'pod/web'): Subject {
  return readSubject(parseSubject([asked]), 'shop', { metadata: { labels: { app: 'web' } }, spec, status });
}

function record(sketch: PolicySketch): PolicyRecord {
  const content = policy(sketch);
  const { namespace, name } = content;
  const rest = { resourceVersion: '1', uid: 'u', generation: 1, deleting: false, status: {} };
  return { namespace, name, content: { policy: content }, ...rest };
}

function question(policies: readonly PolicySketch[], more: Partial<ExplainQuestion> = {}): ExplainQuestion {
  return {
    policies: policies.map(record),
    services: [],
    meshNamespace: MESH,
    port: undefined,
    operatorFound: true,
    proxy: undefined,
    now: Date.UTC(2031, 0, 1),
    ...more,
  };
}

describe('explain', () => {
  test('says that no policy decides, where there is none', () => {
    const { ports } = explain(web, question([], { port: '8080' }));
    expect(ports).toEqual([
      {
        port: 8080,
        names: ['http'],
        declared: true,
        mode: 'Permissive',
        decidedBy: null,
        liftedFrom: null,
        until: null,
        policies: [],
        loaded: null,
      },
    ]);
  });

  test('lists every policy that could have said something, and what became of it', () => {
    const { ports } = explain(
      web,
      question(
        [
          { namespace: MESH, name: 'mesh', mode: 'Disabled' },
          { name: 'all', mode: 'Permissive' },
          { name: 'young', age: 9, app: 'web', mode: 'Disabled' },
          { name: 'web', app: 'web', ports: { http: 'Strict' }, until: { http: '2032-01-01T00:00:00Z' } },
          { name: 'db', app: 'db', mode: 'Disabled' },
        ],
        { port: 'http' },
      ),
    );
    expect(ports[0]).toMatchObject({
      port: 8080,
      mode: 'Strict',
      decidedBy: { policy: 'shop/web', scope: 'Workload', entry: 0 },
      until: '2032-01-01T00:00:00Z',
    });
    expect(ports[0]?.policies.map(({ policy: name, outcome }) => `${name} ${outcome}`)).toEqual([
      'shop/db NotSelected',
      'shop/web Decides',
      'shop/young Overruled',
      'shop/all Narrower',
      `${MESH}/mesh Narrower`,
    ]);
  });

  test('tells what the minimum of the mesh lifts', () => {
    const policies = [
      { namespace: MESH, name: 'mesh', minimum: 'Strict' as const },
      { name: 'all', mode: 'Disabled' as const },
    ];
    const { ports } = explain(web, question(policies, { port: '8080' }));
    expect(ports[0]).toMatchObject({ mode: 'Strict', liftedFrom: 'Disabled', decidedBy: { policy: 'shop/all' } });
  });

  test('without a port: those that are declared, those that a policy which is heard names, and all others', () => {
    const policies: PolicySketch[] = [
      { name: 'all', mode: 'Strict', ports: { 7070: 'Disabled' } },
      { name: 'young', age: 9, ports: { 6060: 'Disabled' } },
      { name: 'db', app: 'db', ports: { 5050: 'Disabled' } },
      {
        namespace: MESH,
        name: 'mesh',
        ports: { 4040: 'Permissive', 3030: 'Strict' },
        until: { 3030: '2030-06-01T00:00:00Z' },
      },
    ];
    const { ports } = explain(web, question(policies));
    expect(ports.map(({ port, mode, declared }) => [port, mode, declared])).toEqual([
      [4040, 'Strict', false],
      [7070, 'Disabled', false],
      [8080, 'Strict', true],
      [9090, 'Strict', true],
      [null, 'Strict', false],
    ]);
  });

  test('of a pod with a sidecar say nothing of enforcement', () => {
    const spec = { containers: [{ ports: [{ containerPort: 8080 }] }], initContainers: [{ name: 'mtls-proxy' }] };
    expect(explain(subject(spec), question([])).notes).toEqual([]);
  });

  test.each<[string, Subject, Partial<ExplainQuestion>, string]>([
    ['that nothing is enforced where there is no sidecar', web, {}, 'the pod has no sidecar: nothing enforces a mode'],
    ['that the pod has ended', subject({ containers: [] }, { phase: 'Succeeded' }), {}, 'has ended'],
    ['that the pod has the network of its host', subject({ hostNetwork: true }), {}, 'network of its host'],
    ['that the pod declares no port', subject({ containers: [{}] }), {}, 'declares no TCP port'],
    ['that no container declares the port', web, { port: '80' }, 'no container declares port 80'],
    ['where the operator is not', web, { operatorFound: false }, `no operator runs in namespace ${MESH}`],
    [
      'that a policy cannot be read',
      web,
      {
        policies: [{ ...record({ name: 'old' }), content: { problem: 'spec.mode: Off is no mode' } }],
      },
      'shop/old cannot be read and has no effect: spec.mode: Off is no mode',
    ],
  ])('notes %s', (_, pod, more, note) => {
    const { notes } = explain(pod, question([], more));
    expect(notes).toContainEqual(expect.stringContaining(note));
  });

  describe('a port of a Service', () => {
    const service = (selector: Readonly<Record<string, string>>): ServiceRecord => ({
      resourceVersion: '1',
      namespace: 'shop',
      name: 'front',
      selector,
      ports: [{ port: 80, name: undefined, target: 'http' }],
    });

    test('is told from that of a container, where the Service leads to the pod', () => {
      const { notes } = explain(web, question([], { port: '80', services: [service({ app: 'web' })] }));
      expect(notes).toContainEqual(
        expect.stringContaining('80 is a port of Service front, behind which is container port http'),
      );
    });

    test.each([
      ['leads to other pods', [service({ app: 'db' })]],
      ['may not be read', undefined],
    ])('is not guessed where the Service %s', (_, services) => {
      const { notes } = explain(web, question([], { port: '80', services }));
      expect(notes.join()).not.toContain('Service');
    });
  });

  test('refuses the name of a port that the pod does not have, and says which there are', () => {
    expect(() => explain(web, question([], { port: 'grpc' }))).toThrow(
      new CliError('usage', 'pod/web has no port "grpc": its ports are called http; any number may be given'),
    );
  });
});

describe('the text', () => {
  const mixed = subject({
    containers: [
      {
        ports: [
          { containerPort: 8080, name: 'http' },
          { containerPort: 53, protocol: 'UDP' },
          { containerPort: 8080, protocol: 'UDP' },
          { containerPort: 3868, protocol: 'SCTP' },
        ],
      },
    ],
  });

  test('is a table of ports, with those that are not protected', () => {
    const policies: PolicySketch[] = [{ name: 'default', mode: 'Strict', ports: { 9090: 'Permissive' } }];
    expect(explanationText(explain(mixed, question(policies)))).toBe(
      [
        'pod/web in namespace shop',
        '',
        'PORT          MODE         WHY',
        '8080 (http)   Strict       shop/default (Namespace)',
        '9090          Permissive   shop/default (Namespace, ports[0])',
        'all others    Strict       shop/default (Namespace)',
        '53/UDP        -            not protected: modes are for TCP, not for UDP and QUIC',
        '8080/UDP      -            not protected: modes are for TCP, not for UDP and QUIC',
        '3868/SCTP     -            not protected: modes are for TCP',
        '',
        'note: the pod has no sidecar: nothing enforces a mode, and its traffic stays as it is',
        'note: no container declares port 9090: what is said of it holds for a process that listens there all the same',
        '',
      ].join('\n'),
    );
  });

  test('of one port names what is not protected, too: QUIC may have the same number', () => {
    expect(explanationText(explain(mixed, question([], { port: '8080' })))).toContain('8080/UDP      -');
  });

  test('of one port says what became of every policy', () => {
    const policies: PolicySketch[] = [
      { name: 'default', mode: 'Strict' },
      { name: 'web', app: 'web', ports: { 9090: 'Disabled' } },
    ];
    expect(explanationText(explain(mixed, question(policies, { port: '8080' })))).toContain(
      [
        'POLICY         SCOPE       WHAT BECOMES OF IT',
        'shop/web       Workload    says nothing about this port',
        'shop/default   Namespace   decides by its mode',
      ].join('\n'),
    );
  });

  describe('of a pod with a sidecar', () => {
    const strict: PolicySketch[] = [{ name: 'default', mode: 'Strict' }];
    const sound = subject({
      containers: [{ ports: [{ containerPort: 8080 }, { containerPort: 53, protocol: 'UDP' }] }],
      initContainers: [{ name: 'mtls-proxy' }],
    });

    test('has what its proxy takes beside what it should, and what it has loaded below', async () => {
      const { leaf, root } = await makeIdentity();
      const proxy = facts({
        identity: identityAnswer([leaf], [root]),
        inbound: inboundAnswer({ others: 'Permissive', ports: [{ number: 8080, mode: 'Strict', serverFirst: false }] }),
        certificate: issuedAs(leaf.serialNumber),
      });
      const lines = explanationText(explain(sound, question(strict, { proxy }))).split('\n');
      expect(lines.map((line) => line.replaceAll(/ {2,}/g, ' | '))).toEqual([
        'pod/web in namespace shop',
        '',
        'PORT | MODE | PROXY TAKES | WHY',
        '8080 | Strict | mutual TLS only | shop/default (Namespace)',
        'all others | Strict | mutual TLS and plaintext (differs) | shop/default (Namespace)',
        '53/UDP | - | - | not protected: modes are for TCP, not for UDP and QUIC',
        '',
        'LOADED | SERIAL NUMBER | EXPIRES | WHAT',
        `certificate | ${leaf.serialNumber} | 2031-01-01T01:00:00Z | ${SPIFFE_ID} (the last one)`,
        `root | ${root.serialNumber} | 2031-01-01T01:00:00Z | CN=Mesh`,
        'listener | - | - | version v1 since 2031-01-01T00:00:00.123Z',
        '',
        'note: at all others the proxy takes mutual TLS and plaintext, which is not what Strict asks for: the operator has recorded no mode for its workload yet',
        '',
      ]);
    });

    test('has one line where its proxy cannot be asked, and nothing of what it says moves the cursor', () => {
      const proxy = { ...facts({ identity: '{}' }), asked: { unread: 'it is asleep\u001b[2J' } };
      const text = explanationText(explain(sound, question(strict, { proxy })));
      expect(text).toContain('\nWhat the proxy has loaded is unknown: it is asleep [2J\n');
      expect(text).not.toContain('PROXY TAKES');
      expect(text).not.toContain('note:');
    });
  });
});
