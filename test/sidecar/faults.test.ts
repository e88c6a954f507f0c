/** What goes wrong around sidecars that users have: each time those in the mesh talk on, nothing is opened, and status says what it is. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findCondition, mtlsPolicyKind } from '../../src/api/index.ts';
import { containerNames, identitySecretName } from '../../src/inject/index.ts';
import { send } from '../api/control.ts';
import { waitFor } from '../support/waitFor.ts';
import { createAll, unsaid, wrongPolicies } from './faults/manyPolicies.ts';
import { place, plaintext, Stage } from './faults/stage.ts';
import { MESHED, PLAIN } from './installation.ts';
import { talker } from './proof/workloads.ts';

/** In the mesh, too. */
const CROWDED = 'crowded';

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set();
});

afterAll(() => stage?.[Symbol.asyncDispose]());

/** The workload's entry in the record of the meshed namespace. */
async function switchOf(app: string) {
  const entry = (await stage.record()).spec.workloads?.find(({ name }) => name === app);
  if (entry === undefined) throw new Error(`${app} is not in the record`);
  return entry;
}

async function becomes(app: string, servers: string, phase: string): Promise<void> {
  await waitFor(`${app} to be ${servers} and ${phase}`, async () => {
    const entry = await switchOf(app);
    return entry.servers === servers && entry.phase === phase;
  });
}

async function refusesPlaintext(app: string): Promise<void> {
  const address = await stage.address(app);
  await waitFor(`${app} to refuse plaintext`, async () => (await plaintext(address)) === 'refused');
}

describe('a sidecar that hangs', () => {
  test('holds up its own workload alone, is named by the policy and the record, and is switched when it goes on', async () => {
    const { installation } = stage;
    await installation.turn('Permissive');
    const idle = `${MESHED}/${await stage.pod('idle')}`;
    await stage.whileHung('idle', () =>
      stage.undisturbed(async () => {
        await installation.ask('Strict');
        await waitFor('the policy to name it', async () => {
          const { status } = await stage.policy(MESHED, MESHED);
          const enforced = findCondition(status.conditions, 'Enforced');
          const { acknowledged, total } = status.effective?.proxies ?? {};
          const all = acknowledged === 3 && total === 4;
          return all && enforced?.reason === 'ProxiesLag' && enforced.message.includes(idle);
        });
        await becomes('web', 'Strict', 'Settled');
        await becomes('idle', 'Strict', 'Servers');
        await waitFor('the record to name it', async () => {
          const { message } = findCondition((await stage.record()).status.conditions, 'Settled') ?? {};
          return message === `on their way: Deployment/idle. Waiting for the proxies of ${idle}`;
        });
        await refusesPlaintext('web');
      }),
    );
    await installation.enforced('Strict');
    await refusesPlaintext('idle');
    expect((await stage.shop.get(await stage.pod('idle'))).of(containerNames.proxy)?.restartCount).toBe(0);
  });
});

describe('a pod whose sandbox has died, and its network with it', () => {
  test('is started in another one by kubelet, and is in the mesh there as it was before', async () => {
    const { installation } = stage;
    await installation.turn('Strict');
    const name = await stage.pod('idle');
    const before = await stage.shop.get(name);
    const sandbox = await installation.node.sandboxOf(before.uid);
    const proxy = await stage.shop.containerOf(name, containerNames.proxy);
    const after = await stage.undisturbed(async () => {
      await installation.node.signal(sandbox, 'SIGKILL');
      return await waitFor(
        'kubelet to have started it anew',
        async () => {
          const [now, container] = [
            await stage.shop.get(name),
            await stage.shop.containerOf(name, containerNames.proxy),
          ];
          return container !== proxy && now.ready && now;
        },
        { timeoutMs: 60_000 },
      );
    });
    expect(after.uid).toBe(before.uid);
    expect(after.address).not.toBe(before.address);
    // Nothing comes past its proxy, in neither direction.
    expect(await plaintext(after.address)).toBe('refused');
    expect(await stage.ask('idle', 'web')).toBe('heard question');
    await waitFor(
      'its peers to know where it is',
      async () => (await stage.ask('steady', 'idle')) === 'heard question',
    );
    await installation.enforced('Strict');
  });
});

/** Longer than a leader goes without having renewed its Lease. */
const AWAY = 12_000;

