/** What replicas of proxy-api tell the leader of proxies. */
export { acknowledgedBy } from './ledger.ts';
export type { LeaderIdentity } from './link.ts';
export { Replicas, type ReplicasOptions } from './replicas.ts';
export {
  PendingReport,
  type ProxyReport,
  REPORTS_PATH,
  type RecordReport,
  type Report,
  reportSchema,
} from './reports.ts';
