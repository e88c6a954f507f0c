/** What a check has found, for people to read. Pure. */

import type { Finding } from './check/finding.ts';
import type { CheckReport } from './check.ts';
import { counted, printable } from './table.ts';

/** One line for each finding, what to do below it, and the sum. */
export function checkText({ findings }: CheckReport): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap((finding) => {
    const { advice, check, message, result } = finding;
    const line = `${result.padEnd('warning'.length)}   ${check.padEnd(width)}   ${whereText(finding)}${message}`;
    const indent = ' '.repeat('warning'.length + width + 6);
    return [line, ...(advice === null ? [] : [`${indent}-> ${advice}`])].map(printable);
  });
  const count = (of: string) => findings.filter(({ result }) => result === of).length;
  return [...lines, '', `${counted(count('error'), 'error')}, ${counted(count('warning'), 'warning')}`, ''].join('\n');
}

function whereText({ namespace, object }: Finding): string {
  const of = namespace === null ? '' : ` in namespace ${namespace}`;
  if (object !== null) return `${object}${of}: `;
  return namespace === null ? '' : `namespace ${namespace}: `;
}
