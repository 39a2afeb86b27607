/** `causeway preflight`: whether the daemon would run here. */
import { isConfigError } from '../../errors.ts'
import type { Finding } from '../../preflight/finding.ts'
import { type CommandContext, type CommandSpec, configOptions, formatOption } from '../command.ts'
import { coloured, print } from '../output.ts'
import { loadWith } from '../programs.ts'
import { columns } from '../text-table.ts'

export const preflight: CommandSpec = {
  name: 'preflight',
  summary: 'Say whether the daemon would run on this node; exit status 1 when something is in the way.',
  about:
    'Checks the configuration, capabilities, mounts, sysctls, other networks on the node, and loads every program on this kernel without pinning or attaching it. Nothing changes, but that the kernel may load modules that it is asked about.',
  options: { ...formatOption, ...configOptions },
  async run(context) {
    const findings = await find(context)
    print(context, findings, list => text(list, context))
    return findings.some(f => f.state === 'problem') ? 1 : 0
  },
}

/** A configuration that cannot be used is a finding, and the last one. */
async function find({ options, programs, env, signal }: CommandContext): Promise<readonly Finding[]> {
  const check = 'configuration'
  const wayOut = 'correct it; `causeway config docs` explains every key'
  try {
    const loaded = await loadWith(programs, { file: options.text('config'), set: options.texts('set') }, env)
    try {
      await programs.checkPlugins(loaded.config)
      const what = `${loaded.config.file ?? 'the one without a file'} is good`
      return [{ check, state: 'ok', what }, ...(await programs.preflight(loaded.config, signal))]
    } catch (error) {
      throw isConfigError(error) ? loaded.explain(error) : error
    }
  } catch (error) {
    if (!isConfigError(error)) throw error
    return [{ check, state: 'problem', what: error.message, wayOut }]
  }
}

const COLOURS = { ok: 'green', note: 'yellow', problem: 'red' } as const

/** Further lines of a finding stand below its first one. */
function text(findings: readonly Finding[], context: Pick<CommandContext, 'colour'>): string {
  const rows = findings.flatMap(({ check, state, what, wayOut }) => {
    const [first = '', ...more] = [...what.split('\n'), ...(wayOut === undefined ? [] : [`→ ${wayOut}`])]
    return [[state, check, first], ...more.map(line => ['', '', line])]
  })
  const problems = findings.filter(f => f.state === 'problem').length
  const end = problems === 0 ? 'nothing is in the way' : `${problems} problem${problems === 1 ? '' : 's'}`
  const table = columns(rows).replace(/^(?:ok|note|problem)(?= )/gm, state =>
    coloured(context, COLOURS[state as Finding['state']], state),
  )
  return `${table}\n${coloured(context, problems === 0 ? 'green' : 'red', end)}\n`
}
