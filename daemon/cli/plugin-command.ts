/** Commands of plugins, which the daemon runs: `causeway [OPTION]… NAME [ARGUMENT]…`, what follows the name is theirs. */
import type { CommandInfo, CommandLine } from '../api/plugin-commands.ts'
import { CausewayError } from '../errors.ts'
import type { ApiClient } from './client.ts'

/** Help and completion do not wait longer for a daemon that hangs. */
const LIST_MS = 1000

/** The commands of the plugins that run; none when the daemon cannot be asked, whatever keeps it. */
export async function listPluginCommands(client: (answerMs: number) => ApiClient): Promise<readonly CommandInfo[]> {
  try {
    return await client(LIST_MS).json<CommandInfo[]>('/v1/commands')
  } catch {
    // Whoever asks for help has enough trouble: it comes without what only the daemon knows.
    return []
  }
}

/** Exit status of the command; throws what it threw, by its message. */
export async function runPluginCommand(
  client: ApiClient,
  name: string,
  args: readonly string[],
  out: (text: string) => void,
): Promise<number> {
  for await (const line of client.lines<CommandLine>(`/v1/commands/${encodeURIComponent(name)}`, { args })) {
    if ('out' in line) out(line.out)
    else if ('status' in line) return line.status
    else throw new CausewayError('PLUGIN_COMMAND', line.error)
  }
  throw new CausewayError('PLUGIN_COMMAND', `${name} was cut off: the daemon has stopped or hung up`)
}
