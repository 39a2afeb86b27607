/** Templates of the subset, put together by chance, come out of the renderer as out of helm, letter by letter. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { Random } from '../../test/support/random.ts'
import { needsHelm, runHelm } from '../../test/support/real-helm.ts'
import { readManifests } from './render.ts'
import { parseTemplate } from './template-parser.ts'
import { Templates, YAML } from './template-run.ts'

const TEMPLATES = 300
const VALUES = {
  text: 'a b',
  quoted: 'say "x"\n\ty \\ ü',
  empty: '',
  number: 42,
  zero: 0,
  on: true,
  off: false,
  list: ['x', 'no', '07'],
  none: [],
  map: { b: { c: [1, { d: 'e' }], f: {} }, a: 'A' },
  nothing: {},
}
const NAMES = Object.keys(VALUES)
/** A text of several lines has several forms in YAML, all the same to who reads it. */
const ONE_FORM = NAMES.filter(name => name !== 'quoted')
const PRINTABLE = ['text', 'quoted', 'number', 'zero', 'on', 'off', 'empty']

/** Makes one up; `at` leads to the values from where it stands. */
class Maker {
  readonly #random: Random
  constructor(random: Random) {
    this.#random = random
  }

  body(at: string, depth: number): string {
    return Array.from({ length: 1 + this.#random.below(4) }, () => this.#piece(at, depth)).join('')
  }

  #piece(at: string, depth: number): string {
    const kind = this.#random.below(depth > 0 ? 6 : 3)
    if (kind === 0 && this.#random.chance(0.2))
      return this.#random.pick(['{{/* }} */}}', '{{- /* a */}}', '{{/* "*/ -}}'])
    if (kind === 0) return this.#random.pick(['a', ' ', '\n', '  \n ', 'x: y\n', '\t- ', '{ }', "'"])
    if (kind <= 2) return this.#action(this.#text(at))
    const body = (inside: string): string => this.body(inside, depth - 1)
    const end = this.#action('end')
    if (kind === 3) return this.#action(`if ${this.#condition(at, 2)}`) + body(at) + this.#else(at, depth) + end
    if (kind === 4) {
      const over = this.#action(`range ${at}.${this.#random.pick(['list', 'none'])}`)
      return over + this.#action('.') + body('$.Values') + this.#else(at, 1) + end
    }
    const over = this.#action(`range $k, $v := ${at}.${this.#random.pick(['map', 'nothing', 'list'])}`)
    return over + this.#action('$k') + this.#action('toYaml $v') + body('$.Values') + end
  }

  #else(at: string, depth: number): string {
    if (this.#random.chance(0.5)) return ''
    const other = this.#random.chance(0.3) && depth > 1 ? `else if ${this.#condition(at, 1)}` : 'else'
    return this.#action(other) + this.body(at, depth - 1)
  }

  #action(inside: string): string {
    return `{{${this.#random.pick(['', ' ', '- '])}${inside}${this.#random.pick(['', ' ', ' -'])}}}`
  }

  #text(at: string): string {
    const printable = `${at}.${this.#random.pick(PRINTABLE)}`
    const any = `${at}.${this.#random.pick(ONE_FORM)}`
    return this.#random.pick([
      printable,
      `${printable} | quote`,
      `quote ${printable}`,
      `${printable} | default "d"`,
      `default ${printable} ${at}.empty`,
      `toYaml ${any}`,
      `toYaml ${any} | nindent ${this.#random.below(5)}`,
      `${any} | toYaml | quote`,
      `include "leaf" ${at === '.Values' ? '.' : '$'}`,
      `include "leaf" $ | nindent 2`,
      `$.Release.Name`,
      `"lit \\"}}"`,
      '`raw`',
      `${at}.map.b.c | toYaml`,
    ])
  }

  #condition(at: string, depth: number): string {
    const value = `${at}.${this.#random.pick(NAMES)}`
    if (depth === 0 || this.#random.chance(0.3)) return value
    const inner = (): string => `(${this.#condition(at, depth - 1)})`
    return this.#random.pick([
      `not ${inner()}`,
      `and ${inner()} ${inner()}`,
      `or ${inner()} ${value} ${inner()}`,
      `eq ${at}.text "${this.#random.pick(['a b', 'b'])}"`,
      `eq ${at}.on ${at}.off`,
    ])
  }
}

/** What helm makes of each definition. */
async function byHelm(definitions: string, names: readonly string[]): Promise<Record<string, string>> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-chart-'))
  const file = (name: string): string => join(folder.path, name)
  mkdirSync(file('templates'))
  writeFileSync(file('Chart.yaml'), 'apiVersion: v2\nname: random\nversion: 0.1.0\n')
  writeFileSync(file('values.yaml'), stringify(VALUES, YAML))
  writeFileSync(file('templates/_all.tpl'), definitions)
  const data = names.map(name => `  ${name}: {{ include "${name}" . | quote }}\n`).join('')
  writeFileSync(file('templates/map.yaml'), `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: all }\ndata:\n${data}`)
  const { status, out, err } = await runHelm(['template', 'release', folder.path])
  assert.equal(status, 0, err)
  return (readManifests(out)[0] as unknown as { data: Record<string, string> }).data
}

test('what chance puts together comes out the same', needsHelm, async () => {
  const random = new Random()
  const maker = new Maker(random)
  const names = Array.from({ length: TEMPLATES }, (_, index) => `t${index}`)
  const bodies = new Map(names.map(name => [name, maker.body('.Values', 3)]))
  const define = (name: string, body: string): string => `{{ define "${name}" }}${body}{{ end }}\n`
  const leaf = define('leaf', 'leaf\n{{ .Values.text }}')
  const definitions = leaf + [...bodies].map(([name, body]) => define(name, body)).join('')
  const want = await byHelm(definitions, names)
  const root = {
    Values: VALUES,
    Release: { Name: 'release', Namespace: 'default', Service: 'Helm' },
    Chart: { Name: 'random', Version: '0.1.0', AppVersion: '' },
  }
  const all = parseTemplate('all.tpl', definitions)
  for (const [name, body] of bodies) {
    const call = parseTemplate('call.tpl', `{{ include "${name}" . }}`)
    const got = new Templates([all, call], () => undefined).render(call, root)
    assert.equal(got, want[name], `${body}\n${random.replay}`)
  }
})
