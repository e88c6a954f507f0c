// Logs a line and fails where nobody catches it.
import { createLog, endOnDefect } from './log.ts';

const log = createLog('info');
endOnDefect(log);
log.log.info('the last word');
setImmediate(() => {
  if (process.argv[2] === 'nothing') throw undefined;
  throw new Error('a defect');
});
