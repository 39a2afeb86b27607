/** `causeway trace`: a packet through the programs and maps that are loaded, and what becomes of it. */
import type { Trace } from '../../trace/tracer.ts'
import { type CommandContext, type CommandSpec, clientOptions, formatOption, UsageError } from '../command.ts'
import { print } from '../output.ts'
import { traceText } from '../trace-text.ts'

/** Loading the programs once more takes a slow machine some seconds. */
const ANSWER_MS = 60_000
/** After which somebody who waits is told what for. */
const TELL_MS = 1000

export const trace: CommandSpec = {
  name: 'trace',
  summary: 'Run a packet through the programs and maps of this node, and tell what becomes of it.',
  about:
    'The programs are loaded once more beside those that carry traffic and run on a packet that goes nowhere: conntrack, translations and counters stay as they are. A packet of a flow that is open is traced as such. POD and SERVICE are NAME or NAMESPACE/NAME, a service with :PORT (a number or name) where it has several. From an address that is neither a pod’s nor the node’s the packet arrives by an uplink. Pods of other nodes are traced on their node; how their packets arrive here, --in tells.',
  options: {
    from: { type: 'string', value: 'POD|ADDRESS', about: 'Who sends: a pod of this node, or an address. Needed.' },
    to: {
      type: 'string',
      value: 'ADDRESS[:PORT]|SERVICE',
      about: 'Whom it is for: [ADDRESS]:PORT over IPv6, a service or a pod. Needed.',
    },
    protocol: {
      type: 'string',
      value: 'NAME',
      choices: ['tcp', 'udp', 'sctp', 'icmp'],
      about: "tcp, or the service's, unless given; icmp is an echo request.",
    },
    'source-port': {
      type: 'string',
      value: 'N',
      about: 'Of the sender, or the identifier of an echo; one by chance unless given.',
    },
    flags: {
      type: 'string',
      value: 'LETTERS',
      about: 'Of TCP, from FSRPAU; S unless given, A in a flow that is open.',
    },
    size: { type: 'string', value: 'BYTES', about: 'Of the IP packet, up to 3500.' },
    device: {
      type: 'string',
      value: 'NAME',
      about: 'The uplink, or the overlay, by which the packet arrives; whoever has its source.',
    },
    in: { type: 'boolean', about: 'The packet arrives, by the uplink or overlay that leads to its source.' },
    ...formatOption,
    ...clientOptions,
  },
  async run(context) {
    const path = `/v1/trace?${queryOf(context).toString()}`
    const told = setTimeout(() => context.err('the programs are being loaded once more…\n'), TELL_MS)
    try {
      print(context, await context.client(ANSWER_MS).json<Trace>(path), answer => traceText(context, answer))
    } finally {
      clearTimeout(told)
    }
    return 0
  },
}

function queryOf({ options }: CommandContext): URLSearchParams {
  const query = new URLSearchParams()
  for (const name of ['from', 'to']) {
    const value = options.text(name)
    if (value === undefined) throw new UsageError(`trace needs --${name}`, 'trace')
    query.set(name, value)
  }
  for (const name of ['protocol', 'source-port', 'flags', 'size', 'device']) {
    const value = options.text(name)
    if (value === undefined) continue
    if ((name === 'source-port' || name === 'size') && !/^\d+$/.test(value))
      throw new UsageError(`--${name} ${value} is no number`, 'trace')
    query.set(name, value)
  }
  if (options.flag('in')) query.set('in', '1')
  return query
}
