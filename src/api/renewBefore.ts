/** How long before its end a certificate may be asked to be renewed. */
import { durationSecondsCel, isDuration, parseDuration } from './duration.ts';
import type { Rule } from './rules.ts';

interface Times {
  readonly duration: string;
  readonly renewBefore?: string | undefined;
}

const LEAST_USE = 300;
const LEAST_USE_SHARE = 6;

/**
 * How long a certificate that lives for so many seconds is used at the least before it is renewed. Less would be issuance after issuance for nothing: the kubelet
 * takes up to two minutes to bring a new one to a pod.
 */
export function leastUseSeconds(lifeSeconds: number): number {
  return Math.min(LEAST_USE, lifeSeconds / LEAST_USE_SHARE);
}

const cel = { duration: durationSecondsCel('self.duration'), renewBefore: durationSecondsCel('self.renewBefore') };

/** Seconds between issuance and renewal; undefined where there is nothing to judge. */
function useOf({ duration, renewBefore }: Times): number | undefined {
  if (renewBefore === undefined || !isDuration(duration) || !isDuration(renewBefore)) return undefined;
  return parseDuration(duration) - parseDuration(renewBefore);
}

export const renewBeforeIsLess: Rule<Times> = {
  cel: `!has(self.renewBefore) || ${cel.renewBefore} < ${cel.duration}`,
  holds: (times) => (useOf(times) ?? 1) > 0,
  message: 'renewBefore must be less than duration: leave it out to renew when a third of the life is left',
  property: 'renewBefore',
  detailed: {
    cel: "'renewBefore must be less than duration (' + self.duration + '): leave it out to renew when a third of the life is left'",
    text: ({ duration }) =>
      `renewBefore must be less than duration (${duration}): leave it out to renew when a third of the life is left`,
  },
};

/** Asked of what is written, not of what is stored: a certificate that is issued too often is still better than one that expires. */
export const renewBeforeLeavesTime: Rule<Times> = {
  cel: [
    '!has(self.renewBefore)',
    `${cel.duration} <= ${cel.renewBefore}`,
    `${cel.duration} - ${cel.renewBefore} >= ${LEAST_USE}`,
    `(${cel.duration} - ${cel.renewBefore}) * ${LEAST_USE_SHARE} >= ${cel.duration}`,
  ].join(' || '),
  holds: (times) => {
    const use = useOf(times);
    return use === undefined || use <= 0 || use >= leastUseSeconds(parseDuration(times.duration));
  },
  message:
    'renewBefore would renew again and again, each time shortly after issuance: it must be less than duration by 5m, ' +
    'or by a sixth of duration where that is less; leave it out to renew when a third of the life is left',
  property: 'renewBefore',
};
