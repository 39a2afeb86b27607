/** Types of machine.mjs, which is plain JavaScript because set-up runs it on Node 20. */
export function checkDisk(path: string): void
