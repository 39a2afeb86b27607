/** The CNI error: a code of the specification, or one of our own from 100; README.md lists all with their causes. */
export const codes = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  invalidEnvironment: 4,
  io: 5,
  decode: 6,
  invalidConfiguration: 7,
  tryAgainLater: 11,
  notAvailable: 50,
  internal: 100,
  badAnswer: 101,
} as const

/** An error that is printed as it is. Told from others by its numeric `code`: ES5 cannot subclass Error. */
export interface Failure extends Error {
  readonly code: number
  readonly details: string
}

/** `message` names what was refused; `details` says why, how often it was tried, or what to do. */
export function failure(code: number, message: string, details?: string): Failure {
  const error = new Error(message) as Error & { code: number; details: string }
  error.code = code
  error.details = details ?? ''
  return error
}

/** Whatever was thrown, as a Failure: anything not thrown on purpose is an internal error. */
export function asFailure(error: unknown): Failure {
  const candidate = error as Partial<Failure> | undefined
  if (error instanceof Error && typeof candidate?.code === 'number') return error as Failure
  return failure(codes.internal, 'internal error of the CNI executable', String(error))
}