describe('an API server that goes in the middle of a switch', () => {
  test('disturbs nobody in the mesh, changes no mode, and the switch is completed when it is back', async () => {
    const { installation } = stage;
    const { cluster } = installation;
    await installation.turn('Permissive');
    const [web, idle] = [await stage.address('web'), await stage.address('idle')];
    let gone = 0;
    await stage.undisturbed(async () => {
      // As long as one has not acknowledged, it is in the middle.
      await stage.whileHung('idle', async (goOn) => {
        await installation.ask('Strict');
        await becomes('idle', 'Strict', 'Servers');
        await refusesPlaintext('web');
        await cluster.stopApiServer('SIGKILL');
        try {
          gone = Date.now();
          await goOn();
          // It has been told before, and needs no API server for it.
          await waitFor('idle to refuse plaintext', async () => (await plaintext(idle)) === 'refused');
          await delay(AWAY);
          expect([await plaintext(web), await plaintext(idle)]).toEqual(['refused', 'refused']);
        } finally {
          await cluster.startApiServer();
        }
      });
      await installation.enforced('Strict');
    });
    expect(Date.parse((await switchOf('idle')).since)).toBeGreaterThan(gone);
    expect([await plaintext(web), await plaintext(idle)]).toEqual(['refused', 'refused']);
    await waitFor('one leader', async () => {
      const leading = await stage.metric('controller', 'leader_election_master_status{name="mtls-operator"}');
      return leading.length === 2 && leading.reduce((sum, one) => sum + one, 0) === 1;
    });
  });
});

describe('while no replica of proxy-api is there', () => {
  const late = { namespace: MESHED, name: 'late' };
  const elsewhere = { namespace: PLAIN, name: 'elsewhere' };

  afterEach(async () => {
    const { cluster } = stage.installation;
    for (const { name, namespace } of [late, elsewhere])
      await cluster.kubectl(['delete', 'deployment', name, '-n', namespace, '--ignore-not-found']);
  });

  test('pods of the mesh are not made, which their ReplicaSet says; others are, and all when it is back', async () => {
    const { installation } = stage;
    await stage.undisturbed(async () => {
      await installation.scale(0, 'proxy-api');
      await installation.apply(...talker(late), ...talker(elsewhere));
      await waitFor('the ReplicaSet to say it', async () =>
        (await stage.events(MESHED, 'FailedCreate')).some(
          ({ involvedObject, message }) =>
            involvedObject.kind === 'ReplicaSet' &&
            involvedObject.name.startsWith('late-') &&
            message.includes('failed calling webhook "namespace.injection.mtls-operator.io"'),
        ),
      );
      await installation.rolledOut(PLAIN, 'deployment/elsewhere');
      expect(await installation.podNames(MESHED, 'late')).toEqual([]);
      await installation.scale(2, 'proxy-api');
      await installation.rolledOut(MESHED, 'deployment/late');
      expect((await stage.shop.get(await stage.pod('late'))).of(containerNames.proxy)?.started).toBe(true);
    });
  });
});

