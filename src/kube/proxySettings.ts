import { BlockList, isIP } from 'node:net';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy that the environment asks for, by Go's rules, as every other Kubernetes client follows them (HTTPS_PROXY, HTTP_PROXY, NO_PROXY, upper
 * or lower case). Loopback is never proxied. NO_PROXY knows `*`, host names (with their subdomains), `.suffix`, IPs, CIDRs, and any with
 * `:port`.
 */
export function proxyFor(server: string, env: Environment): string | undefined {
  const url = new URL(server);
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const proxy = env[name] || env[name.toLowerCase()];
  if (!proxy) return undefined;
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (host === 'localhost' || host === '::1' || host.startsWith('127.')) return undefined;
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const exempt = (env['NO_PROXY'] || env['no_proxy'] || '')
    .split(',')
    .some((rule) => matches(rule.trim().toLowerCase(), host, port));
  if (exempt) return undefined;
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
}

function matches(rule: string, host: string, port: string): boolean {
  if (rule === '') return false;
  if (rule === '*') return true;
  if (rule.includes('/')) return inCidr(rule, host);
  const [name, rulePort] = splitPort(rule);
  if (rulePort !== undefined && rulePort !== port) return false;
  if (isIP(name) > 0) return name === host;
  const suffix = name.replace(/^\*?\./, '');
  return host.endsWith(`.${suffix}`) || (host === suffix && !name.startsWith('.') && !name.startsWith('*'));
}

function splitPort(rule: string): [string, string | undefined] {
  const bracketed = /^\[(.*)\](?::([0-9]+))?$/.exec(rule);
  if (bracketed) return [bracketed[1] ?? '', bracketed[2]];
  if (isIP(rule) > 0) return [rule, undefined];
  const match = /^(.*):([0-9]+)$/.exec(rule);
  return match ? [match[1] ?? '', match[2]] : [rule, undefined];
}

function inCidr(rule: string, host: string): boolean {
  const family = isIP(host);
  const [network, bits] = rule.split('/');
  if (family === 0 || network === undefined || isIP(network) !== family || !/^[0-9]{1,3}$/.test(bits ?? ''))
    return false;
  const prefix = Number(bits);
  if (prefix > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  const type = family === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(network, prefix, type);
  return list.check(host, type);
}
