// Exercises node-postgres and prints a JSON report; ../README.md says what is in it.
'use strict'

const crypto = require('node:crypto')
const fs = require('node:fs')
const pg = require('pg')
const Cursor = require('pg-cursor')

const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, PGSSLROOTCERT, HEADGATE_CLIENT_MB } = process.env

// Times are compared as the server wrote them.
for (const oid of [1082, 1114, 1184]) pg.types.setTypeParser(oid, (text) => text)

function options(more) {
  const ssl = PGSSLMODE === 'verify-full' ? { ca: fs.readFileSync(PGSSLROOTCERT, 'utf8') } : false
  return {
    host: PGHOST,
    port: Number(PGPORT),
    user: PGUSER,
    password: PGPASSWORD,
    database: PGDATABASE,
    application_name: 'client-node',
    ssl,
    ...more,
  }
}

function describe(err) {
  const { code, severity, message, detail, hint, position, constraint, table } = err
  return { code, severity, message, detail, hint, position, constraint, table }
}

const shape = (result) => ({
  command: result.command,
  count: result.rowCount,
  fields: result.fields.map((f) => [f.name, f.dataTypeID]),
  rows: result.rows,
})

const run = async (client, ...args) => shape(await client.query(...args))

// refused returns how a query failed; one that succeeds is a failure of the step.
async function refused(client, ...args) {
  try {
    await client.query(...args)
  } catch (err) {
    return describe(err)
  }
  throw new Error(`no error from ${JSON.stringify(args)}`)
}

const insert = 'INSERT INTO client_rows VALUES ($1, $2, $3)'
const count = async (client, step) =>
  (await client.query('SELECT count(*)::int AS n FROM client_rows WHERE step = $1', [step])).rows[0].n
const clear = (client, step) => client.query('DELETE FROM client_rows WHERE step = $1', [step])

