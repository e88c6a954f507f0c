/** status.consumers: the pods that use the Secret, as far as the API server can tell. */
import * as z from 'zod';
import { field, textField } from './rules.ts';

/** A status must not grow with a Deployment. */
export const MOST_CONSUMER_NAMES = 5;

const countField = (description: string) => field(z.int32().min(0), description);

export const consumersField = field(
  z.object({
    pods: countField('Pods with a running container that uses the Secret.'),
    startedBeforeRenewal: countField(
      `Of these, pods with a container that was started before the certificate was issued. A mounted file is replaced by the kubelet within
      about two minutes; whether the program has read it again, only the program knows.`,
    ),
    neverUpdated: countField(
      `Of these, pods with a container that certainly has an older certificate: it takes the Secret by subPath or as environment variables, which
      Kubernetes never updates while the container runs.`,
    ),
    names: field(
      z.array(textField(253, 'Name of one pod.')).max(MOST_CONSUMER_NAMES),
      'Some of the pods that were started before the certificate was issued, those that are never updated first.',
    ).optional(),
  }),
  'Who uses the Secret. Only where the operator was told to look at pods: --watch-pods, watchPods.enabled in the Helm chart.',
);
export type Consumers = z.output<typeof consumersField>;
