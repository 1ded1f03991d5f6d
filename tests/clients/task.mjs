// What a test asks for, on the command line as JSON, and what is told to it: lines of JSON.
export const task = JSON.parse(process.argv[2])
export const say = (line) => process.stdout.write(JSON.stringify(line) + '\n')
export const authorization = { Authorization: `Bearer ${task.token}` }

// Resolves when the test says that it is enough.
export const enough = new Promise((resolve) => process.stdin.once('data', resolve))

export const describe = (error) => ({
  message: error?.message,
  code: error?.code,
  errors: Array.isArray(error) ? error : error?.errors ?? error?.graphQLErrors,
})

// The cursor that was seen last, wherever the event is in the result.
export const cursorOf = (result) => {
  const event = Object.values(result?.data ?? {})[0]
  return event?.cursor
}