const steps = {
  async simple(client) {
    const several = await client.query('SELECT 1 AS a; SELECT 2 AS b, NULL AS c; SELECT id FROM client_people ORDER BY id')
    return {
      one: await run(client, "SELECT 'x' AS text, 1.50 AS num, true AS yes"),
      several: several.map(shape),
      table: await run(client, 'SELECT * FROM client_people ORDER BY id'),
      alias: await run(client, 'SELECT p.email AS contact FROM client_people AS p ORDER BY p.id'),
      none: (await client.query('-- nothing')).rows,
      empty: await run(client, 'SELECT id FROM client_people WHERE false'),
    }
  },

  async types(client) {
    return run(
      client,
      `SELECT $1::int2 AS i2, $2::int8 AS i8, $3::float8 AS f8, $4::numeric AS num, $5::bool AS b, $6::text AS t,
        $7::bytea AS raw, $8::date AS d, $9::timestamptz AS tz, $10::jsonb AS j, $11::uuid AS u, $12::text[] AS list,
        $13::interval AS span, $14::inet AS addr, $15::text AS missing`,
      [
        7, '9007199254740993', 0.1, '123456789.000000001', true, "it's ünïcode \\", Buffer.from([0, 1, 255]), '2024-02-29',
        '2024-02-29T12:00:00Z', { a: [1, null, 'b'] }, '6d9f0f9e-5f0b-4e0f-9d0a-0f1e2d3c4b5a', ['a', null, 'c,"d'],
        '1 day 02:03:04', '10.0.0.1/8', null,
      ]
    )
  },

  async prepared(client) {
    const person = { name: 'person', text: 'SELECT name, email FROM client_people WHERE id = $1' }
    const total = { name: 'total', text: 'SELECT $1::int + $2::int AS sum' }
    const out = []
    for (let id = 1; id <= 3; id++) {
      out.push(await run(client, { ...person, values: [id] }))
      out.push(await run(client, { ...total, values: [id, 40] }))
      out.push(await run(client, 'SELECT 1 AS between'))
    }
    const broken = await refused(client, { ...total, values: ['x', 1] })
    out.push(await run(client, { ...person, values: [4] }))
    return { out, broken }
  },

  async binary(client) {
    return run(client, {
      text: 'SELECT id, name, email, score::float8, tags FROM client_people WHERE id > $1 ORDER BY id',
      values: [0],
      binary: true,
    })
  },

  async transaction(client) {
    await clear(client, 'node-tx')
    const counts = []
    const at = async () => counts.push(await count(client, 'node-tx'))
    await client.query('BEGIN')
    await client.query(insert, [101, 'node-tx', 'kept'])
    await client.query('SAVEPOINT s')
    await client.query(insert, [102, 'node-tx', 'lost'])
    await at()
    await client.query('ROLLBACK TO SAVEPOINT s')
    await at()
    await client.query('COMMIT')
    await client.query('BEGIN')
    await client.query('UPDATE client_rows SET note = $1 WHERE step = $2', ['changed', 'node-tx'])
    await client.query('ROLLBACK')
    await at()
    const left = await run(client, "SELECT id, note FROM client_rows WHERE step = 'node-tx'")
    await clear(client, 'node-tx')
    return { counts, left }
  },

  async errors(client) {
    await clear(client, 'node-err')
    await client.query(insert, [201, 'node-err', ''])
    const out = {
      syntax: await refused(client, 'SELEC 1'),
      table: await refused(client, 'SELECT * FROM no_such_table'),
      column: await refused(client, 'SELECT nope FROM client_people WHERE id = $1', [1]),
      division: await refused(client, 'SELECT 1 / $1::int', [0]),
      unique: await refused(client, insert, [201, 'node-err', '']),
      second: await refused(client, 'SELECT 1; SELECT 1/0; SELECT 2'),
    }
    await client.query('BEGIN')
    await refused(client, 'SELECT 1/0')
    out.inFailed = await refused(client, 'SELECT 1')
    out.end = (await client.query('COMMIT')).command
    out.after = await run(client, 'SELECT 1 AS alive')
    await clear(client, 'node-err')
    return out
  },

  async notice(client) {
    const notices = []
    client.on('notice', (n) => notices.push({ ...describe(n), message: n.message }))
    const result = await run(client, 'SELECT client_notice($1)', ['hello'])
    await client.query('ROLLBACK')
    return { notices, result }
  },

  async portal(client) {
    const text = 'SELECT i, i * i AS square FROM generate_series(1, $1::int) AS i'
    const batches = []
    const cursor = client.query(new Cursor(text, [10]))
    for (let rows = await cursor.read(4); rows.length > 0; rows = await cursor.read(4)) batches.push(rows)
    await cursor.close()
    const early = client.query(new Cursor(text, [1000]))
    const first = await early.read(2)
    await early.close()
    return { batches, first, after: await run(client, 'SELECT 1 AS alive') }
  },

  async pipeline() {
    return connected(options({ pipeline: true }), async (client) => {
      await clear(client, 'node-pipe')
      const answers = await Promise.allSettled([
        client.query(insert, [301, 'node-pipe', 'a']),
        client.query('SELECT $1::int AS n', [1]),
        client.query({ name: 'again', text: 'SELECT $1::int AS n', values: [2] }),
        client.query('SELECT 1 / $1::int', [0]),
        client.query(insert, [302, 'node-pipe', 'b']),
        client.query({ name: 'again', text: 'SELECT $1::int AS n', values: [3] }),
      ])
      const out = answers.map((a) => (a.status === 'fulfilled' ? shape(a.value) : describe(a.reason)))
      const kept = await count(client, 'node-pipe')
      await clear(client, 'node-pipe')
      return { out, kept }
    })
  },

  async cancel(client) {
    const query = new pg.Query('SELECT pg_sleep(60)')
    const ended = new Promise((done, fail) => {
      query.once('end', () => fail(new Error('the sleep was not cancelled')))
      query.once('error', (err) => done(describe(err)))
    })
    ended.catch(() => {}) // awaited below, after what may fail first
    client.query(query)
    await connected(options(), (watcher) => asleep(watcher))
    await cancelRequest(client, query)
    return { error: await ended, after: await run(client, 'SELECT 1 AS alive') }
  },

  async large(client) {
    const rows = Number(HEADGATE_CLIENT_MB || 8) * 2000
    const text = "SELECT i, repeat(chr(97 + i % 26), 500) AS filler FROM generate_series(1, $1::int) AS i"
    const cursor = client.query(new Cursor(text, [rows]))
    const hash = crypto.createHash('sha256')
    let seen = 0
    for (let batch = await cursor.read(1000); batch.length > 0; batch = await cursor.read(1000)) {
      for (const row of batch) hash.update(`${row.i}:${row.filler}\n`)
      seen += batch.length
    }
    await cursor.close()
    return { seen, hash: hash.digest('hex') }
  },

  async parallel() {
    const pool = new pg.Pool(options({ max: 5 }))
    try {
      const all = Array.from({ length: 50 }, (_, i) => pool.query('SELECT $1::int AS n, pg_backend_pid() > 0 AS real', [i]))
      return (await Promise.all(all)).map((r) => r.rows[0])
    } finally {
      await pool.end()
    }
  },
}

// asleep returns when a connection of this program runs pg_sleep.
async function asleep(watcher) {
  const text = `SELECT count(*)::int AS n FROM pg_stat_activity
    WHERE wait_event = 'PgSleep' AND datname = current_database() AND application_name = 'client-node'`
  for (const end = Date.now() + 20000; Date.now() < end; ) {
    if ((await watcher.query(text)).rows[0].n === 1) return
    await new Promise((next) => setTimeout(next, 20))
  }
  throw new Error('the query never slept')
}

// cancelRequest cancels client's query in the driver's own way, which doesn't use TLS even where the client does, and
// returns when the server has hung up.
function cancelRequest(client, query) {
  const canceller = new pg.Client(options())
  return new Promise((done, fail) => {
    canceller.connection.once('end', done)
    canceller.connection.once('error', fail)
    canceller.cancel(client, query)
  })
}

async function connected(opts, use) {
  const client = new pg.Client(opts)
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

async function main() {
  const report = { client: `node-postgres ${require('pg/package.json').version}`, steps: {} }
  for (const [name, step] of Object.entries(steps)) {
    try {
      report.steps[name] = await connected(options(), step)
    } catch (err) {
      report.steps[name] = { error: describe(err) }
    }
  }
  console.log(JSON.stringify(report, null, 1))
}

main()
