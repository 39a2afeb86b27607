/** What a frontend's Maglev table is made from: named alike by who writes the table and by who explains it. */
import type { FrontendRow } from '../state/service-rows.ts'
import type { Candidate } from './maglev.ts'

/** In the order of the slots. */
export function tableCandidates({ backends }: Pick<FrontendRow, 'backends'>): Candidate[] {
  return backends.map(({ address, port, weight }) => ({ name: `${address} ${port}`, weight }))
}
