// Writes numbered lines to a log and rotates it as guard-shim does: by rename at line ends, log → log.1 → …; 0 backups truncate.
import { closeSync, ftruncateSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

export interface Rotation {
  path: string
  maxBytes: number
  backups: number
}

export class RotatingWriter {
  private fd: number
  private size = 0
  rotations = 0
  private readonly rotation: Rotation

  constructor(rotation: Rotation) {
    this.rotation = rotation
    this.fd = openSync(rotation.path, 'a')
  }

  /** Whole lines. */
  write(bytes: Buffer | string): void {
    const data = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    if (this.size > 0 && this.size + data.length > this.rotation.maxBytes) this.rotate()
    writeSync(this.fd, data)
    this.size += data.length
  }

  rotate(): void {
    const { path, backups } = this.rotation
    this.rotations += 1
    this.size = 0
    if (backups === 0) ftruncateSync(this.fd, 0)
    else this.renameAll(path, backups)
  }

  private renameAll(path: string, backups: number): void {
    rmSync(`${path}.${backups}`, { force: true })
    for (let number = backups - 1; number >= 1; number--) moveIfThere(`${path}.${number}`, `${path}.${number + 1}`)
    renameSync(path, `${path}.1`)
    closeSync(this.fd)
    this.fd = openSync(path, 'a')
  }

  close(): void {
    closeSync(this.fd)
  }
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
