/** placeholder */
import type { Registry } from '../kinds/registry.ts'
import type { JsonObject } from '../objects/json.ts'

export function openApi(_registry: Registry, _path: string): JsonObject | undefined {
  return undefined
}
