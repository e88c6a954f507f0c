/** Why a pod has no sidecar: what the webhook would do if it were made now. Pure. */
import { asked, type InjectionSettings, inject, type MeshScope, parsePod, withoutRoom } from '../../../inject/index.ts';
import type { NamespaceFacts } from './facts.ts';

/** Earlier: nothing stands against one now. Refused: it could not be made now. */
export type Absence =
  | { readonly why: 'NotInMesh' | 'OptedOut' | 'Earlier' | keyof typeof withoutRoom }
  | { readonly why: 'Refused'; readonly message: string };

export type Injector = MeshScope;

/** @param object a pod without sidecar, as the API server has it. @returns undefined where it cannot be told. */
export function absenceOf(object: unknown, namespace: NamespaceFacts, injector: Injector): Absence | undefined {
  try {
    const decision = inject(parsePod(object), namespace, settingsOf(injector));
    switch (decision.action) {
      case 'Inject':
        return { why: 'Earlier' };
      case 'Refuse':
        return { why: 'Refused', message: decision.message };
      case 'LeaveAlone': {
        const { reason } = decision;
        return { why: reason === 'OptedOut' || isWithoutRoom(reason) ? reason : 'NotInMesh' };
      }
    }
  } catch {
    // A pod that cannot be read hides none of the others.
    return undefined;
  }
}

const isWithoutRoom = (reason: string): reason is keyof typeof withoutRoom => Object.hasOwn(withoutRoom, reason);

/** Images and addresses have no part in whether a pod gets a sidecar. */
function settingsOf({ everyNamespace, operatorNamespace }: Injector): InjectionSettings {
  return {
    operatorNamespace,
    everyNamespace,
    proxyImage: '',
    initImage: '',
    proxyApi: { host: '', port: 0, spiffeId: '' },
    drainSeconds: 0,
    resources: { requests: {}, limits: {} },
  };
}

/** Whether pods of the namespace get a sidecar unless they say otherwise. */
export function isInMesh(namespace: NamespaceFacts, injector: Injector): boolean {
  return asked({}, namespace, injector).asked;
}
