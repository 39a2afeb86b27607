/** The command line of the set-up. */
import { SetupError } from './setup-error.mjs'

/** Everything up to `--run FILE` is ours, everything after it belongs to FILE. Throws SetupError for an unknown argument. */
export function parseArguments(argv) {
  const at = argv.indexOf('--run')
  const own = at < 0 ? argv : argv.slice(0, at)
  const unknown = own.find(a => !['--tests', '--vm', '--build', '--any-kernel', '--force'].includes(a))
  if (unknown) throw new SetupError(`unknown argument ${unknown}`, 'see the head of deploy/setup/setup.mjs')
  if (at >= 0 && argv[at + 1] === undefined) throw new SetupError('--run needs a file', 'name it after --run')
  const tests = own.includes('--tests')
  const rest = at < 0 ? [] : argv.slice(at + 2)
  return {
    tests,
    kubernetes: tests || rest.includes('--kubernetes'),
    vm: own.includes('--vm'),
    packages: !own.includes('--build'),
    anyKernel: own.includes('--any-kernel'),
    force: own.includes('--force'),
    file: at < 0 ? undefined : argv[at + 1],
    rest,
  }
}
