/**
 * `paths.run` alone, for commands that only need the socket: it is found even when the rest of the configuration is
 * wrong or names plugins this program does not know.
 */
import { type Problem, checkSection } from './check.ts'
import type { Settings } from './schema.ts'
import { schema } from './schema.ts'
import { type ConfigInput, readTree } from './load.ts'
import { ConfigError } from '../errors.ts'

/** Throws ConfigError when a source cannot be read or `paths.run` itself is wrong. */
export function readRunDirectory(input: Omit<ConfigInput, 'pluginNames'>): string {
  const { tree } = readTree({ ...input, pluginNames: [] })
  const problems: Problem[] = []
  const paths = checkSection(schema.fields.paths, tree.children?.get('paths'), 'paths', problems) as Settings['paths']
  const wrong = problems.find(problem => problem.key === 'paths.run')
  if (wrong) throw new ConfigError(wrong.key, wrong.text)
  return paths.run
}
