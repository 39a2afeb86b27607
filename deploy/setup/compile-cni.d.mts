export interface Toolchain {
  readonly compiler: readonly string[]
  readonly objcopy: string
  readonly runner: readonly string[]
  readonly mujs: string
  readonly env: Readonly<Record<string, string>>
}
export function compileCni(options: {
  readonly root: string
  readonly force?: boolean
  readonly out?: string
  readonly toolchain?: Toolchain
}): Promise<{ readonly binary: string; readonly built: boolean }>
