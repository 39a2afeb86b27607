import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Router } from '../api/router.ts'
import { serveApi } from '../api/server.ts'
import { claimSocket } from '../api/socket.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { ApiClient, daemonAt } from './client.ts'

test('a daemon that takes requests and never answers is as good as none', async () => {
  const runDirectory = mkdtempSync(join(tmpdir(), 'cw-client-'))
  const router = new Router().add('GET', '/v1/health', () => new Promise<never>(() => {}))
  using claim = claimSocket(runDirectory)
  const server = await serveApi(claim, router, new FakeLog(), 0)
  try {
    const client = new ApiClient(daemonAt(server.address), new AbortController().signal, 50)
    await assert.rejects(client.get('/v1/health'), {
      code: 'DAEMON_UNREACHABLE',
      message: `no daemon answers at ${server.address}: it accepts requests and has answered none for 0.05 s; look at its log, or restart it`,
    })
  } finally {
    await server[Symbol.asyncDispose]()
    rmSync(runDirectory, { recursive: true })
  }
})
