/**
 * Fills a table by copies of its own rows under other keys and subjects, for which a million calls of the store would take
 * too long. Knows of the table nothing but `key` and `subject`.
 */
export const multiply = {
  async postgres(url, size, target) {
    const { default: pg } = await import('pg')
    const pool = new pg.Pool({ connectionString: url, max: 1 })
    const { rows } = await pool.query(
      `SELECT column_name AS name FROM information_schema.columns
       WHERE table_name = 'bench_sessions' AND is_generated = 'NEVER' ORDER BY ordinal_position`,
    )
    const names = rows.map(({ name }) => name)
    const hashed = name => `encode(sha256(convert_to(${name} || $1, 'UTF8')), 'hex')`
    const values = names.map(name => (name === 'key' || name === 'subject' ? hashed(name) : name))
    const copy = `INSERT INTO bench_sessions (${names}) SELECT ${values} FROM bench_sessions ORDER BY key LIMIT $2`
    for (let step = 0; size < target; step++) {
      const { rowCount } = await pool.query(copy, [` ${size} ${step}`, target - size])
      size += rowCount
    }
    await pool.end()
  },

  async mysql(url, size, target) {
    const { createConnection } = await import('mysql2/promise')
    const connection = await createConnection(url)
    const [rows] = await connection.query(
      `SELECT column_name AS name FROM information_schema.columns
       WHERE table_schema = DATABASE() AND table_name = 'bench_sessions' AND generation_expression IN ('', 'NULL')
         OR table_schema = DATABASE() AND table_name = 'bench_sessions' AND generation_expression IS NULL
       ORDER BY ordinal_position`,
    )
    const names = rows.map(({ name }) => `\`${name}\``)
    const salt = step => connection.escape(` ${size} ${step}`)
    for (let step = 0; size < target; step++) {
      const hashed = name => `SHA2(CONCAT(${name}, ${salt(step)}), 256)`
      const values = names.map(name => (name === '`key`' || name === '`subject`' ? hashed(name) : name))
      const [{ affectedRows }] = await connection.query(
        `INSERT INTO bench_sessions (${names}) SELECT ${values} FROM bench_sessions ORDER BY \`key\` LIMIT ${target - size}`,
      )
      size += affectedRows
    }
    await connection.end()
  },
}
