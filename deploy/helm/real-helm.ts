/** Where helm itself is, for the tests that compare with it. */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** The first in the PATH; undefined where there is none. */
export async function findHelm(): Promise<string | undefined> {
  const places = (process.env.PATH ?? '').split(delimiter).map(folder => join(folder, 'helm'))
  for (const place of places) if (await isExecutable(place)) return place
  return undefined
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
