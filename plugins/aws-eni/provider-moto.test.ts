/** The provider against moto, which takes the SDK's requests apart on its own: where it is installed. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { CLASS, CREDENTIALS } from './testdata/ec2.ts'
import { AwsProvider } from './provider.ts'

const signal = AbortSignal.timeout(60_000)
const missing = spawnSync('moto_server', ['--help']).status === 0 ? false : 'moto_server is not installed'

test('an interface goes all its way in moto: made, attached, with addresses, detached, deleted', {
  skip: missing,
}, async () => {
  Object.assign(process.env, CREDENTIALS)
  await using moto = await startMoto()
  const { machine, subnet } = await makeMachine(moto.url)
  const provider = new AwsProvider({
    cluster: 'c1',
    region: 'eu-west-1',
    classes: [CLASS],
    classOf: () => CLASS,
    endpoint: moto.url,
  })
  const of = { node: 'n1', id: machine, type: 'm5.large', zone: 'eu-west-1a' }
  const call = (what: Parameters<AwsProvider['call']>[1]) => provider.call(of, what, signal)
  try {
    assert.equal((await provider.limits(of, signal)).slots, 9)
    const [first] = (await call({ kind: 'observe' })).nics
    assert.deepEqual([first?.index, first?.machine, first?.forPods], [0, machine, true])

    const assigned = await call({ kind: 'assign', nic: first?.id ?? '', length: 32, family: 4, count: 2 })
    assert.equal(assigned.nics[0]?.blocks.length, 2, 'without its own address, which moto shows, too')
    await call({ kind: 'release', nic: first?.id ?? '', blocks: assigned.nics[0]?.blocks.slice(0, 1) ?? [] })

    const made = await call({ kind: 'create', token: 't1', subnet, length: 32, count: 3 })
    const nic = made.nics[0]?.id ?? ''
    assert.equal(made.nics[0]?.blocks.length, 3)
    await call({ kind: 'attach', nic, index: 1, token: 't1' })
    await call({ kind: 'protect', nic })
    const swept = await provider.sweep([of], signal)
    const shown = swept.nics.find(({ id }) => id === nic)
    assert.deepEqual([shown?.machine, shown?.index, shown?.token, shown?.node], [machine, 1, 't1', 'n1'])
    assert.equal(swept.subnets.find(({ id }) => id === subnet)?.forNics, true)
    assert.equal(swept.nics.find(({ index }) => index === 0)?.blocks.length, 1)
    await call({ kind: 'detach', nic })
    await call({ kind: 'delete', nic })
    await assert.rejects(call({ kind: 'delete', nic }), { kind: 'gone' })
  } finally {
    await provider.close()
  }
})

async function startMoto(): Promise<AsyncDisposable & { readonly url: string }> {
  const port = await freePort()
  const server = spawn('moto_server', ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore', detached: true })
  const url = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    // A shim may have started the server as a child of its own.
    if (server.pid !== undefined && server.exitCode === null) process.kill(-server.pid, 'SIGKILL')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }
  try {
    for (;;) {
      signal.throwIfAborted()
      if (
        await fetch(url).then(
          response => response.ok || true,
          () => false,
        )
      )
        break
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  } catch (error) {
    await stop()
    throw error
  }
  return { url, [Symbol.asyncDispose]: stop }
}

async function makeMachine(endpoint: string): Promise<{ readonly machine: string; readonly subnet: string }> {
  const { EC2Client, DescribeImagesCommand, DescribeSubnetsCommand, RunInstancesCommand } = await import(
    '@aws-sdk/client-ec2'
  )
  const client = new EC2Client({ region: 'eu-west-1', endpoint, maxAttempts: 1 })
  try {
    const [image] = (await client.send(new DescribeImagesCommand({}))).Images ?? []
    const [subnet] = (await client.send(new DescribeSubnetsCommand({}))).Subnets ?? []
    assert.ok(image?.ImageId !== undefined && subnet?.SubnetId !== undefined)
    const run = new RunInstancesCommand({
      ImageId: image.ImageId,
      InstanceType: 'm5.large',
      MinCount: 1,
      MaxCount: 1,
      SubnetId: subnet.SubnetId,
    })
    const [machine] = (await client.send(run)).Instances ?? []
    assert.ok(machine?.InstanceId !== undefined)
    return { machine: machine.InstanceId, subnet: subnet.SubnetId }
  } finally {
    client.destroy()
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
