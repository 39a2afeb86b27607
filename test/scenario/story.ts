/**
 * Stories: text files of steps that people can read. A line `>>> write FILE` is followed by the file's text,
 * `>>> delete FILE` by nothing, `>>> addresses` by those the node's uplink has from then on, `>>> expect` by what shall be
 * there; text before the first step says what it is about.
 */

export type Step =
  | { readonly kind: 'write'; readonly file: string; readonly text: string }
  | { readonly kind: 'delete'; readonly file: string; readonly text: string }
  | { readonly kind: 'addresses' | 'expect'; readonly text: string }

export interface Story {
  readonly about: string
  readonly steps: readonly Step[]
}

/** Throws RangeError on a line that begins like a step and is none. */
export function parseStory(text: string): Story {
  const [about = '', ...parts] = text.split(/^>>> /m)
  const steps = parts.map((part): Step => {
    const end = part.indexOf('\n')
    const [kind, file = ''] = part.slice(0, end).split(' ')
    const body = part.slice(end + 1)
    if (kind === 'expect' || kind === 'addresses') return { kind, text: body }
    if ((kind === 'write' || kind === 'delete') && file !== '') return { kind, file, text: body }
    throw new RangeError(`no step: >>> ${part.slice(0, end)}`)
  })
  return { about, steps }
}

export function printStory(story: Story): string {
  const steps = story.steps.map(step => {
    const head = 'file' in step ? `${step.kind} ${step.file}` : step.kind
    return `>>> ${head}\n${step.text}`
  })
  return [story.about, ...steps].join('')
}
