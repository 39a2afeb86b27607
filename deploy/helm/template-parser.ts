/** Reads a template of the subset into a tree. */
import { FUNCTIONS, KEYWORDS, type Place, ROOTS, TemplateError } from './subset.ts'
import { piecesOf, type Piece, type Token, tokensOf } from './template-lexer.ts'

/** A value or the call of a function; a pipeline `a | f x` is the call `f x a`. */
export type Expression =
  | { readonly kind: 'value'; readonly value: string | number | boolean }
  /** `base` is `.`, `$` or the name of a variable. */
  | { readonly kind: 'field'; readonly base: string; readonly path: readonly string[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'file'; readonly path: Expression }

export type TemplateNode = Place &
  (
    | { readonly kind: 'text'; readonly text: string }
    | { readonly kind: 'print'; readonly value: Expression }
    | { readonly kind: 'if'; readonly condition: Expression; readonly then: Body; readonly otherwise: Body }
    | {
        readonly kind: 'range'
        readonly over: Expression
        /** Names of the variables for the key and the item. */
        readonly variables: readonly string[]
        readonly body: Body
        readonly otherwise: Body
      }
  )
export type Body = readonly TemplateNode[]

export interface Template {
  readonly body: Body
  /** Bodies of `define` by name. */
  readonly definitions: ReadonlyMap<string, Body>
}

/** Throws TemplateError for whatever is outside the subset. */
export function parseTemplate(file: string, source: string): Template {
  const parser = new Parser(piecesOf(file, source))
  const body = parser.body([])
  return { body, definitions: parser.definitions }
}

type Ending = 'else' | 'end'

class Parser {
  readonly #pieces: readonly Piece[]
  #at = 0
  readonly definitions = new Map<string, Body>()

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces
  }

  /** Up to one of `endings`, which is left to be read, or to the end of the file. */
  body(endings: readonly Ending[], opened?: Place): TemplateNode[] {
    const nodes: TemplateNode[] = []
    for (;;) {
      const piece = this.#pieces[this.#at]
      if (piece === undefined) {
        if (opened) throw new TemplateError(opened, 'has no end')
        return nodes
      }
      const keyword = piece.kind === 'action' ? keywordOf(piece) : undefined
      if (keyword === 'else' || keyword === 'end') {
        if (endings.includes(keyword)) return nodes
        throw new TemplateError(piece, `${keyword} ends nothing`)
      }
      this.#at++
      const node = piece.kind === 'text' ? { ...piece, kind: 'text' as const } : this.#action(piece, keyword)
      if (node) nodes.push(node)
    }
  }

  #action(piece: Piece, keyword: string | undefined): TemplateNode | undefined {
    const tokens = tokensOf(piece)
    const place = { file: piece.file, line: piece.line }
    if (keyword === 'if') return this.#if(place, tokens.slice(1))
    if (keyword === 'range') return this.#range(place, tokens.slice(1))
    if (keyword === 'define') {
      const [name, ...rest] = tokens.slice(1)
      if (name?.kind !== 'text' || rest.length > 0) throw new TemplateError(place, 'define takes a name in quotes')
      if (this.definitions.has(name.text)) throw new TemplateError(place, `"${name.text}" is defined twice`)
      this.definitions.set(name.text, this.body(['end'], place))
      this.#at++
      return undefined
    }
    return { ...place, kind: 'print', value: parsePipeline(place, tokens) }
  }

  #if(place: Place, tokens: Token[]): TemplateNode {
    const condition = parsePipeline(place, tokens)
    const then = this.body(['else', 'end'], place)
    return { ...place, kind: 'if', condition, then, otherwise: this.#otherwise(place, true) }
  }

  #range(place: Place, tokens: Token[]): TemplateNode {
    const assign = tokens.findIndex(token => token.text === ':=' && token.kind === 'sign')
    const named = tokens.slice(0, Math.max(assign, 0)).filter(token => token.kind !== 'sign')
    const over = parsePipeline(place, tokens.slice(assign + 1))
    const variables = named.map(token => token.text)
    if (named.some(token => token.kind !== 'variable') || (assign >= 0 && variables.length !== 2))
      throw new TemplateError(place, 'range takes a pipeline, or $key, $value := pipeline')
    const body = this.body(['else', 'end'], place)
    return { ...place, kind: 'range', over, variables, body, otherwise: this.#otherwise(place, false) }
  }

  /** What follows `else`, up to and with the `end`. */
  #otherwise(opened: Place, mayGoOn: boolean): Body {
    const piece = this.#pieces[this.#at++]
    if (piece === undefined) throw new TemplateError(opened, 'has no end')
    const [keyword, ...tokens] = tokensOf(piece)
    if (keyword?.text === 'end') return []
    if (tokens.length > 0) {
      if (!mayGoOn || tokens[0]?.text !== 'if') throw new TemplateError(piece, 'else takes if or nothing')
      return [this.#if(piece, tokens.slice(1))]
    }
    const body = this.body(['end'], opened)
    this.#at++
    return body
  }
}

