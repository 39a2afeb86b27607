/** What was built: the version every answer and metric shows. */
import { readFileSync } from 'node:fs'

export interface BuildInfo {
  readonly version: string
  readonly node: string
}

/** Reads the version from the package's package.json, two folders up in the source tree and in the image alike. */
export function buildInfo(packageJson: URL = new URL('../../package.json', import.meta.url)): BuildInfo {
  const { version } = JSON.parse(readFileSync(packageJson, 'utf8')) as { version: string }
  return { version, node: process.versions.node }
}
