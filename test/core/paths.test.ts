// The rules for where things live when nobody says.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultRunDir, isLocal, socketPath } from '../../src/core/paths.js'

test('the run directory is beside a local config, /run for root, $XDG_RUNTIME_DIR for others', () => {
  const rows: [file: string, isRoot: boolean, xdg: string | null, want: string][] = [
    ['/home/a/guard.yaml', false, '/run/user/7', '/home/a/.guard'],
    ['/home/a/guard.yaml', true, null, '/home/a/.guard'],
    ['/guard.yaml', true, null, '/.guard'],
    ['/etc/autodl-guard/guard.yaml', true, '/run/user/0', '/run/autodl-guard'],
    ['/etc/autodl-guard/guard.yaml', false, '/run/user/7', '/run/user/7/autodl-guard'],
    ['/etc/autodl-guard/guard.yaml', false, '/run/user/7/', '/run/user/7/autodl-guard'],
    ['/etc/autodl-guard/guard.yaml', false, null, '/run/autodl-guard'],
    ['/etcetera/guard.yaml', true, null, '/etcetera/.guard'],
  ]
  for (const [configFile, isRoot, xdgRuntimeDir, want] of rows) {
    assert.equal(defaultRunDir({ isRoot, local: isLocal(configFile), xdgRuntimeDir, configFile }), want, configFile)
  }
})

test('the control socket is guard.sock in the run directory', () => {
  assert.equal(socketPath('/run/autodl-guard'), '/run/autodl-guard/guard.sock')
  assert.equal(socketPath('/run/autodl-guard/'), '/run/autodl-guard/guard.sock')
})
