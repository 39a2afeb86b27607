/**
 * The chart without helm: values merged and checked, templates rendered, documents in order.
 *
 *   node deploy/helm/render.ts [--values FILE]… [--set key.path=VALUE]… [--namespace NAME] [--crds]
 *
 * prints what `helm template causeway deploy/helm/causeway` would.
 */
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { parseTemplate, type Template } from './template-parser.ts'
import { type Root, Templates, YAML } from './template-run.ts'
import { checkValues, mergeValues, type Values } from './values.ts'

export const CHART = join(import.meta.dirname, 'causeway')

/** An object of Kubernetes. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly [key: string]: unknown
}

export interface RenderOptions {
  /** Laid over values.yaml in this order. */
  readonly values?: readonly Values[]
  readonly namespace?: string
  readonly chart?: string
}

/** Rendered text by the name of its template. Throws ValuesRefused, TemplateError. */
export function renderTexts({
  values = [],
  namespace = 'kube-system',
  chart = CHART,
}: RenderOptions): Map<string, string> {
  const { name, version, appVersion } = readYaml(join(chart, 'Chart.yaml')) as Readonly<Record<string, string>>
  const merged = [readYaml(join(chart, 'values.yaml')) as Values, ...values].reduce(mergeValues)
  checkValues(merged, readFileSync(join(chart, 'values.schema.json'), 'utf8'))
  const root: Root = {
    Values: merged,
    Release: { Name: 'causeway', Namespace: namespace, Service: 'Helm' },
    Chart: { Name: name ?? '', Version: version ?? '', AppVersion: appVersion ?? '' },
  }
  const sources = new Map<string, Template>()
  for (const file of globSync('templates/*.{yaml,tpl,txt}', { cwd: chart }).sort())
    sources.set(file, parseTemplate(file, readFileSync(join(chart, file), 'utf8')))
  const templates = new Templates([...sources.values()], path => readText(join(chart, path)))
  const shown = [...sources].filter(([file]) => !basename(file).startsWith('_'))
  return new Map(shown.map(([file, template]) => [file, templates.render(template, root)]))
}

/** The objects of the chart; each has an apiVersion, a kind and a name, and stands there once. */
export function renderManifests(options: RenderOptions = {}): Manifest[] {
  const texts = [...renderTexts(options)].filter(([file]) => file.endsWith('.yaml'))
  const manifests = texts.flatMap(([, text]) => readManifests(text))
  const names = manifests.map(m => `${m.kind} ${m.metadata.namespace ?? ''}/${m.metadata.name}`)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Error(`${twice} is rendered twice`)
  return manifests
}

/** The objects of a text of YAML documents; empty documents are left out. */
export function readManifests(text: string): Manifest[] {
  return parseAllDocuments(text, YAML).flatMap(document => {
    if (document.errors[0]) throw new Error(`what was rendered is no YAML: ${document.errors[0].message}\n${text}`)
    const value: unknown = document.toJS()
    return value === null ? [] : [value as Manifest]
  })
}

/** The objects as one text of YAML. */
export function printManifests(manifests: readonly Manifest[]): string {
  return manifests.map(m => `---\n${stringify(m, { ...YAML, lineWidth: 0, aliasDuplicateObjects: false })}`).join('')
}

/** Definitions of the own kinds, as `causeway crds` prints them. */
export function readCrds(chart = CHART): Manifest[] {
  return globSync('crds/*.yaml', { cwd: chart })
    .sort()
    .flatMap(file => readManifests(readFileSync(join(chart, file), 'utf8')))
}

export function readYaml(file: string): unknown {
  return parse(readFileSync(file, 'utf8'), YAML)
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** `a.b=VALUE` as a tree, the value read as YAML. */
function setting(text: string): Values {
  const at = text.indexOf('=')
  const path = text.slice(0, Math.max(at, 0)).split('.')
  if (at < 1) throw new RangeError(`--set takes key.path=VALUE, not ${text}`)
  return path.reduceRight<unknown>((value, key) => ({ [key]: value }), parse(text.slice(at + 1), YAML)) as Values
}

function main(): void {
  const { values } = parseArgs({
    options: {
      values: { type: 'string', multiple: true, default: [] },
      set: { type: 'string', multiple: true, default: [] },
      namespace: { type: 'string', default: 'kube-system' },
      crds: { type: 'boolean', default: false },
    },
  })
  const files = values.values.map(file => (readYaml(file) ?? {}) as Values)
  const manifests = renderManifests({ values: [...files, ...values.set.map(setting)], namespace: values.namespace })
  process.stdout.write(printManifests([...(values.crds ? readCrds() : []), ...manifests]))
}

if (import.meta.main) main()
