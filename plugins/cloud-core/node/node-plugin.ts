/** A plugin of addresses from a cloud, as the daemon of a node has it. */
import type { Plugin } from '../../../daemon/plugin.ts'
import type { Clock } from '../../../daemon/state/clock.ts'
import type { Cloud } from '../../../daemon/state/tables.ts'
import { CloudPool } from './cloud-pool.ts'
import type { NodeOptions } from './options.ts'

export interface CloudPluginOptions {
  readonly name: string
  readonly provider: Cloud
  /** Reads the plugin's section; throws ConfigError. */
  readonly parse: (raw: unknown) => NodeOptions
}

export function cloudPlugin({ name, provider, parse }: CloudPluginOptions, clock: Clock): Plugin {
  return {
    name,
    configure(raw) {
      const options = parse(raw)
      return host => {
        const pool = new CloudPool({ provider, options, host, clock })
        return { ipam: pool, problems: () => pool.problems(), run: signal => pool.run(signal) }
      }
    },
  }
}
