// guardctl's outputs: quiet where the reader has gone, coloured only where somebody looks.

export interface Terminal {
  /** Standard output is a terminal. */
  isTty: boolean
  /** Colours are wanted: a terminal, and no NO_COLOR (no-color.org). */
  hasColour: boolean
  /** False once the reader of our output has left (`| head`). */
  isOpen(): boolean
  /** Writes bytes or text as they are; resolves when more may come. */
  write(data: Buffer | string): Promise<void>
  /** One line. */
  print(line: string): void
  printJson(value: unknown): void
  /** One line on stderr. */
  note(line: string): void
  /** Calls back when the reader leaves. */
  onGone(callback: () => void): void
}

export function openTerminal(): Terminal {
  const { stdout, stderr } = process
  let open = true
  const callbacks: (() => void)[] = []
  stdout.on('error', error => {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
    open = false
    for (const callback of callbacks) callback()
  })
  stderr.on('error', error => {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
  })
  const write = (data: Buffer | string): Promise<void> => {
    if (!open) return Promise.resolve()
    return new Promise(resolve => stdout.write(data, () => resolve()))
  }
  return {
    isTty: stdout.isTTY === true,
    hasColour: stdout.isTTY === true && !process.env.NO_COLOR,
    isOpen: () => open,
    write,
    print: line => void write(`${line}\n`),
    printJson: value => void write(`${JSON.stringify(value, null, 2)}\n`),
    note: line => void stderr.write(`${line}\n`),
    onGone: callback => void callbacks.push(callback),
  }
}
