/** What went wrong, in one piece of text: an error with everything that led to it. */

/** The message with those of its causes, and of the errors it gathers, each that says something new. */
export function errorText(error: unknown): string {
  if (error instanceof SuppressedError) {
    // `using`: what went wrong first is in `suppressed`, what went wrong while that was undone in `error`.
    return [error.suppressed, error.error].map(errorText).join('\nand then: ')
  }
  if (!(error instanceof Error)) return String(error)
  const below = [...(error instanceof AggregateError ? error.errors : []), error.cause].filter(e => e instanceof Error)
  return below.map(errorText).reduce((text, more) => (text.includes(more) ? text : `${text}: ${more}`), error.message)
}

/** Whether it only says that the signal was heard: its reason, or an AbortError (DOM) because of it. */
export function isAbortOf(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false
  return error === signal.reason || (error instanceof Error && error.name === 'AbortError')
}
