// Runs a prepared statement eight times by node-postgres and prints what came: one line for each run, "name plain".
const { Client } = require('pg');

async function main() {
  const client = new Client();
  await client.connect();
  for (let i = 0; i < 8; i++) {
    const { rows } = await client.query({ name: 'once', text: 'SELECT name, plain FROM items WHERE id = $1', values: [1] });
    console.log(rows[0].name, rows[0].plain);
  }
  await client.end();
}

main().catch((err) => { console.error(err); process.exit(1); });
