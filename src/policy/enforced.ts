/** Whether sidecars act by a policy, as a condition: pure. */
import type { PolicyProxies } from './enforcement.ts';
import type { Verdict } from './judge.ts';

const notEnforced: Verdict = {
  type: 'Enforced',
  status: 'False',
  reason: 'NoSidecars',
  message:
    'the operator is installed without sidecars (mesh.enabled in the chart). Traffic stays as it is, whatever mode, ports, exceptions, guard and ' +
    'minimum say; status tells what they come to',
};

/**
 * @param proxies undefined: nobody tells any what to do. 'none': none has to act by it. 'before': it is not known yet who has to, by what the
 * policy says now.
 * @param unheard another policy is heard in its place.
 * @param bare namespaces in which pods for which it decides have no sidecar.
 */
export function describeEnforcement(
  proxies: PolicyProxies | 'before' | 'none' | undefined,
  unheard: boolean,
  bare: readonly string[],
): Verdict {
  if (proxies === undefined) return notEnforced;
  const say = (reason: Verdict['reason'], message: string): Verdict => ({
    type: 'Enforced',
    status: reason === 'Enforced' ? 'True' : 'False',
    reason,
    message,
  });
  if (unheard) return say('Overruled', 'the policy is not heard');
  if (proxies === 'before') return say('Switching', 'the policy has just changed: sidecars are about to be told');
  if (proxies === 'none' || proxies.sidecars === 0) {
    return say(
      'NoSidecars',
      'no pod for which it decides has a sidecar. Sidecars are added when pods are made, in namespaces that ask for it',
    );
  }
  const { acknowledged, enforced, lagging, refused, total } = proxies;
  if (refused.length > 0) {
    const said = refused.map(({ error, pod }) => `${pod}: ${error}`).join('; ');
    return say('Refused', `sidecars do not take their configuration and go on as they were. ${said}`);
  }
  if (acknowledged < total) {
    const message = `waiting for the sidecars of pods that have not acknowledged, ${lagging.join(', ')}${total - acknowledged > lagging.length ? ' and more' : ''}`;
    return say('ProxiesLag', `${message}. Should one of them never do so, then delete its pod`);
  }
  if (enforced < total)
    return say('Switching', 'sidecars are being switched; the MTLSRollout of the namespace says how far');
  if (bare.length > 0) {
    const message =
      `pods for which it decides have no sidecar, and take what they always took: in ${some(bare)}. Sidecars are added when pods are made: restart ` +
      'what made them, in namespaces that ask for sidecars';
    return say('PodsWithoutSidecar', message);
  }
  return say('Enforced', 'all sidecars have acknowledged, and act by it');
}

function some(namespaces: readonly string[]): string {
  const first = namespaces.toSorted().slice(0, 5).join(', ');
  return namespaces.length > 5 ? `${first} and more` : first;
}
