#!/usr/bin/env node
/** `kubectl mtls`, as a plugin of kubectl: an executable of this name on PATH. */
import { exitCodes } from './cli/end.ts';
import { pluginMain } from './cli/kubectl/main.ts';
import { problemOfNode } from './cli/kubectl/nodeVersion.ts';
import { version } from './version.ts';

const problem = problemOfNode(process.versions.node);
if (problem === undefined) process.exitCode = await pluginMain(process.argv.slice(2), process.env, version);
else {
  process.stderr.write(`kubectl mtls: ${problem}\n`);
  process.exitCode = exitCodes.usage;
}
