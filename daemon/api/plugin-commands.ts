/**
 * Commands of plugins: they live in the daemon, which has the plugins' state, and are called by the command line.
 * `GET /v1/commands` lists them; `POST /v1/commands/NAME` with `{"args": […]}` runs one and answers in lines, each
 * `{"out": TEXT}`, the last one `{"status": N}` or `{"error": TEXT}`.
 */
import { addAbortSignal, PassThrough } from 'node:stream'
import { messageOf } from '../errors.ts'
import type { Command } from '../plugin.ts'
import type { Filled, Slots } from '../slots.ts'
import { ApiError, type ApiRequest, type Router } from './router.ts'

/** A command as the list has it. */
export interface CommandInfo {
  readonly plugin: string
  readonly name: string
  readonly summary: string
}
export type CommandLine = { readonly out: string } | { readonly status: number } | { readonly error: string }

export function addCommandRoutes(router: Router, commands: Slots['commands']): Router {
  return router
    .add('GET', '/v1/commands', () => ({ json: [...commands.values()].map(info) }))
    .add('POST', '/v1/commands/:name', request => {
      const command = commands.get(request.params.name ?? '')
      if (!command) throw new ApiError(404, 'NO_COMMAND', `no plugin has a command ${request.params.name}`)
      return { lines: run(command.part, argumentsOf(request), request.signal) }
    })
}

function info({ plugin, part }: Filled<Command>): CommandInfo {
  return { plugin, name: part.name, summary: part.summary }
}

function argumentsOf({ body }: ApiRequest): readonly string[] {
  const args: unknown = typeof body === 'object' && body !== null && 'args' in body ? body.args : undefined
  if (Array.isArray(args) && args.every(arg => typeof arg === 'string')) return args
  throw new ApiError(400, 'BAD_ARGS', 'args is missing or wrong; allowed: a list of texts')
}

async function* run(command: Command, args: readonly string[], signal: AbortSignal): AsyncGenerator<CommandLine> {
  const out = new PassThrough({ encoding: 'utf8' })
  const ended = (async () => await command.run(args, out, signal))()
  // What it has written is told first, whatever became of it.
  void ended.catch(() => undefined).finally(() => out.end())
  try {
    for await (const text of addAbortSignal(signal, out)) yield { out: String(text) }
    yield { status: await ended }
  } catch (error) {
    if (!signal.aborted) yield { error: messageOf(error) }
  }
}
