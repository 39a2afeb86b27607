/** Base of the project's errors: `code` is stable and what callers test, the message is for people. */
export class CausewayError extends Error {
  readonly code: string
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** A configuration value that cannot be used: the key, what is wrong and what is allowed. */
export class ConfigError extends CausewayError {
  readonly key: string
  constructor(key: string, problem: string, options?: ErrorOptions) {
    super('CONFIG', `${key}: ${problem}`, options)
    this.key = key
  }
}

/**
 * Whether it says that the configuration cannot be used. Told by code and key: a plugin from outside the project has
 * classes of its own.
 */
export function isConfigError(error: unknown): error is ConfigError {
  if (!(error instanceof Error && 'code' in error && 'key' in error)) return false
  return error.code === 'CONFIG' && typeof error.key === 'string'
}

/** The words of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

export type PoolErrorCode = 'POOL_EXHAUSTED' | 'ADDRESS_IN_USE' | 'ADDRESS_NOT_IN_POOL' | 'UNKNOWN_POOL'

/** A pool's refusal. Told by its code: an IPAM from outside the project has classes of its own. */
class PoolError extends CausewayError {
  declare readonly code: PoolErrorCode
  constructor(code: PoolErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options)
  }
}

export interface ExhaustedOptions extends ErrorOptions {
  /** Waiting is no use: who asked is told at once. */
  readonly final?: boolean
  /** Another pool that the pod may have an address of instead. */
  readonly fallback?: string
}

/** Every address of a pool is taken: the pool with its numbers. */
export class PoolExhausted extends PoolError {
  readonly final: boolean
  readonly fallback: string | undefined
  constructor(message: string, { final = false, fallback, ...options }: ExhaustedOptions = {}) {
    super('POOL_EXHAUSTED', message, options)
    this.final = final
    this.fallback = fallback
  }
}

/** A particular address was asked for and another owner holds it. */
export class AddressInUse extends PoolError {
  constructor(message: string, options?: ErrorOptions) {
    super('ADDRESS_IN_USE', message, options)
  }
}

/** A particular address was asked for that the pool does not give, now or ever. */
export class AddressNotInPool extends PoolError {
  constructor(message: string, options?: ErrorOptions) {
    super('ADDRESS_NOT_IN_POOL', message, options)
  }
}

/** A pool was named that nobody serves. */
export class UnknownPool extends PoolError {
  constructor(message: string, options?: ErrorOptions) {
    super('UNKNOWN_POOL', message, options)
  }
}
