import { describe, expect, test } from 'vitest';
import { parseProxyApiFlags } from './flags.ts';

const needed = ['--mesh-ranges=10.244.0.0/16, fd00:10::/56', '--proxy-image=envoy:1', '--init-image=init:1'];
const parse = (...more: readonly string[]) => parseProxyApiFlags([...needed, ...more], { POD_NAMESPACE: 'system' });

describe('flags', () => {
  test('have defaults but for what nobody else can know', () => {
    expect(parse()).toMatchObject({
      namespace: 'system',
      host: 'mtls-operator-proxy-api.system.svc.cluster.local',
      ranges: [
        { address: '10.244.0.0', length: 16 },
        { address: 'fd00:10::', length: 56 },
      ],
      everyNamespace: false,
      sourceAddresses: true,
      resources: { requests: { cpu: '20m', memory: '96Mi' }, limits: { memory: '512Mi' } },
    });
  });

  test('name the host by Service, namespace and domain', () => {
    const found = parse('--service=api', '--namespace=ops', '--cluster-domain=example.org');
    expect(found).toMatchObject({ host: 'api.ops.svc.example.org' });
  });

  test.each<[string, readonly string[], RegExp]>([
    ['no ranges', ['--proxy-image=a', '--init-image=b'], /--mesh-ranges is missing: give CIDRs/],
    ['a range that is no CIDR', ['--mesh-ranges=10.0.0.1'], /--mesh-ranges has "10.0.0.1": give CIDRs/],
    ['no image', ['--mesh-ranges=10.0.0.0/8', '--init-image=b'], /--proxy-image is missing/],
    ['a port that is none', [...needed, '--port=70000'], /--port is "70000": give a number from 0 to 65535/],
    ['a flag that is none', [...needed, '--meshranges=x'], /Unknown option '--meshranges'/],
  ])('refuse %s, and say what to give', (_, args, message) => {
    expect(() => parseProxyApiFlags(args, {})).toThrow(message);
  });

  test('ask for help', () => {
    expect(parseProxyApiFlags(['--help'], {})).toBe('help');
  });
});
