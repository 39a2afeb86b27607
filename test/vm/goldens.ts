/**
 * What guests measured against the pages in docs/reference, which `--update` writes. A page holds for the very package
 * that it was measured on: another one's figures, and those of the newest kernel, only inform.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type GoldenPage, parsePage, printPage, type Row, type Section, withSection } from './golden-page.ts'
import { type PathFigures, readFigures, type VerifierFigures } from './guest/results.ts'
import type { SuiteResult } from './run-suite.ts'

export interface Compared {
  readonly failures: readonly { readonly name: string; readonly why: string }[]
  readonly notices: readonly string[]
}

/** Figures that may rise by so much, and those that may neither rise nor fall by more. */
const VERIFIER_RISE = 0.1
const PATH_CHANGE = { 'round trips': 0.02, stream: 0.04 }

interface Golden {
  readonly file: string
  readonly page: GoldenPage
  /** Undefined when the guest has measured nothing of the kind. */
  readonly rows: (folder: string) => readonly Row[] | undefined
  /** In words what is wrong with a row, undefined when nothing is. */
  readonly judge: (want: Row, have: Row) => string | undefined
}

const VERIFIER: Golden = {
  file: 'docs/reference/verifier.md',
  page: {
    intro: `# What the programs cost the verifier

Measured by \`npm run test:vm\`, which fails when a figure has risen by more than a tenth on the very same kernel package;
\`npm run test:vm -- --only verifier --update\` writes the page. Instructions are those the verifier walked over, each as
often as it came by (the kernel's limit is 1,000,000): with all features off, with all on, and with the configuration
that takes most. Stack is in bytes, of the function that takes most. The newest kernel only informs.
`,
    columns: ['program', 'off', 'on', 'most', 'configuration with most', 'stack'],
  },
  rows: folder => {
    const figures = readFigures('verifier', folder)
    return figures === undefined ? undefined : verifierRows(figures)
  },
  judge: ([, ...want], [, ...have]) => {
    const risen = [0, 1, 2, 4].filter(i => Number(have[i]) > Number(want[i]) * (1 + VERIFIER_RISE))
    const told = risen.map(i => `${VERIFIER.page.columns[i + 1]}: ${want[i]} before, ${have[i]} now`)
    return told.length === 0 ? undefined : told.join('; ')
  },
}

const PATH: Golden = {
  file: 'docs/reference/path-cost.md',
  page: {
    intro: `# What the way between two pods of a node costs

Speed between two pods over speed between two hosts joined by a bare veth pair, in a guest whose time is counted in
instructions (\`npm run test:vm -- 6.12 --only path\`), which repeats where a clock does not: round trips by their median,
streams by the processor time that a byte takes at both ends, which also depends on how they happen to be cut into
packets. A change of more than 2 % (streams: 4 %) on the very same kernel package fails; \`--update\` writes the page.
`,
    columns: ['what', 'ratio'],
  },
  rows: folder => {
    const figures = readFigures('path', folder)
    return figures === undefined ? undefined : pathRows(figures)
  },
  judge: ([name = '', want], [, have]) => {
    const change = Number(have) / Number(want) - 1
    const allowed = PATH_CHANGE[name.endsWith('stream') ? 'stream' : 'round trips']
    return Math.abs(change) <= allowed ? undefined : `${want} before, ${have} now`
  },
}

const GOLDENS = [VERIFIER, PATH]

export function compareGoldens(root: string, result: Pick<SuiteResult, 'kernel' | 'folder'>): Compared {
  const compared = GOLDENS.map(golden => compare(root, golden, result))
  return { failures: compared.flatMap(c => c.failures), notices: compared.flatMap(c => c.notices) }
}

/** Writes what the suite has measured into its page. */
export function updateGoldens(root: string, { kernel, folder }: Pick<SuiteResult, 'kernel' | 'folder'>): void {
  for (const golden of GOLDENS) {
    const rows = golden.rows(folder)
    if (rows === undefined) continue
    const section = { expression: kernel.expression, version: kernel.version, rows }
    writeFileSync(join(root, golden.file), printPage(golden.page, withSection(sectionsOf(root, golden), section)))
  }
}

function compare(root: string, golden: Golden, { kernel, folder }: Pick<SuiteResult, 'kernel' | 'folder'>): Compared {
  const rows = golden.rows(folder)
  if (rows === undefined) return { failures: [], notices: [] }
  const section = sectionsOf(root, golden).find(s => s.expression === kernel.expression)
  if (section === undefined)
    return { failures: [], notices: [`${golden.file} has no section for ${kernel.expression}`] }
  const differences = differencesOf(golden, section, rows)
  if (section.version === kernel.version && kernel.expression !== 'newest')
    return { failures: differences.map(why => ({ name: golden.file, why })), notices: [] }
  const of = section.version === kernel.version ? '' : ` (of ${section.version}, this is ${kernel.version})`
  return { failures: [], notices: differences.map(why => `${golden.file}${of}: ${why}`) }
}

function differencesOf({ judge }: Golden, section: Section, rows: readonly Row[]): string[] {
  const names = new Set([...section.rows, ...rows].map(([name = '']) => name))
  return [...names].flatMap(name => {
    const want = section.rows.find(row => row[0] === name)
    const have = rows.find(row => row[0] === name)
    if (want === undefined || have === undefined)
      return [`${name} is ${want === undefined ? 'new' : 'gone'}: write the page with --update`]
    return judge(want, have)?.replace(/^/, `${name}: `) ?? []
  })
}

function sectionsOf(root: string, { file }: Golden): Section[] {
  try {
    return parsePage(readFileSync(join(root, file), 'utf8'))
  } catch {
    return [] // not written yet
  }
}

function verifierRows(figures: VerifierFigures): Row[] {
  const programs = Object.entries(figures).sort(([a], [b]) => a.localeCompare(b, 'en'))
  return programs.map(([program, byConfiguration]) => {
    const costs = Object.entries(byConfiguration)
    const [most, cost] = costs.reduce((a, b) => (b[1].instructions > a[1].instructions ? b : a))
    const stack = Math.max(...costs.map(([, c]) => c.stackBytes))
    const of = (name: string): string => `${byConfiguration[name]?.instructions ?? ''}`
    return [program, of('off'), of('on'), `${cost.instructions}`, most, `${stack}`]
  })
}

function pathRows(figures: PathFigures): Row[] {
  return Object.entries(figures).map(([what, ratio]) => [what, ratio.toFixed(3)])
}
