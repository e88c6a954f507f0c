#!/usr/bin/env node
/** `kubectl mtls`, as a plugin of kubectl: an executable of this name on PATH. */
import { pluginMain } from './cli/kubectl/main.ts';
import { version } from './version.ts';

process.exitCode = await pluginMain(process.argv.slice(2), process.env, version);
