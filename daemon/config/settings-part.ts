/**
 * Some sections of the configuration alone, for commands that need no more: they work even when the rest is wrong or
 * names keys and plugins this program does not know.
 */
import { ConfigError } from '../errors.ts'
import { checkSection, type Problem } from './check.ts'
import { type ConfigInput, readTree } from './load.ts'
import { type Settings, schema } from './schema.ts'

/** The sections; throws ConfigError when a source cannot be read or a value of one of the needed keys is wrong. */
export function readSettingsPart<S extends 'paths' | 'cni' | 'operator' | 'metrics'>(
  input: Omit<ConfigInput, 'pluginNames'>,
  sections: readonly S[],
  neededKeys: readonly string[],
): Pick<Settings, S> {
  const { tree } = readTree({ ...input, pluginNames: [] })
  const problems: Problem[] = []
  const read = sections.map(name => [name, checkSection(schema.fields[name], tree.children?.get(name), name, problems)])
  const wrong = problems.find(({ key }) => neededKeys.some(needed => key === needed || needed.startsWith(`${key}.`)))
  if (wrong) throw new ConfigError(wrong.key, wrong.text)
  // checkSection gives a section's values the form of their schema.
  return Object.fromEntries(read) as Pick<Settings, S>
}

/** The directory of the daemon's socket. */
export function readRunDirectory(input: Omit<ConfigInput, 'pluginNames'>): string {
  return readSettingsPart(input, ['paths'], ['paths.run']).paths.run
}

/** What says where on the node the daemon left things. */
export function readPlaces(input: Omit<ConfigInput, 'pluginNames'>): Pick<Settings, 'paths' | 'cni'> {
  const paths = Object.keys(schema.fields.paths.fields).map(key => `paths.${key}`)
  return readSettingsPart(input, ['paths', 'cni'], [...paths, 'cni.confName'])
}

/** Where the operator of this configuration answers, and its TLS files. */
export function readOperatorPlace(input: Omit<ConfigInput, 'pluginNames'>): {
  readonly listen: string
  readonly tls: Settings['metrics']['tls']
} {
  const tls = Object.keys(schema.fields.metrics.fields.tls.fields).map(key => `metrics.tls.${key}`)
  const { operator, metrics } = readSettingsPart(input, ['operator', 'metrics'], ['operator.listen', ...tls])
  return { listen: operator.listen, tls: metrics.tls }
}
