/** Takes a template apart: text and actions, white space trimmed as `{{-` and `-}}` ask, and the words of an action. */
import { type Place, TemplateError } from './subset.ts'

/** A piece of a template: text as it stands, or the inside of `{{ … }}`. */
export interface Piece extends Place {
  readonly kind: 'text' | 'action'
  readonly text: string
}

/** A word of an action. */
export interface Token {
  readonly kind: 'word' | 'field' | 'variable' | 'text' | 'number' | 'sign'
  /** As it stands; of text what it means. */
  readonly text: string
}

/** Comments are left out, and so is text of which nothing is left. */
export function piecesOf(file: string, source: string): Piece[] {
  const pieces: Piece[] = []
  let at = 0
  let trimNext = false
  const lineAt = (offset: number): number => source.slice(0, offset).split('\n').length
  const addText = (end: number, trimEnd: boolean): void => {
    let text = source.slice(at, end)
    const line = lineAt(at)
    if (trimNext) text = text.trimStart()
    if (trimEnd) text = text.trimEnd()
    if (text !== '') pieces.push({ kind: 'text', text, file, line })
  }
  for (;;) {
    const open = source.indexOf('{{', at)
    if (open < 0) break
    const place = { file, line: lineAt(open) }
    const trimBefore = /^\{\{-\s/.test(source.slice(open, open + 4))
    addText(open, trimBefore)
    const start = open + (trimBefore ? 3 : 2)
    const close = endOfAction(source, start, place)
    const trimAfter = /\s-$/.test(source.slice(start, close))
    const inside = source.slice(start, close - (trimAfter ? 1 : 0)).trim()
    // A comment fills its action, but for the one blank beside a trim marker.
    if (!/^(?:- )?\/\*[^]*\*\/(?: -)?$/.test(source.slice(open + 2, close)))
      pieces.push({ kind: 'action', text: inside, ...place })
    at = close + 2
    trimNext = trimAfter
  }
  addText(source.length, false)
  return pieces
}

/** Where the braces of an action close: not those within text. */
function endOfAction(source: string, start: number, place: Place): number {
  const inside = /\/\*[^]*?\*\/|"(?:[^"\\\n]|\\.)*"|`[^`]*`|\}\}|[^]/gy
  inside.lastIndex = start
  for (let match = inside.exec(source); match; match = inside.exec(source)) if (match[0] === '}}') return match.index
  throw new TemplateError(place, 'an action is not closed')
}

const TOKEN =
  /\s+|(?<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?<field>(?:\.[A-Za-z_][A-Za-z0-9_]*)+|\.(?![A-Za-z0-9_]))|(?<variable>\$[A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)|(?<number>\d+(?![\w.]))|(?<word>[A-Za-z][A-Za-z0-9]*)|(?<sign>:=|[|(),])/y

/** The words of an action; a character that fits nowhere is outside the subset. */
export function tokensOf({ text, ...place }: Piece): Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < text.length) {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(text)
    if (!match) throw new TemplateError(place, `'${text.slice(at, at + 12)}' is outside the subset`)
    at += match[0].length
    const [kind, found] = Object.entries(match.groups ?? {}).find(([, part]) => part !== undefined) ?? []
    if (kind !== undefined && found !== undefined)
      tokens.push({ kind: kind as Token['kind'], text: kind === 'text' ? meaning(found) : found })
  }
  return tokens
}

/** Go's quoted text, as far as JSON says the same. */
function meaning(quoted: string): string {
  return quoted.startsWith('`') ? quoted.slice(1, -1) : (JSON.parse(quoted) as string)
}
