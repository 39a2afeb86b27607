/** The lab's command line. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { LabOptions } from './configuration.ts'
import { labName } from './layout.ts'

export const HELP = `npm run lab [-- VERB] [OPTIONS]

  (none)              up, check, load, and leave it up
  up                  build the lab, or build it again when it differs from what is asked for
  check               run the connectivity matrix; exit status 0 only if every row holds
  load                what connections notice of backends that come and go, pods that drain, a daemon that dies
  status              nodes, pods, addresses, health of the daemons
  pods                start the pods of a lab that was built bare
  exec NAME -- CMD    run a command in a pod (node1-a), a node (node1), the host outside (outside) or beside the API server
                      (control), where there are kubectl and helm
  down                remove the lab, also one that was killed half-way

  --nodes N           nodes (2)
  --pods N            pods on each node (2)
  --far N             so many of the nodes, the last ones, are in another subnet behind a router (0)
  --kubernetes        with an API server and operators in place of a folder of manifests
  --bare              with --kubernetes: helm installs the project afterwards, and the verb pods starts pods
  --cloud aws         with --kubernetes: nodes are machines of EC2, which a program of the lab stands for, and pods have
                      addresses of their network interfaces (4 pods on each node unless --pods says otherwise)
  --set KEY=VALUE     any key of the daemon's configuration, such as routing.mode=overlay; repeatable
  --daemon FILE       a program in the daemon's place, such as test/support/reference-daemon.ts
  --name NAME         several labs side by side (lab)
  --json              one JSON object a row (check, load) or a node (status)
`

const VERBS = ['default', 'up', 'check', 'load', 'status', 'pods', 'exec', 'down', 'help'] as const
export type Verb = (typeof VERBS)[number]

export interface Arguments {
  readonly verb: Verb
  readonly name: string
  readonly json: boolean
  /** What the lab shall be built with; undefined when nothing was said, so that a lab that is up is taken as it is. */
  readonly asked: LabOptions | undefined
  readonly options: LabOptions
  /** For `exec`. */
  readonly target: string
  readonly command: readonly string[]
}

const MAX_NODES = 200

/** Throws an Error for people when the arguments make no sense. */
export function parseArguments(argv: readonly string[]): Arguments {
  const end = argv.indexOf('--')
  const { values, positionals } = parseArgs({
    args: end < 0 ? [...argv] : argv.slice(0, end),
    allowPositionals: true,
    options: {
      nodes: { type: 'string' },
      pods: { type: 'string' },
      far: { type: 'string' },
      kubernetes: { type: 'boolean', default: false },
      bare: { type: 'boolean', default: false },
      cloud: { type: 'string' },
      set: { type: 'string', multiple: true },
      daemon: { type: 'string' },
      name: { type: 'string', default: 'lab' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const [verb = 'default', target = '', ...rest] = values.help ? ['help'] : positionals
  const nodes = whole('--nodes', values.nodes ?? '2', 1, MAX_NODES)
  const options = {
    nodes,
    pods: whole('--pods', values.pods ?? (values.cloud === undefined ? '2' : '4'), 1, MAX_NODES),
    set: values.set ?? [],
    ...(values.far === undefined ? {} : { far: whole('--far', values.far, 0, nodes) }),
    ...(values.kubernetes ? { kubernetes: true as const } : {}),
    ...(values.bare ? { bare: true as const } : {}),
    ...(values.cloud === undefined ? {} : { cloud: cloudOf(values.cloud) }),
    ...(values.daemon === undefined ? {} : { daemon: resolve(values.daemon) }),
  }
  const asked =
    values.kubernetes ||
    values.bare ||
    [values.nodes, values.pods, values.far, values.cloud, values.set, values.daemon].some(v => v !== undefined)
  const command = end < 0 ? rest : [...rest, ...argv.slice(end + 1)]
  if (values.bare && !values.kubernetes) throw new Error('--bare takes --kubernetes')
  if (values.cloud !== undefined && (!values.kubernetes || values.bare || values.far !== undefined))
    throw new Error('--cloud takes --kubernetes, and neither --bare nor --far')
  if (!isVerb(verb)) throw new Error(`no verb ${verb}; there are ${VERBS.slice(1).join(', ')}`)
  if (verb === 'exec' && (target === '' || command.length === 0)) throw new Error('exec takes NAME -- COMMAND')
  if (asked && verb !== 'default' && verb !== 'up')
    throw new Error(`${verb} takes a lab as it is, with no options of up`)
  if (verb !== 'exec' && (target !== '' || command.length > 0)) throw new Error(`${verb} takes no ${target || '--'}`)
  return {
    verb,
    name: labName(values.name),
    json: values.json,
    asked: asked ? options : undefined,
    options,
    target,
    command,
  }
}

function cloudOf(text: string): 'aws' {
  if (text === 'aws') return text
  throw new Error(`--cloud takes aws, not ${text}`)
}

function isVerb(text: string): text is Verb {
  return (VERBS as readonly string[]).includes(text)
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = text === '' ? Number.NaN : Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new Error(`${option} takes a number from ${least} to ${most}, not ${text}`)
}
