/**
 * What templates of the chart may be made of: so little that `render.ts` can stand in for helm, and that a reader needs
 * no manual of Go's templates. Everything else is refused with file and line.
 */

/** Words that begin an action; every other action prints the value of a pipeline. */
export const KEYWORDS = ['if', 'else', 'end', 'range', 'define'] as const

/** Functions, with how many arguments each takes, the piped one included. */
export const FUNCTIONS: Readonly<Record<string, readonly [least: number, most: number]>> = {
  /** The text of a definition for a value. */
  include: [2, 2],
  /** YAML of a value, keys in order, without a newline at the end. */
  toYaml: [1, 1],
  /** A newline, then the text with each line indented. */
  nindent: [2, 2],
  /** Text in double quotes. */
  quote: [1, 1],
  /** The second value, or the first where the second is empty. */
  default: [2, 2],
  /** Whether two texts or two truth values are the same. */
  eq: [2, 2],
  and: [2, 8],
  or: [2, 8],
  not: [1, 1],
}

/** What a template finds at its root, with the keys that are there; Values are those of the chart. */
export const ROOTS: Readonly<Record<string, readonly string[] | undefined>> = {
  Values: undefined,
  Release: ['Name', 'Namespace', 'Service'],
  Chart: ['Name', 'Version', 'AppVersion'],
  /** `.Files.Get "path"`: the text of a file of the chart. */
  Files: ['Get'],
}

/** A template that cannot be rendered: `file:line: what is wrong`. */
export class TemplateError extends Error {
  readonly code = 'TEMPLATE'
  constructor(place: Place, problem: string) {
    super(`${place.file}:${place.line}: ${problem}`)
  }
}

/** Where something stands in a template. */
export interface Place {
  readonly file: string
  readonly line: number
}
