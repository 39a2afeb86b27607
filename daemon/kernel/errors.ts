/** A failed system call: `code` is the errno's name (ENOENT …), `attempt` what was tried on which object. */
export class SystemError extends Error {
  override readonly name: string = 'SystemError'
  readonly code: string
  readonly errno: number
  readonly attempt: string
  constructor(attempt: string, errno: number, code: string, detail = '') {
    super(`${attempt}: ${code}${detail === '' ? '' : ` (${detail})`}`)
    this.attempt = attempt
    this.errno = errno
    this.code = code
  }
}

/** The kernel or a cloud lacks something; `missing` names it, `needs` says what has it (such as "Linux 6.6"). */
export class NotSupported extends Error {
  override readonly name = 'NotSupported'
  readonly code = 'NOT_SUPPORTED'
  readonly missing: string
  readonly needs: string
  constructor(missing: string, needs: string, options?: ErrorOptions) {
    super(`${missing} is not supported here; it needs ${needs}`, options)
    this.missing = missing
    this.needs = needs
  }
}

/** A path that was given as a network namespace and is none. */
export class NotANetns extends Error {
  override readonly name = 'NotANetns'
  readonly code = 'NOT_A_NETNS'
  readonly path: string
  constructor(path: string) {
    super(`${path} is not a network namespace`)
    this.path = path
  }
}