describe('a certificate that runs out, because its Secret cannot be written', () => {
  const secret = identitySecretName('brief');
  const frozen = 'secrets-are-frozen';
  const refusing = ['validatingadmissionpolicy', 'validatingadmissionpolicybinding'].map((kind) => `${kind}/${frozen}`);

  /** As a policy of the cluster's owner may. */
  async function refuseWrites(): Promise<void> {
    const apiVersion = 'admissionregistration.k8s.io/v1';
    const rule = { apiGroups: [''], apiVersions: ['v1'], resources: ['secrets'], operations: ['UPDATE'] };
    await stage.installation.apply(
      {
        apiVersion,
        kind: 'ValidatingAdmissionPolicy',
        metadata: { name: frozen },
        spec: {
          matchConstraints: { resourceRules: [{ ...rule, resourceNames: [secret] }] },
          validations: [{ expression: 'false', message: 'Secrets are frozen until Monday' }],
        },
      },
      {
        apiVersion,
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata: { name: frozen },
        spec: { policyName: frozen, validationActions: ['Deny'] },
      },
    );
    const patch = [
      'patch',
      'secret',
      secret,
      '--dry-run=server',
      '--type=merge',
      '-p',
      '{"metadata":{"labels":{"a":"b"}}}',
    ];
    await waitFor('it to be refused', async () => {
      const said = await stage.shop.kubectl(...patch).catch(String);
      return said.includes('Secrets are frozen');
    });
  }

  /** Of its WorkloadCertificate. */
  async function conditionsOf() {
    const { status } = await stage.certificate(secret);
    const of = (type: string) => findCondition(status.conditions, type);
    return { ready: of('Ready'), issuing: of('Issuing'), notAfter: Date.parse(status.notAfter ?? '') };
  }

  beforeAll(async () => {
    const { installation } = stage;
    await installation.turn('Permissive');
    // The user’s own in place of the operator’s: it does what sidecars need.
    const spec = {
      secretName: secret,
      serviceAccountName: 'brief',
      authorityRef: { name: 'default' },
      duration: '1m',
      outputs: [{ type: 'EnvoySDS' }],
    };
    await installation.apply(
      { apiVersion: 'mtls-operator.io/v1alpha1', kind: 'WorkloadCertificate', metadata: place(secret), spec },
      ...talker(place('brief')),
    );
    await installation.rolledOut(MESHED, 'deployment/brief');
    await refuseWrites();
  });

  afterAll(async () => {
    await stage.installation.cluster.kubectl(['delete', '--ignore-not-found', ...refusing]);
  });

  test('is told of while it is still valid: by status, an event and metrics', async () => {
    await waitFor(
      'its renewal to have failed',
      async () => {
        const { issuing, ready, notAfter } = await conditionsOf();
        expect(ready?.status).toBe('True');
        expect(notAfter).toBeGreaterThan(Date.now());
        return issuing?.reason === 'Failed' && issuing.message.includes('Secrets are frozen until Monday');
      },
      { timeoutMs: 60_000 },
    );
    expect(await stage.ask('steady', 'brief')).toBe('heard question');
    await waitFor('an event', async () =>
      (await stage.events(MESHED, 'Failed')).some(
        ({ involvedObject, message }) =>
          involvedObject.kind === 'WorkloadCertificate' && involvedObject.name === secret && message.includes('frozen'),
      ),
    );
    const labels = `{namespace="${MESHED}",name="${secret}"}`;
    const [due = 0] = await stage.metric('controller', `mtls_operator_certificate_renewal_timestamp_seconds${labels}`);
    expect(due * 1000).toBeLessThan(Date.now());
  });

  test('is refused by its peers and refuses them, and never falls back to plaintext; nobody else is disturbed', async () => {
    const address = await stage.address('brief');
    await stage.undisturbed(async () => {
      await waitFor('status to say that it has expired', async () => (await conditionsOf()).ready?.status === 'False', {
        timeoutMs: 60_000,
      });
      expect((await conditionsOf()).notAfter).toBeLessThan(Date.now());
      expect(await stage.ask('steady', 'brief')).toBe('refused');
      expect(await stage.ask('brief', 'web')).toBe('refused');
    });
    // It would be answered.
    expect(await plaintext(address)).toBe('answered');
  });

  test('is renewed when it can be, and taken by the same pod', async () => {
    const pod = await stage.shop.get(await stage.pod('brief'));
    await stage.installation.cluster.kubectl(['delete', ...refusing]);
    await waitFor('it to be Ready', async () => (await conditionsOf()).ready?.status === 'True', { timeoutMs: 60_000 });
    await waitFor('peers to take it', async () => (await stage.ask('steady', 'brief')) === 'heard question');
    expect(await stage.ask('brief', 'web')).toBe('heard question');
    const after = await stage.shop.get(await stage.pod('brief'));
    expect([after.uid, after.of(containerNames.proxy)?.restartCount]).toEqual([pod.uid, 0]);
  });
});

describe('a thousand policies of one namespace that contradict each other, select nothing, name ports that nobody has or have ended', () => {
  const policies = wrongPolicies(1_000);
  const lone = { namespace: CROWDED, name: 'lone' };

  beforeAll(async () => {
    const { installation } = stage;
    const labels = { 'mtls-operator.io/injection': 'enabled' };
    await installation.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: CROWDED, labels } });
    await installation.apply(...talker(lone));
    await installation.rolledOut(CROWDED, 'deployment/lone');
    await installation.turn('Permissive');
  });

  const memory = async () => [
    ...(await stage.metric('controller', 'process_resident_memory_bytes')),
    ...(await stage.metric('proxy-api', 'process_resident_memory_bytes')),
  ];

  test('each have their status; others are switched meanwhile, and nobody needs more than a little memory for it', async () => {
    const { installation } = stage;
    const restarts = await stage.operatorRestarts();
    await stage.undisturbed(async () => {
      await createAll(installation.cluster, CROWDED, policies);
      await installation.turn('Strict');
      await refusesPlaintext('web');
    });
    let left: readonly string[] = [];
    await waitFor(
      'all to have their status',
      async () => {
        left = unsaid(policies, await stage.conditionsOf(CROWDED));
        return left.length === 0;
      },
      { timeoutMs: 90_000, intervalMs: 500 },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}; ${left.length} have not, as ${left.slice(0, 5).join('; ')}`);
    });
    for (const bytes of await memory()) expect(bytes).toBeLessThan(256e6);
    // Nobody was killed for want of memory, either.
    expect(await stage.operatorRestarts()).toEqual(restarts);
  });

  test('are forgotten when they are deleted', async () => {
    // All at once: kubectl asks for one after the other.
    expect((await send(stage.installation.cluster, 'DELETE', mtlsPolicyKind.path(CROWDED))).status).toBe(200);
    await waitFor('the record to name none of them', async () => {
      const { workloads = [] } = (await stage.record(CROWDED)).spec;
      return workloads.every((one) =>
        [one, ...(one.ports ?? [])].every(({ policy, phase }) => policy === undefined && phase === 'Settled'),
      );
    });
  });
});
