/** A process that logs as fast as it can: see log.test.ts. */
import { createLog } from './log.ts';

const { log, end } = createLog('info');
const padding = 'x'.repeat(200);
let lines = 0;
const timer = setInterval(() => {
  for (let burst = 0; burst < 100; burst += 1) log.info({ lines: ++lines, padding }, 'line');
  // Far more than any pipe holds.
  if (lines === 2_000) process.stderr.write('alive\n');
}, 1);
process.on('SIGTERM', () => {
  clearInterval(timer);
  void end(0);
});
