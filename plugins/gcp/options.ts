/** The plugin's section of the configuration. */
import { type CloudOptions, parseCloudOptions } from '../cloud-core/node/options.ts'

/** Checks the section `gcp`; throws ConfigError. */
export function parseOptions(raw: unknown): CloudOptions {
  return parseCloudOptions('gcp', raw)
}
