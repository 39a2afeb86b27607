/** Every command, in the order of help. */
import type { CommandSpec } from './command.ts'
import { completionCommand } from './commands/completion.ts'
import { configCheck, configDocs, configPrint } from './commands/config.ts'
import { crds } from './commands/crds.ts'
import { daemon, operator } from './commands/daemon.ts'
import { flows } from './commands/flows.ts'
import { endpoints, nodes, pools } from './commands/lists.ts'
import { ipam } from './commands/ipam.ts'
import { ipamPermissions } from './commands/ipam-permissions.ts'
import { ipamSimulate } from './commands/ipam-simulate.ts'
import { mounts } from './commands/mounts.ts'
import { nat } from './commands/nat.ts'
import { install } from './commands/install.ts'
import { operatorStatus } from './commands/operator-status.ts'
import { preflight } from './commands/preflight.ts'
import { services } from './commands/services.ts'
import { servicesExplain } from './commands/services-explain.ts'
import { health, metrics, status, tables } from './commands/status.ts'
import { trace } from './commands/trace.ts'
import { uninstall } from './commands/uninstall.ts'
import { version } from './commands/version.ts'

export const commands: readonly CommandSpec[] = [
  daemon,
  operator,
  operatorStatus,
  status,
  health,
  endpoints,
  pools,
  ipam,
  ipamPermissions,
  ipamSimulate,
  nodes,
  services,
  servicesExplain,
  nat,
  flows,
  trace,
  tables,
  metrics,
  configPrint,
  configCheck,
  configDocs,
  crds,
  preflight,
  install,
  mounts,
  uninstall,
  version,
  completionCommand,
]
