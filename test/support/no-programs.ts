/** Programs of the command line for tests: none is run unless the test gives its own. */
import type { Programs } from '../../daemon/cli/programs.ts'

const refuse = (): Promise<never> => Promise.reject(new Error('is not run here'))

export const noPrograms: Programs = {
  plugins: () => Promise.resolve([]),
  checkPlugins: () => Promise.resolve(),
  runDaemon: refuse,
  runOperator: refuse,
  preflight: refuse,
  installedDefinitions: refuse,
  install: refuse,
  mountOnNode: refuse,
  uninstall: refuse,
  simulate: refuse,
  permissions: refuse,
}
