/** Types of compile-bpf.mjs, which is plain JavaScript because set-up runs it on Node 20. */
export function compileBpf(options: { readonly root: string; readonly force?: boolean }): Promise<string[]>
interface Unit {
  readonly root: string
  readonly source: string
  readonly output: string
}
export function compileObject(unit: Unit): Promise<void>
export function compileIfStale(unit: Unit): Promise<void>
export function keepObject(unit: Omit<Unit, 'output'>): Promise<string>
