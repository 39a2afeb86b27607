/** Goldens as a page of docs/reference: a section for each kernel, a table of what was measured on it. Pure. */

export interface GoldenPage {
  /** Up to the first section. */
  readonly intro: string
  readonly columns: readonly string[]
}
/** Cells of a row, the first of which is its name. */
export type Row = readonly string[]
export interface Section {
  /** What the kernel is asked for by. */
  readonly expression: string
  /** Of its package. */
  readonly version: string
  readonly rows: readonly Row[]
}

const HEADING = /^## (\S+): (\S+)$/

export function printPage({ intro, columns }: GoldenPage, sections: readonly Section[]): string {
  const line = (cells: Row): string => `| ${cells.join(' | ')} |`
  const rule = columns.map(() => '---')
  const texts = sections.map(({ expression, version, rows }) =>
    [`## ${expression}: ${version}`, '', ...[columns, rule, ...rows].map(line), ''].join('\n'),
  )
  return [intro, ...texts].join('\n')
}

export function parsePage(text: string): Section[] {
  const sections: { expression: string; version: string; rows: Row[] }[] = []
  for (const line of text.split('\n')) {
    const [, expression, version] = HEADING.exec(line) ?? []
    if (expression !== undefined && version !== undefined) sections.push({ expression, version, rows: [] })
    else if (line.startsWith('| ')) sections.at(-1)?.rows.push(line.slice(2, -2).split(' | '))
  }
  // The first two rows of a table are its head.
  return sections.map(section => ({ ...section, rows: section.rows.slice(2) }))
}

/** The sections with one more, in the place of that of the same expression; ordered by expression, newest last. */
export function withSection(sections: readonly Section[], section: Section): Section[] {
  const others = sections.filter(s => s.expression !== section.expression)
  return [...others, section].sort((a, b) => a.expression.localeCompare(b.expression, 'en', { numeric: true }))
}
