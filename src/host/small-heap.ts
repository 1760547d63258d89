// Keeps the daemon's young generation at its first size; imported before everything else, since what has grown stays.
import { setFlagsFromString } from 'node:v8'

// A supervisor makes little garbage and lives long: measured with 50 programs 91 → 79 MB resident, with no more CPU when idle.
setFlagsFromString('--semi-space-growth-factor=1')
