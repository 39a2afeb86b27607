/** Rows of text in columns. */

/** A header in capitals and rows, columns two spaces apart, as wide as their widest cell; without rows `empty`. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[], empty = 'none'): string {
  if (rows.length === 0) return `${empty}\n`
  return columns([header.map(title => title.toUpperCase()), ...rows])
}

/** Rows in columns without a header. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  return `${rows.map(line).join('\n')}\n`
}
