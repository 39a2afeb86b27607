/** A log kept in memory, a line a call. */
import type { Logger } from '../../daemon/plugin.ts'

export class FakeLog implements Logger {
  readonly lines: string[] = []

  debug(fields: object, message: string): void {
    this.#write('debug', fields, message)
  }
  info(fields: object, message: string): void {
    this.#write('info', fields, message)
  }
  warn(fields: object, message: string): void {
    this.#write('warn', fields, message)
  }
  error(fields: object, message: string): void {
    this.#write('error', fields, message)
  }

  #write(level: string, fields: object, message: string): void {
    const texts = Object.entries(fields).map(
      ([name, value]) => `${name}=${value instanceof Error ? value.message : value}`,
    )
    this.lines.push([level, message, ...texts].join(' '))
  }
}