function keywordOf(piece: Piece): string | undefined {
  const word = /^[a-z]+/.exec(piece.text)?.[0]
  return KEYWORDS.find(keyword => keyword === word)
}

function parsePipeline(place: Place, tokens: readonly Token[]): Expression {
  const queue = [...tokens]
  const expression = readPipeline(place, queue)
  if (queue[0]) throw new TemplateError(place, `'${queue[0].text}' is too much`)
  return expression
}

function readPipeline(place: Place, queue: Token[]): Expression {
  let value = readCommand(place, queue, [])
  while (isSign(queue[0], '|')) {
    queue.shift()
    if (queue[0]?.kind !== 'word') throw new TemplateError(place, 'after | comes the name of a function')
    value = readCommand(place, queue, [value])
  }
  return value
}

/** A value alone, or a function with its arguments and what is piped to it. */
function readCommand(place: Place, queue: Token[], piped: readonly Expression[]): Expression {
  const first = queue[0]
  const isCall = first?.kind === 'word' && first.text !== 'true' && first.text !== 'false'
  if (!isCall) {
    const operand = readOperand(place, queue)
    if (operand.kind !== 'field' || operand.path.join('.') !== 'Files.Get') return operand
    return { kind: 'file', path: readOperand(place, queue) }
  }
  queue.shift()
  const args: Expression[] = []
  while (queue[0] && !isSign(queue[0], '|') && !isSign(queue[0], ')')) args.push(readOperand(place, queue))
  args.push(...piped)
  const bounds = Object.hasOwn(FUNCTIONS, first.text) ? FUNCTIONS[first.text] : undefined
  if (!bounds) throw new TemplateError(place, `'${first.text}' is outside the subset`)
  if (args.length < bounds[0] || args.length > bounds[1])
    throw new TemplateError(place, `${first.text} does not take ${args.length} arguments`)
  return { kind: 'call', name: first.text, args }
}

function readOperand(place: Place, queue: Token[]): Expression {
  const token = queue.shift()
  if (token?.kind === 'text') return { kind: 'value', value: token.text }
  if (token?.kind === 'number') return { kind: 'value', value: Number(token.text) }
  if (token?.kind === 'word' && (token.text === 'true' || token.text === 'false'))
    return { kind: 'value', value: token.text === 'true' }
  if (token?.kind === 'field') return fieldOf(place, '.', token.text.slice(1))
  if (token?.kind === 'variable') {
    const [base = '$', ...path] = token.text.split('.')
    return fieldOf(place, base, path.join('.'))
  }
  if (isSign(token, '(')) {
    const inner = readPipeline(place, queue)
    if (!isSign(queue.shift(), ')')) throw new TemplateError(place, 'a bracket is not closed')
    return inner
  }
  throw new TemplateError(place, token ? `'${token.text}' is outside the subset here` : 'a value is missing')
}

/** Names that begin with a capital letter are those of the root. */
function fieldOf(place: Place, base: string, dotted: string): Expression {
  const path = dotted === '' ? [] : dotted.split('.')
  const [root = '', key] = path
  if (/^[A-Z]/.test(root)) {
    const keys = ROOTS[root]
    const known = Object.hasOwn(ROOTS, root) && (keys === undefined || (path.length === 2 && keys.includes(key ?? '')))
    if (!known) throw new TemplateError(place, `.${dotted} is outside the subset`)
  }
  return { kind: 'field', base, path }
}

function isSign(token: Token | undefined, sign: string): boolean {
  return token?.kind === 'sign' && token.text === sign
}
