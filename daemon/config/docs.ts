/** The reference page of the configuration, printed from the schema. */
import type { Field, Section } from './field.ts'
import { DEFAULT_FILE } from './load.ts'
import { schema } from './schema.ts'

/** docs/reference/config.md as Markdown. */
export function configPage(): string {
  return [
    '# Configuration',
    '',
    'Printed from the code by `causeway config docs`.',
    '',
    `Values come from, each over the one before: defaults; the YAML file \`${DEFAULT_FILE}\`, or the one of \`--config\``,
    'or `$CAUSEWAY_CONFIG`; variables `CAUSEWAY_<KEY>` with `__` for dots, such as `CAUSEWAY_ROUTING__MODE=native`, in',
    'which case, `-` and single `_` do not matter; flags `--set key.path=value`. Lists are replaced as a whole; in',
    'variables and flags they are written `a,b` or as YAML. Everything is checked at start; an unknown key is an error.',
    '',
    'A top-level key with the name of a plugin holds the section of that plugin and enables it; `false` disables it. The',
    "keys of a section are in the plugin's own page. Plugins of others are a list, each item with the path of its module",
    'and the keys of its section: `plugins: [{module: ./my-ipam.ts, …}]`.',
    '',
    ...sectionLines(schema, ''),
  ].join('\n')
}

function sectionLines(section: Section, path: string): string[] {
  const entries = Object.entries(section.fields)
  const fields = entries.flatMap(([key, part]) => (part.kind === 'field' ? [[join(path, key), part] as const] : []))
  const below = entries.flatMap(([key, part]) => (part.kind === 'section' ? [[join(path, key), part] as const] : []))
  return [
    ...(fields.length === 0 ? [] : ['| key | default | allowed | meaning |', '| --- | --- | --- | --- |']),
    ...fields.map(([key, field]) => fieldRow(key, field)),
    ...(fields.length === 0 ? [] : ['']),
    ...below.flatMap(([key, part]) => [`## ${key}`, '', part.about, '', ...sectionLines(part, key)]),
  ]
}

function fieldRow(key: string, field: Field<unknown>): string {
  const shown = field.shownDefault === 'the host name' ? field.shownDefault : `\`${field.shownDefault}\``
  return `| \`${key}\` | ${shown} | ${field.allowed} | ${field.about} |`
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}
