import { CommandError, run } from '../support/command.ts';
import { type Addresses, chooseAddresses, ipv6AddressesOf } from './addresses.ts';
import { machinePath } from './machine.ts';
import type { Namespaces } from './namespaces.ts';

const env = { PATH: machinePath };

/**
 * Connects this machine with the node by a pair of virtual interfaces, and makes a route to its pods and Services. The kernel removes all of it with the
 * node's network. `directory` is its cluster's; `dualStack`: IPv6 beside IPv4. Nothing is translated or forwarded by this machine, so its own firewall rules for what it forwards do not matter.
 */
export async function connect(namespaces: Namespaces, directory: string, dualStack = false): Promise<Addresses> {
  const taken = new Set<string>();
  for (;;) {
    const { stdout } = await run('ip', ['-json', 'route', 'show', 'table', 'all'], { env });
    const addresses = chooseAddresses(JSON.parse(stdout), taken);
    const name = interfaceName(addresses);
    try {
      const peer = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', String(namespaces.pid)];
      await run('ip', ['link', 'add', name, ...peer], { env });
    } catch (error) {
      // The name is what two clusters that start at once compete for.
      if (!(error instanceof CommandError && error.output.includes('File exists'))) throw error;
      taken.add(addresses.id);
      continue;
    }
    const { machine, node, linkPrefix, block } = addresses;
    await run('ip', ['link', 'set', name, 'alias', directory], { env }); // whose it is, for whoever looks at them
    await run('ip', ['address', 'add', `${machine}/${linkPrefix}`, 'dev', name], { env });
    await run('ip', ['link', 'set', name, 'up'], { env });
    await run('ip', ['route', 'add', block, 'via', node, 'dev', name], { env });
    const inside = async (...words: readonly string[]) => {
      const [program, ...args] = namespaces.enter(['ip', ...words]);
      await run(program, args, { env });
    };
    await inside('address', 'add', `${node}/${linkPrefix}`, 'dev', 'eth0');
    await inside('link', 'set', 'eth0', 'up');
    // It leads no further than to this machine. But an address without a route cannot be asked for at all, not even that of a Service.
    await inside('route', 'add', 'default', 'via', machine);
    if (!dualStack) return addresses;
    const ipv6 = ipv6AddressesOf(addresses);
    // Nobody else can have these: without `nodad` they would not be there before a second has passed.
    await run('ip', ['address', 'add', `${ipv6.machine}/${ipv6.linkPrefix}`, 'dev', name, 'nodad'], { env });
    await run('ip', ['route', 'add', ipv6.block, 'via', ipv6.node, 'dev', name], { env });
    await inside('address', 'add', `${ipv6.node}/${ipv6.linkPrefix}`, 'dev', 'eth0', 'nodad');
    await inside('route', 'add', 'default', 'via', ipv6.machine);
    return { ...addresses, ipv6 };
  }
}

/** The machine's end; Linux takes 15 characters. */
export const interfaceName = (addresses: Addresses): string => `mtls-${addresses.id}`;
