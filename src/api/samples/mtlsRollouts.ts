import { type BadSample, type GoodSample, required, unsupported } from './sample.ts';

const settled = {
  target: 'Strict',
  servers: 'Strict',
  clients: 'MutualTLS',
  phase: 'Settled',
  since: '2030-01-01T00:00:00Z',
  policy: 'shop/default',
};
const workload = (fields: object): object => ({
  workloads: [{ kind: 'Deployment', name: 'web', ...settled, ...fields }],
});

export const goodMTLSRollouts: readonly GoodSample[] = [
  { title: 'nothing', spec: {} },
  { title: 'a workload without ports', spec: workload({}) },
  {
    title: 'a port on its way',
    spec: workload({ ports: [{ port: 8080, ...settled, servers: 'Permissive', phase: 'Clients' }] }),
  },
];

export const badMTLSRollouts: readonly BadSample[] = [
  {
    title: 'a phase that is none',
    spec: workload({ phase: 'Done' }),
    field: 'spec.workloads[0].phase',
    ...unsupported,
  },
  {
    title: 'a workload without a name',
    spec: { workloads: [{ kind: 'Deployment', ...settled }] },
    field: 'spec.workloads[0].name',
    ...required,
  },
  {
    title: 'a workload twice',
    spec: { workloads: [0, 1].map(() => ({ kind: 'Deployment', name: 'web', ...settled })) },
    field: 'spec.workloads[1]',
    message: 'Duplicate value',
  },
  {
    title: 'a port twice',
    spec: workload({ ports: [0, 1].map(() => ({ port: 80, ...settled })) }),
    field: 'spec.workloads[0].ports[1]',
    message: 'Duplicate value',
  },
];
