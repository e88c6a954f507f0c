/** What the command lines of the operator and of proxy-api have in common. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { messageOf } from './kube/index.ts';

/** Wrong flags, as with most programs. A run that has begun and failed ends with 1. */
const WRONG_FLAGS = 2;

/** Says in one line what is wrong with the flags, and where to read about them, and ends the process. @param command as it was typed, without flags. */
export function wrongFlags(command: string, problem: string): never {
  process.stderr.write(`${command}: ${problem}; see ${command} --help\n`);
  process.exit(WRONG_FLAGS);
}

/** `parseArgs` for which a wrong flag is no defect. */
export function flagsOf<Config extends ParseArgsConfig>(command: string, config: Config) {
  try {
    return parseArgs(config);
  } catch (error) {
    // Node adds advice on positional arguments, of which there are none.
    return wrongFlags(command, messageOf(error).split('. ')[0] ?? '');
  }
}

const levels = ['trace', 'debug', 'info', 'warn', 'error'];

/** What --log-level says. */
export function logLevelOf(command: string, text: string): string {
  if (levels.includes(text)) return text;
  return wrongFlags(command, `--log-level is ${JSON.stringify(text)}: give one of ${levels.join(', ')}`);
}
