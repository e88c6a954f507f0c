/** The server and the client of examples/go in pods, as examples/containers has them. */
import { join } from 'node:path';
import { z } from 'zod';
import { goProgram } from '../support/goProgram.ts';
import { noProgress, type Progress } from '../support/progress.ts';
import { makeImage } from './image.ts';

const source = join(import.meta.dirname, '..', '..', 'examples', 'go');

/** As examples/containers calls it. */
export const greetingsImage = 'localhost/greetings:1';

/** An image with `/server` and `/client`; it serves if it is told nothing else. */
export async function makeGreetingsImage(name: string, progress: Progress = noProgress): Promise<Buffer> {
  const files = {
    '/server': await goProgram(source, progress, 'server'),
    '/client': await goProgram(source, progress, 'client'),
  };
  return makeImage({ name, files, entrypoint: ['/server'], user: '65532:65532' });
}

export interface GreetingsPod {
  readonly name: string;
  readonly namespace: string;
  readonly command: readonly string[];
  /** A volume's source, for /var/run/mtls. */
  readonly files: object;
  readonly serviceAccountName?: string;
  /** It ends by itself and stays. */
  readonly once?: boolean;
}

/** The volume's source that mounts a Secret so that the programs may read it. */
export const mounted = (secretName: string): object => ({ secret: { secretName, defaultMode: 0o440 } });

export function greetingsPod(of: GreetingsPod): object {
  const { name, namespace, command, files, once = false, ...more } = of;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      ...more,
      restartPolicy: once ? 'Never' : 'Always',
      terminationGracePeriodSeconds: 5,
      securityContext: { runAsNonRoot: true, runAsUser: 65_532, fsGroup: 65_532 },
      containers: [
        {
          name: 'main',
          image: greetingsImage,
          command,
          volumeMounts: [{ name: 'mtls', mountPath: '/var/run/mtls', readOnly: true }],
        },
      ],
      volumes: [{ name: 'mtls', ...files }],
    },
  };
}

const lineSchema = z.looseObject({ msg: z.string() });

/** What the programs write. */
export type GreetingsLine = z.output<typeof lineSchema>;

/** The last line of that kind in the log of such a pod. */
export function lastLine(log: string, msg: string): GreetingsLine | undefined {
  const lines = log.trim().split('\n').filter(Boolean);
  return lines.map((line) => lineSchema.parse(JSON.parse(line))).findLast((line) => line.msg === msg);
}
