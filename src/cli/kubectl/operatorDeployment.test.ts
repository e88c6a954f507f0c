import { describe, expect, test } from 'vitest';
import { readDeployment } from './operatorDeployment.ts';

const chart = { 'helm.sh/chart': 'mtls-operator-0.1.0', 'app.kubernetes.io/component': 'proxy-api' };

function deployment(labels: object, args: unknown = [], more: object = {}): object {
  const containers = [
    { name: 'helper', args: ['--proxy-image=wrong'] },
    { name: 'proxy-api', args },
  ];
  return { metadata: { name: 'd', labels }, spec: { template: { spec: { containers } }, ...more } };
}

describe('a Deployment', () => {
  test.each<[string, object, string | undefined]>([
    ['of the chart under another name', { ...chart, 'app.kubernetes.io/name': 'mesh' }, 'proxy-api'],
    [
      'without chart',
      { 'app.kubernetes.io/name': 'mtls-operator', 'app.kubernetes.io/component': 'controller' },
      'controller',
    ],
    [
      'of somebody else',
      { 'app.kubernetes.io/name': 'cert-manager', 'app.kubernetes.io/component': 'controller' },
      undefined,
    ],
    ['of another component', { ...chart, 'app.kubernetes.io/component': 'cainjector' }, undefined],
    ['of a chart whose name begins the same', { ...chart, 'helm.sh/chart': 'mtls-operator-extras-1.0.0' }, undefined],
    ['without labels', {}, undefined],
  ])('%s is known for what it is', (_, labels, component) => {
    expect(readDeployment(deployment(labels))?.component).toBe(component);
  });

  test('has the flags of its own container, in both ways to write them', () => {
    const args = ['proxy-api', '--proxy-image=a=b', '--every-namespace', '--mesh-ranges', '10.0.0.0/8', 7, '--x='];
    expect([...(readDeployment(deployment(chart, args))?.flags ?? [])]).toEqual([
      ['proxy-image', 'a=b'],
      ['every-namespace', ''],
      ['mesh-ranges', '10.0.0.0/8'],
      ['x', ''],
    ]);
  });

  test('wants one replica where it does not say, and has none that are ready where nobody says', () => {
    expect(readDeployment(deployment(chart))).toMatchObject({ wanted: 1, ready: 0, account: 'default' });
    expect(readDeployment(deployment(chart, 'none', { replicas: 0 }))).toMatchObject({ wanted: 0 });
  });
});
