/** Types of compile-daemon.mjs, which is plain JavaScript because set-up runs it on Node 20. */
export function compileDaemon(options: { readonly root: string; readonly force?: boolean }): Promise<boolean>
