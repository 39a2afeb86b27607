/** Expressions of the Common Expression Language as trees (cel-spec, "Syntax"). */
import type { Json } from '../objects/json.ts'
import { type Token, tokensOf } from './tokens.ts'

export type Expression =
  | { readonly kind: 'value'; readonly value: Json }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly kind: 'member'; readonly of: Expression; readonly name: string }
  | { readonly kind: 'index'; readonly of: Expression; readonly index: Expression }
  /** A function, or with `of` a method. */
  | {
      readonly kind: 'call'
      readonly of: Expression | undefined
      readonly name: string
      readonly args: readonly Expression[]
    }
  | { readonly kind: 'unary'; readonly sign: string; readonly of: Expression }
  | { readonly kind: 'binary'; readonly sign: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'choice'; readonly test: Expression; readonly yes: Expression; readonly no: Expression }

/** Signs between two operands, those that bind least first. */
const LEVELS: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '!=', '<', '<=', '>', '>=', 'in'],
  ['+', '-'],
  ['*', '/', '%'],
]

/** @throws Error with what is wrong and where */
export function parseExpression(text: string): Expression {
  const parser = new Parser(tokensOf(text))
  const expression = parser.choice()
  parser.expect('')
  return expression
}

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  choice(): Expression {
    const test = this.#level(0)
    if (!this.#takes('?')) return test
    const yes = this.#level(0)
    this.expect(':')
    return { kind: 'choice', test, yes, no: this.choice() }
  }

  /** Takes a sign, or with an empty one the end. */
  expect(sign: string): void {
    if (sign === '' ? this.#next.kind === 'end' : this.#takes(sign)) return
    const { text, at } = this.#next
    throw new Error(`Syntax error at ${at + 1}: mismatched input '${text || '<EOF>'}' expecting '${sign || '<EOF>'}'`)
  }

  get #next(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '', at: 0 }
  }

  #takes(sign: string): boolean {
    const { kind, text } = this.#next
    if (text !== sign || kind === 'text') return false
    this.#at++
    return true
  }

  #level(level: number): Expression {
    const signs = LEVELS[level]
    if (signs === undefined) return this.#unary()
    let left = this.#level(level + 1)
    for (;;) {
      const sign = signs.find(each => this.#takes(each))
      if (sign === undefined) return left
      left = { kind: 'binary', sign, left, right: this.#level(level + 1) }
    }
  }

  #unary(): Expression {
    for (const sign of ['!', '-']) if (this.#takes(sign)) return { kind: 'unary', sign, of: this.#unary() }
    return this.#member()
  }

  #member(): Expression {
    let of = this.#primary()
    for (;;) {
      if (this.#takes('.')) {
        const name = this.#name()
        of = this.#takes('(') ? { kind: 'call', of, name, args: this.#list(')') } : { kind: 'member', of, name }
      } else if (this.#takes('[')) {
        of = { kind: 'index', of, index: this.choice() }
        this.expect(']')
      } else return of
    }
  }

  #name(): string {
    const { kind, text } = this.#next
    if (kind !== 'name') this.expect('a name')
    this.#at++
    return text
  }

  #primary(): Expression {
    const { kind, text } = this.#next
    if (kind === 'number' || kind === 'text') {
      this.#at++
      return { kind: 'value', value: kind === 'text' ? text : Number(text) }
    }
    if (kind === 'name') return this.#named()
    if (this.#takes('(')) {
      const inner = this.choice()
      this.expect(')')
      return inner
    }
    if (this.#takes('[')) return { kind: 'list', items: this.#list(']') }
    if (this.#takes('{')) return { kind: 'map', entries: this.#entries() }
    this.expect('an expression')
    return { kind: 'value', value: null }
  }

  #named(): Expression {
    const name = this.#name()
    const constants: Readonly<Record<string, Json>> = { true: true, false: false, null: null }
    if (Object.hasOwn(constants, name)) return { kind: 'value', value: constants[name] ?? null }
    return this.#takes('(') ? { kind: 'call', of: undefined, name, args: this.#list(')') } : { kind: 'name', name }
  }

  #list(end: string): Expression[] {
    const items: Expression[] = []
    while (!this.#takes(end)) {
      if (items.length > 0) this.expect(',')
      if (this.#takes(end)) break
      items.push(this.choice())
    }
    return items
  }

  #entries(): [Expression, Expression][] {
    const entries: [Expression, Expression][] = []
    while (!this.#takes('}')) {
      if (entries.length > 0) this.expect(',')
      const key = this.choice()
      this.expect(':')
      entries.push([key, this.choice()])
    }
    return entries
  }
}
