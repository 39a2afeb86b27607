/** The renderer by itself: what it makes of templates of the subset, and that it refuses all others with their place. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TemplateError } from './subset.ts'
import { parseTemplate } from './template-parser.ts'
import { Templates } from './template-run.ts'
import { mergeValues } from './values.ts'

const VALUES = {
  text: 'a b',
  empty: '',
  port: 80,
  off: false,
  on: true,
  list: ['x', 'z'],
  map: { b: { c: 1 }, a: 'A' },
  items: [{ name: 'one', extra: 'E' }, { name: 'two' }],
  none: [],
}

function render(source: string): string {
  const template = parseTemplate('t.yaml', source)
  const root = {
    Values: VALUES,
    Release: { Name: 'r', Namespace: 'n', Service: 'Helm' },
    Chart: { Name: 'c', Version: '1', AppVersion: '2' },
  }
  return new Templates([template], path => (path === 'f.txt' ? 'file' : undefined)).render(template, root)
}

const cases: readonly (readonly [source: string, want: string])[] = [
  ['a {{ .Values.text }} b', 'a a b b'],
  ['a\n  {{- .Values.text -}}\n  b', 'aa bb'],
  ['{{ .Values.port }}|{{ .Values.on }}|{{ "t" }}|{{ 3 }}', '80|true|t|3'],
  ['{{ .Values.text | quote }} {{ quote .Values.port }}', '"a b" "80"'],
  ['{{ .Values.empty | default "d" }} {{ default .Values.text .Values.off }}', 'd a b'],
  ['{{ if .Values.on }}1{{ else }}2{{ end }}{{ if .Values.none }}1{{ else }}2{{ end }}', '12'],
  ['{{ if .Values.off }}1{{ else if .Values.text }}2{{ else }}3{{ end }}', '2'],
  ['{{ if and .Values.on (not .Values.off) }}1{{ end }}{{ if or .Values.off .Values.empty }}2{{ end }}', '1'],
  ['{{ if eq .Values.text "a b" }}same{{ end }}', 'same'],
  ['{{ range .Values.list }}[{{ . }}]{{ end }}{{ range .Values.none }}x{{ else }}none{{ end }}', '[x][z]none'],
  [
    '{{ range $k, $v := .Values.map }}{{ $k }};{{ end }}{{ range $i, $v := .Values.list }}{{ $i }}{{ $v }}{{ end }}',
    'a;b;0x1z',
  ],
  [
    '{{ range .Values.items }}{{ .name }}{{ if .extra }}{{ .extra }}{{ end }}{{ $.Values.port }} {{ end }}',
    'oneE80 two80 ',
  ],
  ['{{ toYaml .Values.map | nindent 2 }}', '\n  a: A\n  b:\n    c: 1'],
  ['{{ toYaml .Values.list }}{{ toYaml .Values.none }}', '- x\n- z[]'],
  ['{{ define "d" }}<{{ .Values.port }}>{{ end }}{{ include "d" . }}{{ include "d" $ | quote }}', '<80>"<80>"'],
  ['{{ .Release.Namespace }}{{ .Chart.AppVersion }}{{ .Files.Get "f.txt" | quote }}', 'n2"file"'],
  ['a{{/* no "}}" of {{ it */}}b{{- /* c */ -}}  d', 'abd'],
  ['{{ "}}" }}{{ `a"b` }}', '}}a"b'],
]
for (const [source, want] of cases) test(source.replaceAll('\n', '⏎'), () => assert.equal(render(source), want))

const refused: readonly (readonly [source: string, problem: string])[] = [
  ['a\n{{ .Values.txet }}', 't.yaml:2: .Values.txet: there is no txet'],
  ['{{ .Values.map.z.c }}', 't.yaml:1: .Values.map.z.c: there is no z'],
  ['{{ tpl .Values.text . }}', "t.yaml:1: 'tpl' is outside the subset"],
  ['{{ .Values.text | upper }}', "t.yaml:1: 'upper' is outside the subset"],
  ['{{ with .Values.map }}{{ end }}', "t.yaml:1: 'with' is outside the subset"],
  ['{{ $x := .Values.map }}', "t.yaml:1: ':=' is too much"],
  ['{{ .Capabilities.KubeVersion }}', 't.yaml:1: .Capabilities.KubeVersion is outside the subset'],
  ['{{ .Release.IsUpgrade }}', 't.yaml:1: .Release.IsUpgrade is outside the subset'],
  ['{{ .Values.port + 1 }}', "t.yaml:1: '+ 1' is outside the subset"],
  ['{{ if .Values.on }}', 't.yaml:1: has no end'],
  ['{{ end }}', 't.yaml:1: end ends nothing'],
  ['{{ .Values.text', 't.yaml:1: an action is not closed'],
  ['{{ .Values.map }}', 't.yaml:1: {"b":{"c":1},"a":"A"} cannot be printed: use toYaml or default'],
  ['{{ range .Values.items }}{{ .extra }}{{ end }}', 't.yaml:1: undefined cannot be printed: use toYaml or default'],
  ['{{ include "x" . }}', 't.yaml:1: "x" is not defined'],
  ['{{ quote }}', 't.yaml:1: quote does not take 0 arguments'],
  ['{{ .Files.Get "no" }}', 't.yaml:1: the chart has no file no'],
  ['{{ /* blanks around */ }}', "t.yaml:1: '/* blanks ar' is outside the subset"],
  ['{{ $v }}', 't.yaml:1: $v is no variable here'],
]
for (const [source, problem] of refused)
  test(`refused: ${source.replaceAll('\n', '⏎')}`, () =>
    assert.throws(() => render(source), {
      name: 'Error',
      code: new TemplateError({ file: '', line: 0 }, '').code,
      message: problem,
    }))

test('values are laid over each other key by key, lists as a whole, and null takes away', () => {
  const under = { a: { b: 1, c: 2 }, list: [1, 2], gone: { x: 1 } }
  assert.deepEqual(mergeValues(under, { a: { b: 3 }, list: [4], gone: null }), { a: { b: 3, c: 2 }, list: [4] })
})
