/** `causeway services`: what can be spoken to from this node, and who serves it. */
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
    const rows = await context.client().json<FrontendRow[]>('/v1/tables/frontends')
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

function overview(rows: readonly FrontendRow[]): string {
  const cells = rows.map(row => [...frontendCells(row), row.algorithm, `${row.backends.length}`])
  return textTable(['service', 'frontend', 'kind', 'from', 'picks by', 'backends'], cells, 'no services')
}

function details(rows: readonly FrontendRow[]): string {
  const cells = rows.flatMap(row => {
    const [first = ['none', '', '', ''], ...others] = row.backends.map(backendCells)
    return [[...frontendCells(row), row.algorithm, ...first], ...others.map(other => ['', '', '', '', '', ...other])]
  })
  return textTable(
    ['service', 'frontend', 'kind', 'from', 'picks by', 'backend', 'node', 'weight', 'state'],
    cells,
    'no services',
  )
}

function frontendCells(row: FrontendRow): string[] {
  const name = row.portName === '' ? row.service : `${row.service}:${row.portName}`
  return [name, `${row.protocol} ${socketText(row.address, row.port)}`, row.kind, row.scope]
}

function backendCells({ address, port, node, weight, terminating }: BackendRow): string[] {
  return [socketText(address, port), node, `${weight}`, terminating ? 'terminating' : 'ready']
}
