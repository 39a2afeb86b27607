/** `causeway version`: what this executable is, and what the daemon that runs is. */
import type { Status } from '../../api/status.ts'
import { buildInfo } from '../../observe/build.ts'
import { DaemonUnreachable } from '../client.ts'
import { type CommandContext, type CommandSpec, clientOptions, formatOption } from '../command.ts'
import { print } from '../output.ts'

export const version: CommandSpec = {
  name: 'version',
  summary: 'Show the version of the command and of the running daemon.',
  options: { ...formatOption, ...clientOptions },
  async run(context) {
    const { version: command } = buildInfo()
    const running = await daemonVersion(context)
    const value = running === undefined ? { command } : { command, daemon: running }
    print(context, value, () => `command ${command}\ndaemon  ${running ?? 'does not answer'}\n`)
    return 0
  },
}

async function daemonVersion(context: CommandContext): Promise<string | undefined> {
  try {
    return (await context.client().json<Status>('/v1/status')).build.version
  } catch (error) {
    if (error instanceof DaemonUnreachable) return undefined
    throw error
  }
}
