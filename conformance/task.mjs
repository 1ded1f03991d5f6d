// What a script is asked to do, and how it tells what came of it: one line of JSON on each side.
export const task = JSON.parse(process.argv[2])
export const authorization = task.token ? { Authorization: `Bearer ${task.token}` } : {}

export function say(value) {
  process.stdout.write(JSON.stringify(value) + '\n')
}

/** Runs named checks one after the other; each fails by throwing, or by being too slow. */
export async function run(checks) {
  const results = []
  for (const [name, check] of Object.entries(checks)) {
    let timer
    const tooSlow = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('no answer within 20 s')), 20_000)
    })
    try {
      await Promise.race([check(), tooSlow])
      results.push({ name, passed: true })
    } catch (error) {
      results.push({ name, passed: false, reason: String(error?.message ?? error) })
    } finally {
      clearTimeout(timer)
    }
  }
  say({ results })
  process.exit(0)
}
