/** Prints README.md of the chart: what values.yaml says of each value, as a table. `node deploy/helm/readme.ts` prints it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from 'yaml'
import { CHART } from './render.ts'

interface Row {
  readonly key: string
  /** As JSON; undefined for a group of keys. */
  readonly byDefault: string | undefined
  readonly about: string
}

/** Every value in the order of the file; throws for one of which nothing is said. */
export function valueRows(source: string): Row[] {
  const document = parseDocument(source)
  if (!isMap(document.contents)) throw new Error('values.yaml is no map')
  return rowsOf(document.contents, '', document.commentBefore ?? '')
}

function rowsOf(map: YAMLMap, path: string, first: string): Row[] {
  return map.items.flatMap((pair, index) => {
    const name = String(isScalar(pair.key) ? pair.key.value : pair.key)
    const key = path === '' ? name : `${path}.${name}`
    const about = commentOf(pair) || (index === 0 ? first : '')
    const { value } = pair
    // A map whose keys are explained is a group, another one a value.
    if (isMap(value) && value.items.length > 0 && (about === '' || isExplained(value))) {
      const group = about === '' ? [] : [{ key, byDefault: undefined, about }]
      return [...group, ...rowsOf(value, key, value.commentBefore ?? '')]
    }
    if (about === '') throw new Error(`values.yaml says nothing of ${key}`)
    const json: unknown =
      isMap(value) || value === null ? (value?.toJSON() ?? {}) : (value as { toJSON(): unknown }).toJSON()
    return [{ key, byDefault: JSON.stringify(json), about }]
  })
}

function isExplained(map: YAMLMap): boolean {
  return (
    Boolean(map.commentBefore) ||
    map.items.some(pair => commentOf(pair) !== '' || (isMap(pair.value) && isExplained(pair.value)))
  )
}

function commentOf({ key }: Pair): string {
  const comment = isScalar(key) ? (key.commentBefore ?? '') : ''
  return comment.replaceAll(/\s*\n\s*/g, ' ').trim()
}

/** README.md with the table between its markers made anew. */
export function chartReadme(): string {
  const readme = readFileSync(join(CHART, 'README.md'), 'utf8')
  const rows = valueRows(readFileSync(join(CHART, 'values.yaml'), 'utf8')).map(({ key, byDefault, about }) => {
    const shown = byDefault === undefined ? '' : `\`${byDefault}\``
    return `| \`${key}\` | ${shown} | ${about.replaceAll(/\s+/g, ' ').trim()} |`
  })
  const table = ['| value | default | meaning |', '| --- | --- | --- |', ...rows].join('\n')
  return readme.replace(
    /(<!-- values -->\n)[^]*(<!-- end of values -->)/,
    (_, start, end) => `${start}\n${table}\n\n${end}`,
  )
}

if (import.meta.main) process.stdout.write(chartReadme())
