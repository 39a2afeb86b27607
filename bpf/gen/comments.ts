/**
 * Comments of a C header by what they describe. BTF carries none, and a line for people is worth more beside the C
 * source than in an attribute. Understands what the project's own headers contain: structures, enumerations and
 * variables, each with a comment before it or behind it on its line.
 */

/** Keys: `struct ct_key`, `struct ct_key.port_a`, `enum hook`, `enum hook.HOOK_POD_IN`, `overlay_mtu`. */
export type Comments = ReadonlyMap<string, string>

export function readComments(header: string): Comments {
  const comments = new Map<string, string>()
  let container = ''
  let before = ''
  for (const { code, comment } of lines(header)) {
    const opened = /^\s*(struct|enum) (\w+) \{/.exec(code)
    const name = opened ? `${opened[1]} ${opened[2]}` : declared(code, container)
    const text = comment === '' ? before : comment
    if (name !== undefined && text !== '') comments.set(name, text)
    if (opened) container = name ?? ''
    if (/^\s*\}/.test(code)) container = ''
    // A comment on lines of its own belongs to the next line of code; an empty line parts them.
    before = code.trim() === '' ? comment : ''
  }
  return comments
}

/** The structures and enumerations a header declares, as `struct ct_key`. */
export function declaredTypes(header: string): string[] {
  return [...header.matchAll(/^(struct|enum) (\w+) \{/gm)].map(([, kind, name]) => `${kind} ${name}`)
}

/** What a line of code declares: a member of the container it stands in, or a constant. */
function declared(code: string, container: string): string | undefined {
  if (container === '') return /^const volatile [\w ]+?(\w+)(\[\w+\])* =/.exec(code)?.[1]
  const member = container.startsWith('enum') ? /^\s+(\w+)\s*(=|,)/.exec(code) : /(\w+)(\[\w+\])*;/.exec(code)
  return member ? `${container}.${member[1]}` : undefined
}

interface Line {
  readonly code: string
  readonly comment: string
}

/** Lines with their comments taken out; one that spans lines comes with the last of them. */
function* lines(header: string): Generator<Line> {
  const joined = header.replace(/\/\*[^]*?\*\//g, comment => comment.replace(/\s*\n\s*\*?\/?\s*/g, m => fold(m)))
  for (const line of joined.split('\n')) {
    const comment = /\/\*\s*(.*?)\s*\*\//.exec(line)?.[1] ?? ''
    yield { code: line.replace(/\/\*.*?\*\//, ''), comment }
  }
}
/** A line break within a comment becomes a space; the comment's end is kept. */
function fold(lineBreak: string): string {
  return lineBreak.includes('*/') ? ' */' : ' '
}
