import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger, type LogLevel, type RootLogger } from './log.ts'

function record(level: LogLevel, use: (log: RootLogger) => void): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = []
  use(createLogger(level, { write: line => void lines.push(JSON.parse(line) as Record<string, unknown>) }))
  return lines.map(({ time, ...rest }) => (assert.match(String(time), /^\d{4}-\d\d-\d\dT.*Z$/), rest))
}

test('a line is one JSON object with level, part, fields and message', () => {
  const lines = record('debug', log => {
    log.info({ port: 1 }, 'started')
    log.child('cluster').child('directory').warn({ file: 'a.yaml' }, 'bad file')
  })
  assert.deepEqual(lines, [
    { level: 'info', port: 1, message: 'started' },
    { level: 'warn', part: 'cluster/directory', file: 'a.yaml', message: 'bad file' },
  ])
})

test('lines below the level are left out', () => {
  assert.deepEqual(
    record('warn', log => (log.info({}, 'a'), log.error({}, 'b'))),
    [{ level: 'error', message: 'b' }],
  )
})

test('what an error gathers, and what it suppresses, is written too', () => {
  const gathered = new AggregateError([new Error('a')], 'several')
  const [line] = record('info', log =>
    log.error({ error: new SuppressedError(gathered, new Error('first'), 'two') }, 'failed'),
  )
  const error = line?.error as { suppressed: { message: string }; error: { errors: { message: string }[] } }
  assert.deepEqual([error.suppressed.message, error.error.errors.map(e => e.message)], ['first', ['a']])
})

test('an error is written with code, stack and causes', () => {
  const cause = Object.assign(new Error('inner'), { code: 'EPERM' })
  const [line] = record('info', log => log.error({ error: new TypeError('outer', { cause }) }, 'failed'))
  const error = line?.error as { name: string; message: string; stack: string; cause: { code: string } }
  assert.deepEqual([error.name, error.message, error.cause.code], ['TypeError', 'outer', 'EPERM'])
  assert.match(error.stack, /log\.test/)
})
