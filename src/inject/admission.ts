/** What the API server asks before a pod is created, and what it is told: pure (admission.k8s.io/v1). */
import * as z from 'zod';
import type { Injection } from './inject.ts';
import { type Pod, parsePod } from './pod.ts';

const reviewSchema = z.looseObject({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: z.looseObject({
    uid: z.string().min(1).max(256),
    namespace: z.string().min(1),
    operation: z.string(),
    resource: z.looseObject({ group: z.string(), version: z.string(), resource: z.string() }),
    object: z.unknown(),
  }),
});

export interface AdmissionRequest {
  readonly uid: string;
  readonly namespace: string;
  readonly pod: Pod;
}

/** It is no question about a pod that is being created; the message says what is wrong with it. */
export class AdmissionError extends Error {
  override readonly name = 'AdmissionError';
}

/** @throws AdmissionError */
export function parseReview(body: string): AdmissionRequest {
  try {
    const { request } = reviewSchema.parse(JSON.parse(body));
    const { uid, namespace, operation, resource, object } = request;
    if (operation !== 'CREATE' || resource.group !== '' || resource.resource !== 'pods')
      throw new AdmissionError(
        `asked about ${operation} of ${resource.resource}.${resource.group}: only pods that are created are injected; compare the rules of the MutatingWebhookConfiguration`,
      );
    return { uid, namespace, pod: parsePod(object) };
  } catch (error) {
    if (error instanceof z.ZodError) throw new AdmissionError(`no AdmissionReview of a pod: ${z.prettifyError(error)}`);
    if (error instanceof SyntaxError) throw new AdmissionError('the body is no JSON');
    throw error;
  }
}

/** The answer, to be sent as JSON. */
export function reviewAnswer(uid: string, decision: Injection): object {
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, ...responseTo(decision) } };
}

function responseTo(decision: Injection): object {
  switch (decision.action) {
    case 'LeaveAlone':
      return { allowed: true, ...(decision.warning === undefined ? {} : { warnings: [decision.warning] }) };
    case 'Refuse':
      return { allowed: false, status: { code: 403, reason: 'Forbidden', message: decision.message } };
    case 'Inject': {
      if (decision.patch.length === 0) return { allowed: true };
      const patch = Buffer.from(JSON.stringify(decision.patch)).toString('base64');
      return { allowed: true, patchType: 'JSONPatch', patch };
    }
  }
}
