/** The plugin's section of the configuration. */
import { type CloudOptions, parseCloudOptions } from '../cloud-core/node/options.ts'

/** Checks the section `azure`; throws ConfigError. */
export function parseOptions(raw: unknown): CloudOptions {
  return parseCloudOptions('azure', raw)
}
