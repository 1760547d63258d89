// `guardctl check`: every problem of a configuration file, without a daemon.
import { type Verb, wrongUsage } from './call.js'
import { configFile } from './locate.js'

const HAS_PROBLEMS = 2

export const check: Verb = async call => {
  const [word, more] = call.line.words
  if (more !== undefined) throw wrongUsage('check', 'check takes one file', 2)
  const file = configFile(word ?? call.line.configFile, process.cwd())
  // The only command that needs the loader (and zod with it): the others must not pay for loading it.
  const { readConfig } = await import('../../host/config.js')
  const loaded = readConfig(file, process.env)
  if ('problems' in loaded) {
    const { problems } = loaded
    if (call.line.json) call.terminal.printJson({ problems })
    else for (const problem of problems) call.terminal.print(problem.text)
    return HAS_PROBLEMS
  }
  const { instances, routes, files } = loaded.config
  if (call.line.json) call.terminal.printJson({ problems: [] })
  else
    call.terminal.print(
      `${file}: good (${counted(files.length, 'file')}, ${counted(instances.length, 'instance')}, ${counted(routes.length, 'route')})`,
    )
  return 0
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}
