/** Addresses that sidecars do not take for those of the mesh. Pure. */
import { BlockList, isIP } from 'node:net';
import { canonicalCidr } from '../../../api/index.ts';
import { counted, some } from '../table.ts';
import type { CheckFacts } from './facts.ts';
import { error, type Finding, ok, unless, warning, whenRead } from './finding.ts';

const ADVICE = 'add their ranges to mesh.ranges of the chart';

export function judgeRanges({
  deployments,
  operatorNamespace: namespace,
  pods,
  services,
}: CheckFacts): readonly Finding[] {
  return whenRead('MeshRanges', deployments, (found) => {
    const proxyApi = found.find(({ component }) => component === 'proxy-api');
    const written = proxyApi?.flags.get('mesh-ranges');
    if (proxyApi === undefined || written === undefined) return [];
    const where = { object: `deployment/${proxyApi.name}`, namespace };
    const ranges = rangesIn(written);
    if ('wrong' in ranges)
      return [
        error(
          'MeshRanges',
          where,
          `--mesh-ranges has ${JSON.stringify(ranges.wrong)}, which is no CIDR`,
          'correct mesh.ranges of the chart',
        ),
      ];
    const isOutside = (address: string) => !ranges.list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
    const ofPods = whenRead('MeshRanges', pods, (all) => {
      const outside = all.filter(
        ({ addresses, deleting, hostNetwork }) => !hostNetwork && !deleting && addresses.some(isOutside),
      );
      const meshed = outside.filter(({ sidecar }) => sidecar !== undefined);
      const plain = outside.filter(({ sidecar }) => sidecar === undefined);
      const told = (of: typeof outside) =>
        some(of.map((pod) => `${pod.namespace}/${pod.name} ${pod.addresses.filter(isOutside).join(' ')}`));
      return [
        ...(meshed.length === 0
          ? []
          : [
              error(
                'MeshRanges',
                where,
                `${counted(meshed.length, 'pod')} with a sidecar outside of ${written}: nobody in the mesh speaks mutual TLS to them: ${told(meshed)}`,
                ADVICE,
              ),
            ]),
        ...(plain.length === 0
          ? []
          : [
              warning(
                'MeshRanges',
                where,
                `${counted(plain.length, 'pod')} without sidecar outside of ${written}: ${told(plain)}`,
                ADVICE,
              ),
            ]),
      ];
    });
    const ofServices = whenRead('MeshRanges', services, (all) => {
      const outside = all.filter(({ clusterIPs }) => clusterIPs.some(isOutside));
      if (outside.length === 0) return [];
      const told = some(
        outside.map((one) => `${one.namespace}/${one.name} ${one.clusterIPs.filter(isOutside).join(' ')}`),
      );
      return [
        error(
          'MeshRanges',
          where,
          `${counted(outside.length, 'Service')} outside of ${written}: nobody in the mesh speaks mutual TLS to them by these addresses: ${told}`,
          ADVICE,
        ),
      ];
    });
    return unless([...ofPods, ...ofServices], ok('MeshRanges', `all pods and Services are in ${written}`, where));
  });
}

function rangesIn(written: string): { readonly list: BlockList } | { readonly wrong: string } {
  const list = new BlockList();
  for (const word of written.split(',')) {
    const [address = '', length] = (canonicalCidr(word.trim()) ?? '').split('/');
    if (length === undefined) return { wrong: word };
    list.addSubnet(address, Number(length), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return { list };
}
