/** What a check has found. */
export interface Finding {
  /** Such as `programs`. */
  readonly check: string
  /** A problem would stop the daemon or keep it from serving pods; a note is worth knowing. */
  readonly state: 'ok' | 'note' | 'problem'
  readonly what: string
  /** What to do about a problem. */
  readonly wayOut?: string
}

export function ok(check: string, what: string): Finding {
  return { check, state: 'ok', what }
}
export function note(check: string, what: string): Finding {
  return { check, state: 'note', what }
}
export function problem(check: string, what: string, wayOut: string): Finding {
  return { check, state: 'problem', what, wayOut }
}
