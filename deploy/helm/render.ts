/**
 * The chart without helm: values merged and checked, templates rendered, documents in order.
 *
 *   npm run --silent render -- [--values FILE]… [--set key.path=VALUE]… [--namespace NAME] [--crds]
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

/** `a.b=VALUE` as a tree, the value read as YAML, `{a,b}` as the list that it is to helm. Throws RangeError. */
export function setting(text: string): Values {
  const [, path = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (path === '') throw new RangeError(`--set takes key.path=VALUE, not ${text}`)
  if (/^[^[{"',]*,[^,]+=/.test(value)) throw new RangeError(`--set takes one key, not ${text}: say --set for each`)
  const list = /^\{(.*)\}$/s.exec(value)
  const read: unknown = value === '' ? '' : parse(list ? `[${list[1]}]` : value, YAML)
  return path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), read) as Values
}

const HELP = `npm run --silent render -- [OPTIONS]

Prints the manifests of the chart, as 'helm template causeway deploy/helm/causeway' would.

  --values FILE        values laid over those of the chart, such as deploy/cloud/eks.yaml; repeatable
  --set KEY=VALUE      one of them, such as config.routing.mode=overlay or 'apiServers={https://192.0.2.11:6443}'; repeatable
  --namespace NAME     where everything is put (kube-system)
  --crds               with the definitions of the own kinds
  --help
`

/** What is on standard output: the manifests, or the help. Throws what people can mend as Error. */
function run(argv: readonly string[]): string {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      values: { type: 'string', multiple: true, default: [] },
      set: { type: 'string', multiple: true, default: [] },
      namespace: { type: 'string', default: 'kube-system' },
      crds: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return HELP
  const files = values.values.map(file => (readYaml(file) ?? {}) as Values)
  const manifests = renderManifests({ values: [...files, ...values.set.map(setting)], namespace: values.namespace })
  return printManifests([...(values.crds ? readCrds() : []), ...manifests])
}

function main(): void {
  try {
    process.stdout.write(run(process.argv.slice(2)))
  } catch (error) {
    process.stderr.write(`render: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}

if (import.meta.main) main()
