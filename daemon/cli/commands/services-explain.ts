/** `causeway services explain`: the backend that a client would be given, and why. */
import { parseListen } from '../../config/schema.ts'
import type { Explanation } from '../../service/explain.ts'
import { type CommandContext, type CommandSpec, clientOptions, formatOption } from '../command.ts'
import { print } from '../output.ts'
import { textTable } from '../text-table.ts'

export const servicesExplain: CommandSpec = {
  name: 'services explain',
  summary: 'Tell which backend a client would be given by a service now, and why.',
  about:
    'CLIENT is an address, or ADDRESS:PORT ([ADDRESS]:PORT over IPv6) where the flow chooses the backend. SERVICE is the address and port it asks for. Told of packets; a pod or process that connects by its socket is given a backend by chance. A flow that is open already keeps the backend it has.',
  operands: [{ name: 'CLIENT' }, { name: 'SERVICE' }],
  options: {
    protocol: { type: 'string', value: 'NAME', choices: ['tcp', 'udp', 'sctp'], about: 'tcp unless given.' },
    ...formatOption,
    ...clientOptions,
  },
  async run(context) {
    const answer = await context.client().json<Explanation>(`/v1/explain/service?${queryOf(context).toString()}`)
    print(context, answer, explanationText)
    return 0
  },
}

function queryOf({ operands: [client = '', service = ''], options }: CommandContext): URLSearchParams {
  const to = parseListen(service)
  if (to === undefined || to.host === '')
    throw new Error(`'${service}' is no address with a port, such as 10.96.0.1:443 or [fd00::1]:443`)
  const from = parseListen(client)
  return new URLSearchParams({
    client: from === undefined ? client : from.host,
    ...(from === undefined ? {} : { 'client-port': `${from.port}` }),
    address: to.host,
    port: `${to.port}`,
    protocol: options.text('protocol') ?? 'tcp',
  })
}

const OUTCOMES: Readonly<Record<Explanation['outcome'], string>> = {
  backend: 'is given',
  'one-of': 'is given one of those that take new flows',
  refused: 'is refused',
  dropped: 'hears nothing: the packet is dropped',
  'no-service': 'speaks to no service',
}

function explanationText({ from, service, frontend, outcome, backend, why, endpoints }: Explanation): string {
  const of = service === undefined ? '' : `${service} at ${frontend}\n`
  const what = [OUTCOMES[outcome], backend].filter(part => part !== undefined).join(' ')
  const cells = endpoints.map(e => [e.endpoint, e.node, e.zone, `${e.weight}`, e.takes ? 'yes' : 'no', e.why])
  const list = textTable(['endpoint', 'node', 'zone', 'weight', 'takes', 'why'], cells, 'no endpoints')
  return `${of}the client, ${from}, ${what}: ${why}\n${service === undefined ? '' : list}`
}
