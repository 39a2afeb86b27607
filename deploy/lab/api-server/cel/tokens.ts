/** The words of an expression in the Common Expression Language (cel-spec, "Lexis"). */
export interface Token {
  readonly kind: 'number' | 'text' | 'name' | 'sign' | 'end'
  readonly text: string
  /** Where it stands, from 0. */
  readonly at: number
}

const WORD =
  /\s*(?:(?<number>0x[0-9a-fA-F]+u?|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?u?)|(?<raw>[rR](?:'[^']*'|"[^"]*"))|(?<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?<name>[_a-zA-Z]\w*)|(?<sign>&&|\|\||[<>=!]=|[-+*/%<>!?:.,()[\]{}]))/y

/** @throws Error with what cannot be read */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  WORD.lastIndex = 0
  while (text.slice(WORD.lastIndex).trim() !== '') {
    const at = WORD.lastIndex
    const groups = WORD.exec(text)?.groups
    if (groups === undefined) throw new Error(`Syntax error: token recognition error at: '${text.slice(at).trim()}'`)
    tokens.push(tokenOf(groups, at))
  }
  return [...tokens, { kind: 'end', text: '', at: text.length }]
}

function tokenOf({ number, raw, quoted, name, sign }: Record<string, string | undefined>, at: number): Token {
  if (number !== undefined) return { kind: 'number', text: number.replace(/u$/, ''), at }
  if (raw !== undefined) return { kind: 'text', text: raw.slice(2, -1), at }
  if (quoted !== undefined) return { kind: 'text', text: unescaped(quoted.slice(1, -1)), at }
  return name === undefined ? { kind: 'sign', text: sign ?? '', at } : { kind: 'name', text: name, at }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v', a: '\x07' }

function unescaped(text: string): string {
  return text.replaceAll(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))/g,
    (_, hex?: string, wide?: string, one?: string) =>
      one === undefined ? String.fromCharCode(Number.parseInt(hex ?? wide ?? '0', 16)) : (ESCAPES[one] ?? one),
  )
}
