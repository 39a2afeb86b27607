/** How the in-memory kernel refuses: the errors the real one gives, by errno name. */
import { SystemError } from '../errors.ts'

const errnos = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EIO: 5,
  ENOMEM: 12,
  EACCES: 13,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ERANGE: 34,
  E2BIG: 7,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  EOPNOTSUPP: 95,
} as const

export type Refusal = keyof typeof errnos

/** The error for a request the kernel does not carry out; `attempt` says what was tried on which object. */
export function refuse(code: Refusal, attempt: string, detail = ''): SystemError {
  return new SystemError(attempt, errnos[code], code, detail)
}

/** The process this kernel view belongs to was ended; nothing it asks for is carried out any more. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
  readonly code = 'STOPPED'
  constructor() {
    super('the process was stopped')
  }
}
