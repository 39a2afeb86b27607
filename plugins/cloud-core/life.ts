/** Which block, and which of its lives. */
import type { Prefix } from '../../daemon/kernel/kernel.ts'

export interface Life {
  readonly block: Prefix
  readonly born: number
}

export function lifeKey({ block, born }: Life): string {
  return `${block} ${born}`
}
