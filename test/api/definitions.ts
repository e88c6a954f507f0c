/** Tests of whether an API server takes the definitions of our kinds as they are meant. */
import { expect, test } from 'vitest';
import { kinds } from '../../src/api/kinds.ts';
import type { Cluster } from '../cluster/index.ts';
import { record, send } from './control.ts';

/** @param cluster has the kinds. */
export function testDefinitions(cluster: () => Cluster): void {
  test.each(kinds)('of $kind carry no warning and every condition of health', async ({ crdName }) => {
    const { body } = await send(cluster(), 'GET', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crdName}`);
    const conditions = record(body['status'])['conditions'];
    expect(conditions).toContainEqual(expect.objectContaining({ type: 'NamesAccepted', status: 'True' }));
    expect(conditions).toContainEqual(expect.objectContaining({ type: 'Established', status: 'True' }));
    expect(conditions).not.toContainEqual(expect.objectContaining({ type: 'NonStructuralSchema', status: 'True' }));
  });
}
