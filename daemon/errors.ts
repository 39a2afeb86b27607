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

/** Every address of a pool is taken: the pool with its numbers. */
export class PoolExhausted extends CausewayError {
  constructor(message: string, options?: ErrorOptions) {
    super('POOL_EXHAUSTED', message, options)
  }
}

/** A particular address was asked for and another owner holds it. */
export class AddressInUse extends CausewayError {
  constructor(message: string, options?: ErrorOptions) {
    super('ADDRESS_IN_USE', message, options)
  }
}

/** A particular address was asked for that the pool does not give, now or ever. */
export class AddressNotInPool extends CausewayError {
  constructor(message: string, options?: ErrorOptions) {
    super('ADDRESS_NOT_IN_POOL', message, options)
  }
}

/** A pool was named that nobody serves. */
export class UnknownPool extends CausewayError {
  constructor(message: string, options?: ErrorOptions) {
    super('UNKNOWN_POOL', message, options)
  }
}
