/** The screen of these examples: lines on the terminal. */
export const say = (line: string) => void process.stdout.write(`${line}\n`)

/** Something to wait for: call it when it happens. */
function moment() {
  let resolve = () => {}
  const happened = new Promise<void>((done) => (resolve = done))
  return Object.assign(() => resolve(), { happened })
}

export const caughtUp = moment()
const drawn = moment()
let awaited: string | undefined
let shown: string[] = []

/** Says that something came which the screen has to show. */
export function arrived(title: string) {
  awaited = title
  if (shown.includes(title)) drawn()
}
arrived.andShown = drawn.happened

/** Draws the screen, if anything on it has changed. */
export function show(titles: string[]) {
  if (titles.join() !== shown.join()) say([`${titles.length} documents`, ...titles].join('\n  '))
  shown = titles
  if (awaited !== undefined && titles.includes(awaited)) drawn()
}
