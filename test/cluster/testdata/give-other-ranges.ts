/**
 * `give-other-ranges.ts URL STATE NODE RANGE…`: makes the NodeNetwork of a node anew with other ranges, as if somebody had
 * deleted it without draining the node. Runs where the API server is.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ApiClient } from '../../../deploy/lab/api-server/client.ts'
import { textAt } from '../../../deploy/lab/api-server/objects/json.ts'

const NETWORKS = '/apis/causeway.dev/v1alpha1/nodenetworks'
const [url = '', state = '', name = '', ...podCidrs] = process.argv.slice(2)
const read = (file: string): string => readFileSync(join(state, file), 'utf8')

await using admin = new ApiClient({ url, ca: read('ca.crt'), token: read('admin-token').trim() })
const node = await admin.get(`/api/v1/nodes/${name}`)
const owner = { apiVersion: 'v1', kind: 'Node', name, uid: textAt(node.json, 'metadata', 'uid') }
const network = {
  apiVersion: 'causeway.dev/v1alpha1',
  kind: 'NodeNetwork',
  metadata: { name, ownerReferences: [owner] },
  spec: { pool: 'lab', podCidrs },
}
// The operator makes one as well when it sees that there is none; whoever is first counts.
for (let status = 0; status !== 201; ) {
  await admin.delete(`${NETWORKS}/${name}`)
  const answer = await admin.create(NETWORKS, network)
  if (answer.status !== 201 && answer.status !== 409) throw new Error(answer.text)
  status = answer.status
}
