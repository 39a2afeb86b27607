/** A picture of a scenario: how many pods have come, and how many have an address, second by second. Pure. */
import type { Outcome } from './scenario.ts'

const WIDTH = 800
const HEIGHT = 400
const MARGIN = { left: 64, right: 16, top: 48, bottom: 40 }
/** Told apart also by those who see few colours (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9']
const TICKS = 5

export function curveSvg(title: string, outcomes: readonly Outcome[]): string {
  const [first] = outcomes
  const total = first?.came.length ?? 0
  const endMs = Math.max(1, ...outcomes.flatMap(({ came, served }) => [came.at(-1) ?? 0, served.at(-1) ?? 0]))
  const x = (ms: number): number => MARGIN.left + ((WIDTH - MARGIN.left - MARGIN.right) * ms) / endMs
  const y = (count: number): number => HEIGHT - MARGIN.bottom - ((HEIGHT - MARGIN.top - MARGIN.bottom) * count) / total
  const curves = [
    { name: 'pods', times: first?.came ?? [], colour: '#888888', dash: ' stroke-dasharray="4 3"' },
    ...outcomes.map(({ algorithm, served }, n) => {
      return { name: algorithm, times: served, colour: COLOURS[n % COLOURS.length] ?? '#000000', dash: '' }
    }),
  ]
  const lines = curves.map(({ times, colour, dash }) => {
    return `<path d="${pathOf(times, x, y)}" fill="none" stroke="${colour}" stroke-width="2"${dash}/>`
  })
  const names = curves.map(({ name, colour }, n) => {
    return `<text x="${MARGIN.left + n * 150}" y="40" fill="${colour}">${escaped(name)}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<text x="${MARGIN.left}" y="20" font-size="14">${escaped(title)}</text>`,
    ...names,
    ...axes(endMs, total, x, y),
    ...lines,
    '</svg>',
    '',
  ].join('\n')
}

type Scale = (value: number) => number

/** Steps that never go back; at most one point for each pixel. */
function pathOf(times: readonly number[], x: Scale, y: Scale): string {
  const points = new Map<number, number>([[Math.round(x(0)), 0]])
  times.forEach((ms, n) => points.set(Math.round(x(ms)), n + 1))
  let path = ''
  for (const [at, count] of points)
    path += path === '' ? `M${at} ${y(count).toFixed(1)}` : `H${at}V${y(count).toFixed(1)}`
  return path
}

function axes(endMs: number, total: number, x: Scale, y: Scale): string[] {
  const drawn: string[] = []
  for (let n = 0; n <= TICKS; n++) {
    const [ms, count] = [(endMs * n) / TICKS, Math.round((total * n) / TICKS)]
    const [left, bottom] = [x(ms).toFixed(1), y(count).toFixed(1)]
    drawn.push(`<path d="M${MARGIN.left} ${bottom}H${WIDTH - MARGIN.right}" stroke="#dddddd"/>`)
    drawn.push(`<text x="${MARGIN.left - 6}" y="${bottom}" text-anchor="end">${count}</text>`)
    drawn.push(
      `<text x="${left}" y="${HEIGHT - 16}" text-anchor="${n === TICKS ? 'end' : 'middle'}">${(ms / 1000).toFixed(1)} s</text>`,
    )
  }
  return drawn
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`)
}
