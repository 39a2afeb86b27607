/** `causeway services`: what can be spoken to from this node, and who serves it. */
import type { ServedFrontend } from '../../api/service-routes.ts'
import { socketText } from '../../service/frontends.ts'
import type { BackendRow, FrontendRow } from '../../state/service-rows.ts'
import { type CommandSpec, clientOptions, formatOption } from '../command.ts'
import { print } from '../output.ts'
import { textTable } from '../text-table.ts'

export const services: CommandSpec = {
  name: 'services',
  summary: 'List what services can be spoken to at from this node, and who serves them.',
  options: {
    service: {
      type: 'string',
      value: 'NAME',
      about: 'This one with each of its backends; NAMESPACE/NAME where several have the name.',
    },
    ...formatOption,
    ...clientOptions,
  },
  async run(context) {
    const name = context.options.text('service')
    const rows = await context.client().json<ServedFrontend[]>('/v1/services')
    const chosen = rows.filter(row => name === undefined || isMeant(row, name))
    if (name !== undefined && chosen.length === 0) throw new Error(`there is no service ${name} with an address here`)
    const list = chosen.toSorted((a, b) => (a.service < b.service ? -1 : a.service > b.service ? 1 : 0))
    print(context, list, name === undefined ? overview : details)
    return 0
  },
}

/** A name alone is one of any namespace. */
function isMeant({ service }: FrontendRow, name: string): boolean {
  return name.includes('/') ? service === name : service.endsWith(`/${name}`)
}

function overview(rows: readonly ServedFrontend[]): string {
  const cells = rows.map(row => [...frontendCells(row), `${row.backends.length}`])
  return textTable([...FRONTEND, 'backends'], cells, 'no services') + failuresText(rows)
}

function details(rows: readonly ServedFrontend[]): string {
  const cells = rows.flatMap(row => {
    const [first = ['none', '', '', ''], ...others] = row.backends.map(backendCells)
    return [[...frontendCells(row), ...first], ...others.map(other => [...FRONTEND.map(() => ''), ...other])]
  })
  return textTable([...FRONTEND, 'backend', 'node', 'weight', 'state'], cells, 'no services') + failuresText(rows)
}

const FRONTEND = ['service', 'frontend', 'kind', 'from', 'picks by', 'forwards by', 'flows']

function frontendCells(row: ServedFrontend): string[] {
  const name = row.portName === '' ? row.service : `${row.service}:${row.portName}`
  const forwarding = row.scope === 'inside' ? '-' : row.forwarding
  const frontend = `${row.protocol} ${socketText(row.address, row.port)}`
  return [name, frontend, row.kind, row.scope, row.algorithm, forwarding, `${row.hits}`]
}

/** What is not served as the table says; empty when all is. */
function failuresText(rows: readonly ServedFrontend[]): string {
  const failed = rows.filter(row => row.failure !== undefined)
  return failed.map(row => `${row.service} at ${row.key} is not served as it should be: ${row.failure}\n`).join('')
}

function backendCells({ address, port, node, weight, terminating }: BackendRow): string[] {
  return [socketText(address, port), node, `${weight}`, terminating ? 'terminating' : 'ready']
}
