// How many certificates a second one core makes: a fresh P-256 key, its certificate with two DNS names, an address and a SPIFFE ID, and both PEMs.
// Beside it, in the same minute: the primitives alone in this process, and what `openssl speed` says of this machine.
// Alone: `node test/bench/sign.ts [--json] [--seconds N]`.

import { execFile } from 'node:child_process';
import { createECDH, sign } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { buildLeafProfile, generateKeyPair, issueCa, issueLeaf } from '../../src/pki/index.ts';

export interface SigningResult {
  readonly benchmark: 'sign';
  /** Fresh key, certificate and both PEMs, by the clock on the wall; median of the rounds. */
  readonly certificatesPerSecond: number;
  /** The same by CPU time of this process, garbage collection included: what one core does when nobody else uses it. */
  readonly certificatesPerCpuSecond: number;
  readonly cpuMicrosecondsPerCertificate: number;
  readonly certificates: number;
  readonly rounds: number;
  /** A key and a signature through node:crypto without any certificate; median of the rounds. */
  readonly primitivesPerSecond: number;
  readonly ratioToPrimitives: number;
  readonly opensslVersion: string;
  /** `openssl speed ecdsap256`. */
  readonly opensslSignsPerSecond: number;
  /** `openssl speed ecdhp256`: derivations, each several times as long as generating a key. */
  readonly opensslDerivationsPerSecond: number;
  readonly ratioToOpensslSigns: number;
}

/** @param options.seconds how long each of the rounds lasts; all in all it takes about twice that per round, and 4 s for openssl */
export async function measureSigning(
  options: { readonly seconds?: number; readonly rounds?: number } = {},
): Promise<SigningResult> {
  const { seconds = 1, rounds = 5 } = options;
  const issueOne = await prepareIssuing();
  const primitivesOnce = await preparePrimitives();
  await repeat(seconds / 2, issueOne); // compiled before it counts
  const ours: Run[] = [];
  const primitives: Run[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await repeat(seconds, issueOne));
    primitives.push(await repeat(seconds, primitivesOnce));
  }
  const certificates = sum(ours.map((run) => run.count));
  const cpuMicroseconds = sum(ours.map((run) => run.cpuMicroseconds));
  const certificatesPerSecond = Math.round(median(ours.map((run) => run.perSecond)));
  const primitivesPerSecond = Math.round(median(primitives.map((run) => run.perSecond)));
  const openssl = await opensslSpeed();
  return {
    benchmark: 'sign',
    certificatesPerSecond,
    certificatesPerCpuSecond: Math.round((certificates / cpuMicroseconds) * 1e6),
    cpuMicrosecondsPerCertificate: Math.round(cpuMicroseconds / certificates),
    certificates,
    rounds,
    primitivesPerSecond,
    ratioToPrimitives: twoDigits(certificatesPerSecond / primitivesPerSecond),
    ...openssl,
    ratioToOpensslSigns: twoDigits(certificatesPerSecond / openssl.opensslSignsPerSecond),
  };
}

const DAY = 24 * 3600 * 1000;

async function prepareIssuing(): Promise<() => Promise<unknown>> {
  const now = Date.now();
  const authority = { notBefore: new Date(now), notAfter: new Date(now + 3650 * DAY) };
  const caKey = await generateKeyPair({ algorithm: 'ECDSA' });
  const ca = issueCa({ subject: { commonName: 'Benchmark CA' }, key: caKey, ...authority });
  const issuer = { certificate: ca, privateKey: caKey.privateKey, chain: [ca] };
  const profile = buildLeafProfile({
    subject: { commonName: 'web.shop.svc' },
    dnsNames: ['web.shop.svc', 'web.shop.svc.cluster.local'],
    ipAddresses: ['192.0.2.7'],
    uris: ['spiffe://cluster.local/ns/shop/sa/web'],
    emailAddresses: [],
    usages: ['server auth', 'client auth'],
    key: { algorithm: 'ECDSA' },
  });
  return async () => {
    const key = await generateKeyPair({ algorithm: 'ECDSA' });
    const time = Date.now();
    const leaf = issueLeaf({ profile, key, issuer, notBefore: new Date(time), notAfter: new Date(time + DAY) });
    return [key.pem('PKCS8'), leaf.pem];
  };
}

/** Signs as many bytes as a certificate has. */
async function preparePrimitives(): Promise<() => Promise<unknown>> {
  const { privateKey } = await generateKeyPair({ algorithm: 'ECDSA' });
  const ecdh = createECDH('prime256v1');
  const tbs = Buffer.alloc(500);
  return async () => [ecdh.generateKeys(), sign('sha256', tbs, privateKey)];
}

interface Run {
  readonly count: number;
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
}

async function repeat(seconds: number, once: () => Promise<unknown>): Promise<Run> {
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  let count = 0;
  let elapsed = 0;
  while (elapsed < seconds * 1000) {
    for (let i = 0; i < 50; i++) await once();
    count += 50;
    elapsed = performance.now() - start;
  }
  const cpu = process.cpuUsage(cpuBefore);
  return { count, perSecond: (count / elapsed) * 1000, cpuMicroseconds: cpu.user + cpu.system };
}

const run = promisify(execFile);

async function opensslSpeed(): Promise<
  Pick<SigningResult, 'opensslVersion' | 'opensslSignsPerSecond' | 'opensslDerivationsPerSecond'>
> {
  const version = await run('openssl', ['version']);
  // -mr: '+F4:<index>:<bits>:<signs/s>:<verifies/s>' and '+F5:<index>:<bits>:<derivations/s>:<seconds each>'.
  const speed = await run('openssl', ['speed', '-mr', '-seconds', '1', 'ecdsap256', 'ecdhp256']);
  const figure = (pattern: RegExp): number => {
    const [, text] = pattern.exec(speed.stdout) ?? [];
    if (text === undefined) throw new Error(`openssl speed printed nothing like ${pattern}:\n${speed.stdout}`);
    return Math.round(Number(text));
  };
  return {
    opensslVersion: version.stdout.trim(),
    opensslSignsPerSecond: figure(/^\+F4:\d+:256:([\d.]+):/m),
    opensslDerivationsPerSecond: figure(/^\+F5:\d+:256:([\d.]+):/m),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const twoDigits = (number: number): number => Math.round(number * 100) / 100;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '1' } },
  });
  const result = await measureSigning({ seconds: Number(values.seconds) });
  if (values.json) console.log(JSON.stringify(result));
  else {
    console.log(
      `${result.certificatesPerSecond} certificates/s on one core: fresh P-256 key, certificate and both PEMs`,
    );
    console.log(`${result.primitivesPerSecond}/s for key and signature alone (ratio ${result.ratioToPrimitives})`);
    console.log(
      `${result.opensslSignsPerSecond} P-256 signatures/s, ${result.opensslDerivationsPerSecond} ECDH derivations/s by openssl speed`,
    );
  }
}
