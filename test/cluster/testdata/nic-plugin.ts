/**
 * A plugin that says which network interfaces a node has, in a cloud's stead: section `{node: NAME, file: PATH}`, a JSON
 * array of rows of that node that is read again and again.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Plugin } from '../../../daemon/plugin.ts'
import type { CloudNicRow } from '../../../daemon/state/cloud-rows.ts'

const EVERY_MS = 20

export const plugin: Plugin = {
  name: 'nics',
  configure: raw => host => {
    const { node, file } = raw as { readonly node: string; readonly file: string }
    const { cloudNics } = host.tables
    if (host.nodeName !== node) return {}
    const known = cloudNics.initializer('nics')
    const read = (): void => {
      const rows = JSON.parse(readFileSync(file, 'utf8')) as CloudNicRow[]
      for (const row of rows) if (JSON.stringify(cloudNics.get(row.id)) !== JSON.stringify(row)) cloudNics.put(row)
      for (const { id } of cloudNics.values()) if (!rows.some(row => row.id === id)) cloudNics.delete(id)
      known()
    }
    return {
      run: async signal => {
        while (!signal.aborted) {
          read()
          await delay(EVERY_MS, undefined, { signal }).catch(() => undefined)
        }
      },
    }
  },
}
