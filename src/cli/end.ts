/** How a run of `mtls-operator fetch` can end. */

/** Exit codes, as docs/docker.md lists them. Whoever runs it from a timer may tell by them whom to call. */
export const exitCodes = {
  /** The files are those of the Secret, and the hook has seen them. */
  done: 0,
  usage: 1,
  unreachable: 2,
  refused: 3,
  unusable: 4,
  notWritten: 5,
  hookFailed: 6,
  /** SIGTERM or SIGINT came first. */
  interrupted: 7,
} as const;

export type CliFault = Exclude<keyof typeof exitCodes, 'done'>;

/** Why a run could not do what it should. The message says what is wrong, where, and what to do; it never holds anything of a key. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly fault: CliFault;

  constructor(fault: CliFault, message: string) {
    super(message);
    this.fault = fault;
  }
}
