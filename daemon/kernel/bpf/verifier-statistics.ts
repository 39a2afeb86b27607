/** What a program cost the verifier, as the kernel tells it at the end of a log (print_verification_stats). */

export interface VerifierStatistics {
  /** Instructions that the verifier walked over, each as often as it came by; the limit is a million. */
  readonly instructions: number
  /** Bytes of stack of the function that takes most; a chain of calls may take 512 together. */
  readonly stackBytes: number
}

/** Undefined when the log does not tell them. */
export function readStatistics(log: string): VerifierStatistics | undefined {
  const instructions = /^processed (\d+) insns /m.exec(log)?.[1]
  const stacks = stacksOf(log)
  if (instructions === undefined || stacks.length === 0) return undefined
  return { instructions: Number(instructions), stackBytes: Math.max(...stacks) }
}

/** Of each function: joined in one line up to Linux 7.0 or so, in a line of each since. */
function stacksOf(log: string): number[] {
  const joined = /^stack depth (\d+(?:\+\d+)*)/m.exec(log)?.[1]
  if (joined !== undefined) return joined.split('+').map(Number)
  return [...log.matchAll(/^subprog \d+ .* stack (\d+)$/gm)].map(match => Number(match[1]))
}
