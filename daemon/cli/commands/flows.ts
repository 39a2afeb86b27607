/** `causeway flows`: flows and drops of this node, as they happened or as they happen. */
import { stringify } from 'yaml'
import type { FlowLine } from '../../flow/flows.ts'
import { type CommandSpec, clientOptions, formatOption, type OptionValues, UsageError } from '../command.ts'
import { FlowPrinter } from '../flow-text.ts'

export const flows: CommandSpec = {
  name: 'flows',
  summary: 'Show flows and drops of this node.',
  about: 'Options of one name are alternatives; different ones must all hold. JSON comes as one object a line.',
  options: {
    follow: { type: 'boolean', short: 'f', about: 'Go on with flows as they happen.' },
    last: {
      type: 'string',
      value: 'N',
      about: 'How many of the kept records to show first, the newest that match; 100, with --follow 0.',
    },
    pod: {
      type: 'string',
      value: 'NAMESPACE/NAME',
      multiple: true,
      about: 'Only from or to a pod; NAMESPACE/ for all of it.',
    },
    ip: { type: 'string', value: 'ADDRESS', multiple: true, about: 'Only from or to an address.' },
    verdict: { type: 'string', choices: ['dropped', 'forwarded'], about: 'Only what was dropped or forwarded.' },
    reason: { type: 'string', value: 'NAME', multiple: true, about: 'Only drops of a reason.' },
    protocol: { type: 'string', value: 'NAME', multiple: true, about: 'Only of a protocol, such as tcp.' },
    ...formatOption,
    ...clientOptions,
  },
  async run(context) {
    const printer = new FlowPrinter(context)
    for await (const line of context.client().lines<FlowLine>(`/v1/flows?${queryOf(context.options)}`)) {
      if (context.format === 'json') context.out(`${JSON.stringify(line)}\n`)
      else if (context.format === 'yaml') context.out(`---\n${stringify(line)}`)
      else context.out(printer.print(line))
    }
    return 0
  },
}

function queryOf(options: OptionValues): string {
  const query = new URLSearchParams()
  if (options.flag('follow')) query.set('follow', '1')
  const last = options.text('last')
  if (last !== undefined && !/^\d+$/.test(last)) throw new UsageError(`--last ${last} is no number`, 'flows')
  if (last !== undefined) query.set('last', last)
  for (const name of ['pod', 'ip', 'verdict', 'reason', 'protocol']) {
    for (const value of options.texts(name)) query.append(name, value)
  }
  return query.toString()
}
