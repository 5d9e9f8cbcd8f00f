/**
 * Exit codes of the command line; public API. Scripts may rely on them, so a code keeps its meaning for ever.
 */

/** What each code means, for help and the reference page. */
export const exitCodes = {
  ok: { code: 0, says: 'It worked.' },
  failed: { code: 1, says: 'It was tried and failed, or a check found something; the message says what.' },
  usage: { code: 2, says: 'The command, a flag or a value is not right; nothing was tried.' },
  unreachable: { code: 3, says: 'No server answered, or it is not able to work now; trying again later may help.' },
  notFound: { code: 4, says: 'The run, dead letter or definition does not exist.' },
  interrupted: { code: 130, says: 'Ended by Ctrl-C before it was finished.' },
} as const;

/** One of the exit codes. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]['code'];
