/** `npm run lab`: a cluster of network namespaces on this machine, and its connectivity matrix. */
import { LinuxKernel } from '../../daemon/kernel/linux.ts'
import { warmThreadPool } from '../../daemon/kernel/netns/thread-pool.ts'
import { type Arguments, HELP, parseArguments } from './arguments.ts'
import { runMatrix } from './check.ts'
import { builtProject, PROBE } from './built.ts'
import { execIn } from './exec.ts'
import { canLoad, runLoad } from './load.ts'
import { matrix } from './matrix.ts'
import { removeLab } from './own.ts'
import { hasPods, type Lab, loadLab } from './state.ts'
import { labStatus, statusText } from './status.ts'
import { heading, jsonLine, line, loadHeading, loadLine } from './table.ts'
import { bringUp, startPods } from './up.ts'

const startedMs = performance.now()

/** Progress goes to standard error: standard output is for results. */
function say(text: string): void {
  process.stderr.write(`lab: ${text} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)\n`)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function present(name: string): Lab {
  const lab = loadLab(name)
  if (lab === undefined) throw new Error('the lab is not up; npm run lab -- up')
  return lab
}

/** How many have been started. */
function podsOf(lab: Lab): number {
  return hasPods(lab) ? lab.stations.filter(s => s.kind === 'pod').length : 0
}

async function up(args: Arguments, signal: AbortSignal): Promise<Lab> {
  await warmThreadPool()
  using kernel = new LinuxKernel()
  const options = args.asked ?? loadLab(args.name)?.options ?? args.options
  const lab = await bringUp(args.name, options, { kernel, built: builtProject(options.daemon), signal, say })
  say(`up: ${lab.nodes.length} nodes, ${podsOf(lab)} pods`)
  return lab
}

async function check(lab: Lab, json: boolean, signal: AbortSignal): Promise<number> {
  if (!hasPods(lab)) throw new Error('the lab has no pods yet: npm run lab -- pods')
  const rows = matrix(lab)
  say(`checking ${rows.length} rows`)
  const results = await runMatrix(lab, rows, PROBE, signal)
  if (!json) print(heading())
  for (const result of results) print(json ? jsonLine(result) : line(result))
  const failed = results.filter(r => !r.ok).length
  say(failed === 0 ? `all ${results.length} rows hold` : `${failed} of ${results.length} rows do not hold`)
  return failed === 0 ? 0 : 1
}

async function load(lab: Lab, json: boolean, signal: AbortSignal): Promise<number> {
  say('putting a service under load')
  if (!json) print(loadHeading())
  let [rows, failed] = [0, 0]
  for await (const row of runLoad(lab, { built: builtProject(lab.options.daemon), signal })) {
    print(json ? JSON.stringify(row) : loadLine(row))
    rows++
    if (!row.ok) failed++
  }
  say(failed === 0 ? `all ${rows} rows hold under load` : `${failed} of ${rows} rows do not hold under load`)
  return failed === 0 ? 0 : 1
}

/** The matrix, then the load where the lab can have one. */
async function checkAndLoad(lab: Lab, json: boolean, signal: AbortSignal): Promise<number> {
  const checked = await check(lab, json, signal)
  return canLoad(lab) ? Math.max(checked, await load(lab, json, signal)) : checked
}

async function pods(name: string, signal: AbortSignal): Promise<void> {
  await warmThreadPool()
  using kernel = new LinuxKernel()
  const lab = await startPods(name, { kernel, built: builtProject(), signal, say })
  say(`up: ${lab.nodes.length} nodes, ${podsOf(lab)} pods`)
}

async function down(name: string, signal: AbortSignal): Promise<number> {
  await removeLab(name, signal)
  say('down')
  return 0
}

async function status(lab: Lab, json: boolean, signal: AbortSignal): Promise<number> {
  const nodes = await labStatus(lab, signal)
  print(json ? nodes.map(n => JSON.stringify(n)).join('\n') : statusText(nodes))
  return nodes.every(n => n.health === 'ready') ? 0 : 1
}

/** The bare command: what a newcomer wants to see, and how to go on. */
async function demonstrate(args: Arguments, signal: AbortSignal): Promise<number> {
  const lab = await up(args, signal)
  if (!hasPods(lab)) {
    say(
      "it has nothing of the project yet: 'npm run lab -- exec control -- helm install …', then 'npm run lab -- pods'",
    )
    return 0
  }
  const result = await checkAndLoad(lab, args.json, signal)
  say("it stays up: 'npm run lab -- exec node1-a -- ip address', 'npm run lab -- down'; more with --help")
  return result
}

async function dispatch(args: Arguments, signal: AbortSignal): Promise<number> {
  switch (args.verb) {
    case 'default':
      return await demonstrate(args, signal)
    case 'up':
      await up(args, signal)
      return 0
    case 'check':
      return await check(present(args.name), args.json, signal)
    case 'load': {
      const lab = present(args.name)
      if (!canLoad(lab)) throw new Error('load takes a lab of three pods or more, with services of this project')
      return await load(lab, args.json, signal)
    }
    case 'status':
      return await status(present(args.name), args.json, signal)
    case 'pods':
      await pods(present(args.name).layout.name, signal)
      return 0
    case 'exec':
      return await execIn(present(args.name), args.target, args.command, signal)
    case 'down':
      return await down(args.name, signal)
    case 'help':
      print(HELP)
      return 0
  }
}

async function main(): Promise<number> {
  process.stdout.on('error', () => process.exit(1)) // the reader of a pipe went away
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => stop.abort(new Error(`interrupted by ${signal}`)))
  try {
    return await dispatch(parseArguments(process.argv.slice(2)), stop.signal)
  } catch (error) {
    const aborted = stop.signal.aborted
    say(
      aborted ? String((stop.signal.reason as Error).message) : error instanceof Error ? error.message : String(error),
    )
    return aborted ? 130 : 1
  }
}

process.exitCode = await main()
