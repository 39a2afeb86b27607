export function compileCni(options: {
  readonly root: string
  readonly force?: boolean
}): Promise<{ readonly binary: string; readonly built: boolean }>
